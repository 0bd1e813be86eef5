"""Plans that OpenVINO runs: the part of a graph that a plan needs, with its weights as constants, compiled for this processor.

OpenVINO chooses its own order of operations, and on some processors narrower numbers than it is asked for. So the first run of a
plan is computed by TensorFlow, too, and the two are compared.
"""

import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import EncodeError

from layerscope.errors import ModelRefused
from layerscope.graph.prepared.weights import Weights
from layerscope.graph.runtime.compilation import PlanCompiler
from layerscope.graph.runtime.plans import Plan, PlanKey
from layerscope.graph.runtime.rewrite_check import relative_difference

Array = np.ndarray[Any, np.dtype[Any]]

TOLERANCE = 1e-5
"""The largest difference of a value between OpenVINO and TensorFlow, relative to the largest value of its layer."""

_OUTPUT = "layerscope/output_"


def openvino_plan(compiler: PlanCompiler, key: PlanKey) -> Plan:
    """Compile a plan with OpenVINO. It takes 1 to 3 s, and as much memory as the weights once more.

    Args:
        compiler: of the model.
        key: what the plan computes: a plain run, without edits and without a gradient.

    Raises:
        ModelRefused: OpenVINO is not installed or cannot run this part of the model. The first run of the plan raises it if the
            values differ from TensorFlow's.
    """
    plain = compiler.compile(key, ())
    try:
        definition = _frozen(compiler.parts.needed_for([*key.fed, *key.fetched]), key, compiler.weights)
        call = _compiled(definition, key)
    except (RuntimeError, ValueError, EncodeError) as error:
        raise ModelRefused(
            f"OpenVINO cannot run this model: use the runtime tensorflow. It said: {str(error).strip()[-300:]}"
        ) from error
    return Plan(key, plain.nbytes + definition.ByteSize(), _Checked(call, plain))


class _Checked:
    """What a plan calls: TensorFlow and OpenVINO until both have agreed once, then OpenVINO."""

    def __init__(self, call: Callable[..., list[Array]], plain: Plan) -> None:
        self._call = call
        self._plain: Plan | None = plain

    def __call__(self, *values: Array) -> list[Array]:
        found = self._call(*values)
        plain = self._plain
        if plain is not None:
            worst = max(map(relative_difference, found, plain(values)), default=0.0)
            if not worst <= TOLERANCE:
                raise ModelRefused(
                    f"OpenVINO computes other values of this model than TensorFlow, by {worst:.2g} of a layer's largest value:"
                    " use the runtime tensorflow.",
                    difference=worst,
                    limit=TOLERANCE,
                )
            self._plain = None
        return found


def _frozen(part: Any, key: PlanKey, weights: Weights) -> Any:
    """The GraphDef of a plan, where what reads a weight is the constant, and each fetched tensor is an output of its own."""
    frozen = tf.compat.v1.GraphDef(versions=part.versions, library=part.library)
    handles = {node.name for node in part.node if node.op == "VarHandleOp"}
    for node in part.node:
        if node.op == "ReadVariableOp" and node.input[0] in handles:
            constant = frozen.node.add(name=node.name, op="Const")
            constant.attr["dtype"].CopyFrom(node.attr["dtype"])
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights.values(node.input[0])))
        elif node.name not in handles:
            frozen.node.add().CopyFrom(node)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        for number, name in enumerate(key.fetched):
            tf.identity(graph.get_tensor_by_name(name), name=f"{_OUTPUT}{number}")
        return graph.as_graph_def()


def _compiled(definition: Any, key: PlanKey) -> Callable[..., list[Array]]:
    try:
        import openvino  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ModelRefused("OpenVINO is not installed: pip install layerscope[openvino].") from error
    with tempfile.TemporaryDirectory(prefix="layerscope-openvino-") as folder:
        # From a file, because the converter that takes a graph reports each use to its makers.
        file = Path(folder, "plan.pb")
        file.write_bytes(definition.SerializeToString())
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(file), "CPU", {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        )
    # An output has the name of the tensor that it is, which may be an input, and a node with the name that it was given.
    named = {each.get_node().friendly_name: each for each in compiled.outputs}
    outputs = [named[f"{_OUTPUT}{number}:0"] for number in range(len(key.fetched))]
    inputs = [compiled.input(name) for name in key.fed]
    requests = threading.local()

    def call(*values: Array) -> list[Array]:
        request = getattr(requests, "own", None)
        if request is None:
            # A request holds the memory of one run.
            request = requests.own = compiled.create_infer_request()
        result = request.infer(dict(zip(inputs, values, strict=True)), share_inputs=True)
        return [result[each] for each in outputs]

    return call


def can_run(key: PlanKey) -> bool:
    """Whether OpenVINO may run a plan: one of whole images, without edits and without a gradient."""
    return key.gradient is None and not key.edited and not key.is_cut
