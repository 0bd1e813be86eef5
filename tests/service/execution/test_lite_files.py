"""M15: damaged and hostile `.tflite` files are refused in one sentence, and cost the child that reads them at most."""

import os
import signal
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from compared_models import LIMITS, Compared, built, chain
from lite_files import changed, converted, tensor

from layerscope.errors import AnswerTooLarge, LayerscopeError, ModelRefused, ModelTooLarge, ModelUnreadable
from layerscope.graph.lite.model import LiteModel
from layerscope.graph.lite.process import LiteProcess
from layerscope.graph.lite.structure import read_structure
from layerscope.limits import Limits
from layerscope.models.bounds import OpeningBounds
from mutations import mutations


@pytest.fixture(scope="module")
def network():
    with closing(Compared(built(chain))) as network:
        yield network


@pytest.fixture(scope="module")
def reference(network):
    return network.version()


@pytest.fixture(scope="module")
def good(network):
    return converted(network.model)


@pytest.fixture
def compare(network, reference, tmp_path):
    def compare(data, limits=LIMITS):
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        with closing(LiteModel(path, reference, limits)) as candidate:
            return network.compare(reference, candidate, 1)

    return compare


def test_the_bound_of_files_cuts_no_byte_code_that_others_import(compare, good):
    Path(schema.__cached__).unlink(missing_ok=True)
    for _ in range(2):
        assert compare(good)


def graph_of(model):
    return model.subgraphs[0]


def custom(name):
    def change(model):
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = name

    return change


def sides(index, size):
    def change(model):
        found = tensor(model, "/depthwise")
        found.shape = np.array(found.shape)
        found.shape[index] = size

    return change


def fill(model):
    """Have the file compute 2^32 zeros, which no tensor of it tells."""
    graph = graph_of(model)
    dimensions = schema.BufferT()
    dimensions.data = np.array([1 << 16, 1 << 16], np.int32).view(np.uint8)
    zero = schema.BufferT()
    zero.data = np.zeros(1, np.float32).view(np.uint8)
    first = len(graph.tensors)
    for shape, kind, buffer in (
        ([2], schema.TensorType.INT32, dimensions),
        ([], schema.TensorType.FLOAT32, zero),
        ([1, 1], schema.TensorType.FLOAT32, schema.BufferT()),
    ):
        made = schema.TensorT()
        made.shape, made.type, made.buffer = np.array(shape, np.int32), kind, len(model.buffers)
        model.buffers.append(buffer)
        graph.tensors.append(made)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FILL
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = [first, first + 1], [first + 2]
    graph.operators.insert(0, operator)


def keeping_sides(model):
    """Have the mean over places keep their axes, which the file says it leaves out."""
    kind = schema.BuiltinOptions.ReducerOptions
    (operator,) = (each for each in graph_of(model).operators if each.builtinOptionsType == kind)
    operator.builtinOptions.keepDims = True


def with_scales_of_two_channels(model):
    found = tensor(model, "/depthwise")
    found.quantization = schema.QuantizationParametersT()
    found.quantization.scale, found.quantization.zeroPoint = [0.1, 0.2], [0, 0]
    found.quantization.quantizedDimension = 3


_NOT_BUILT_IN = "which is no built-in operator"
_DAMAGED = "The file is damaged"
CHANGES = {
    "an operator of TensorFlow": (f"'FlexErf', {_NOT_BUILT_IN}", custom(b"FlexErf")),
    "a custom operator": (f"'mine', {_NOT_BUILT_IN}", custom(b"mine")),
    "two graphs": ("has 2 graphs", lambda model: model.subgraphs.append(model.subgraphs[0])),
    "no graph": (_DAMAGED, lambda model: model.subgraphs.clear()),
    "no values": (_DAMAGED, lambda model: model.buffers.clear()),
    "no operators": (_DAMAGED, lambda model: graph_of(model).operators.clear()),
    "no such tensor": (_DAMAGED, lambda model: setattr(graph_of(model).operators[0], "inputs", [1 << 20])),
    "no such operator": (_DAMAGED, lambda model: setattr(graph_of(model).operators[0], "opcodeIndex", 99)),
    "a negative side": (_DAMAGED, sides(1, -3)),
    "scales for other channels": (_DAMAGED, with_scales_of_two_channels),
}


@pytest.mark.parametrize("change", CHANGES)
def test_m15_a_file_that_says_what_cannot_be_is_refused(compare, good, change) -> None:
    message, change = CHANGES[change]
    with pytest.raises(ModelRefused, match=message):
        compare(changed(good, change))


def test_m15_a_file_that_is_none_is_refused(compare, good) -> None:
    for data, message in {
        b"": "is empty",
        b"<!DOCTYPE html><html></html>": "is a web page",
        b"PK\x03\x04" + bytes(60): "no TensorFlow Lite model",
        bytes(1000): "no TensorFlow Lite model",
        good[:8]: "damaged",
        good[: len(good) // 2]: "damaged",
    }.items():
        with pytest.raises(ModelUnreadable, match=message):
            compare(data)


def test_m15_a_file_that_is_too_large_is_not_read(compare, good) -> None:
    with pytest.raises(ModelTooLarge, match="model_file_bytes"):
        compare(good, Limits(model_file_bytes=len(good) - 1))


def test_m15_layers_that_are_too_large_are_refused_before_they_run(compare, good) -> None:
    with pytest.raises(AnswerTooLarge):
        compare(changed(good, sides(1, 1 << 30)))


def test_m15_a_side_of_nothing_makes_a_layer_another(compare, good) -> None:
    """The interpreter computes the sizes itself: the file's own tell only which layer a tensor can be."""
    found = compare(changed(good, sides(2, 0)))
    assert "depthwise" in found.fused


def test_m15_a_layer_of_another_shape_than_the_file_says_is_refused(compare, good) -> None:
    with pytest.raises(ModelRefused, match="gives pool another shape than it says"):
        compare(changed(good, keeping_sides))


def test_m15_a_signature_too_many_is_passed_over(compare, good) -> None:
    found = compare(changed(good, lambda model: model.signatureDefs.append(model.signatureDefs[0])))
    assert max(each.relative_l2 for each in found.layers) < 1e-5


def test_m15_memory_that_the_file_does_not_tell_costs_the_child(compare, good) -> None:
    with pytest.raises(ModelRefused, match="TensorFlow Lite"):
        compare(changed(good, fill))
    assert compare(good).layers


@pytest.mark.parametrize("end", [signal.SIGSEGV, signal.SIGKILL])
def test_m15_a_crash_ends_the_child_only(good, tmp_path, end) -> None:
    (tmp_path / "model.tflite").write_bytes(good)
    with (tmp_path / "model.tflite").open("rb") as file:

        def crash() -> None:
            with suppress(ProcessLookupError):
                os.kill(child._child.pid, end)

        child = LiteProcess(file, OpeningBounds(60, 2 << 30, 0))
        with child:
            crash()
            with pytest.raises(ModelRefused, match=end.name):
                child.run([(0, np.zeros((1, 8, 8, 3)))], [0], 1 << 20)


def test_m15_a_child_that_takes_too_long_ends(good, tmp_path) -> None:
    (tmp_path / "model.tflite").write_bytes(good)
    with (
        (tmp_path / "model.tflite").open("rb") as file,
        LiteProcess(file, OpeningBounds(1, 2 << 30, 0)) as child,
    ):
        os.kill(child._child.pid, signal.SIGSTOP)
        # Stopped, it does not see the alarm; once it goes on, it does.
        signal.sigtimedwait([], 1.2)
        os.kill(child._child.pid, signal.SIGCONT)
        with pytest.raises(ModelTooLarge, match="longer than it may, 1 seconds"):
            child.run([(0, np.zeros((1, 8, 8, 3)))], [0], 1 << 20)


def test_m15_damaged_files_give_our_own_errors(good) -> None:
    read = 0
    for data in mutations(good, 500):
        with suppress(LayerscopeError):
            content, _ = read_structure(data)
            read += 1
            assert content[4:8] == b"TFL3"
    assert 0 < read < 250


def test_m15_damaged_files_that_can_be_read_cost_the_child_at_most(compare, good) -> None:
    _compare_damaged(compare, good, 60)


@pytest.mark.soak
def test_m15_many_damaged_files_cost_the_child_at_most(compare, good, network, tmp_path) -> None:
    _compare_damaged(compare, good, 5_000)


def _compare_damaged(compare, good, count):
    """Compare files of which the structure is sound in spite of the damage."""
    for data in mutations(good, count, seed=1):
        with suppress(LayerscopeError):
            read_structure(data)
            compare(data)


def test_m15_no_descriptor_stays_open(compare, good) -> None:
    compare(good)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for data in (good, good[:100], b""):
        with suppress(LayerscopeError):
            compare(data)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
