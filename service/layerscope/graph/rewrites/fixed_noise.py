"""Fixed noise: random operations of a model give the same numbers in every run with the same seed, for every image.

A layer that samples, such as the latent variable of a variational autoencoder, draws anew in each run. Values that were computed
at different times, of which some are kept, would then not belong together: a decoder's layer would not be that of the latent
variable beside it. With a seed for each operation, a value depends on nothing but the image and the seed of the request, which
is fed and added to all of them.

TensorFlow has a stateless operation for most of its random ones. Those of the gamma and Poisson distributions and shuffling have
none that takes the same inputs; they and what is random inside of loops, where a fixed seed would give the same numbers in each
step, stay as they are, which a warning says. A generator of random numbers in a variable is read, and not
moved on: in inference, as with the seed generators of Keras 3, whose moves a graph without side effects leaves out. A seed that
is a constant of the model is no choice of the caller, and stays.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from layerscope.graph.analysis.random_operations import drawing_anew
from layerscope.graph.analysis.subgraph import needed_nodes, node_of

SEED = "layerscope/seed:0"
"""The placeholder of the seed in the graph of a model that samples: int64, one an image, all the same."""

_STATELESS: Mapping[str, tuple[str, int, Mapping[str, str]]] = {
    "Multinomial": ("StatelessMultinomial", 2, {"T": "T", "output_dtype": "output_dtype"}),
    "RandomStandardNormal": ("StatelessRandomNormal", 1, {"T": "T", "dtype": "dtype"}),
    "RandomUniform": ("StatelessRandomUniform", 1, {"T": "T", "dtype": "dtype"}),
    "RandomUniformInt": ("StatelessRandomUniformInt", 1, {"T": "T", "Tout": "dtype"}),
    "TruncatedNormal": ("StatelessTruncatedNormal", 1, {"T": "T", "dtype": "dtype"}),
}
"""The stateless operation for each, the place of the seed among its inputs, and its attribute for each of the other's."""

_GENERATOR = "RngReadAndSkip"
"""Reads the state of a generator from a variable, and moves it on."""

_OWN_SEED = "layerscope/own_seed/"
_MOVED = "layerscope/seed/of/"
"""How the names of the seeds of operations begin, and those of their sums with the seed that is fed."""

_SPREAD = 0x61C8_8646_80B5_83EB
"""What seeds are multiplied with before they are added: an odd number, so that neighbours are far apart in 32 and 64 bits."""


def with_fixed_noise(graph_def: Any) -> Any:
    """Replace random operations by others with a seed, to which the one that is fed is added.

    Args:
        graph_def: a GraphDef, which is changed.

    Returns:
        It. It has the placeholder `SEED` if it draws numbers that depend on it.
    """
    generators = [node for node in graph_def.node if node.op == _GENERATOR]
    for node in generators:
        _become_read(node)
    graph_def.node.extend([_become_stateless(node) for node in graph_def.node if node.op in _STATELESS])
    nodes = {node.name: node for node in graph_def.node}
    seeds = {
        node.name: place for node in graph_def.node if (place := _place_of_seed(node, nodes)) is not None
    }
    if not generators and not seeds:
        return graph_def
    fed = _fed_seed()
    for name, place in seeds.items():
        node = nodes[name]
        moved = _moved(name, node.input[place], node.attr["Tseed"].type)
        node.input[place] = moved.name
        graph_def.node.append(moved)
    for node in generators:
        moved = _moved(node.name, node.name, tf.int64.as_datatype_enum)
        for reader in graph_def.node:
            reader.input[:] = [moved.name if node_of(each) == node.name else each for each in reader.input]
        graph_def.node.append(moved)
    graph_def.node.extend(fed)
    return graph_def


def is_seeded(graph_def: Any) -> bool:
    """Whether a graph draws numbers that depend on the seed which is fed."""
    return any(f"{node.name}:0" == SEED for node in graph_def.node)


def noise_warnings(graph_def: Any, tensors: Iterable[str]) -> Sequence[str]:
    """What a caller must know of the random numbers that some tensors, which are names, depend on."""
    needed = needed_nodes({node.name: node for node in graph_def.node}, tensors)
    used = [node for node in graph_def.node if node.name in needed]
    found = []
    if fixed := [node.name.removeprefix(_MOVED) for node in used if node.name.startswith(_MOVED)]:
        found.append(
            f"The model draws random numbers ({_named(fixed)}): they are the same ones in every run and for every image,"
            " and others with another seed."
        )
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    if free := list(drawing_anew(used, functions)):
        found.append(
            f"The model draws other random numbers in each run ({_named(free)}), whatever the seed: what depends on them is"
            " of one run in each answer and is not kept, and attributions, which take several runs, mix several draws."
        )
    return found


def _become_stateless(node: Any) -> Any:
    """Turn a random operation into the stateless one; the node of its own seed, which is another one for each operation."""
    op, place, attributes = _STATELESS[node.op]
    proto = tf.make_tensor_proto(np.array([0, zlib.crc32(node.name.encode())], np.int64))
    seed = tf.compat.v1.NodeDef(name=f"{_OWN_SEED}{node.name}", op="Const")
    seed.attr["dtype"].type = proto.dtype
    seed.attr["value"].tensor.CopyFrom(proto)
    types = {name: node.attr[each].type for each, name in attributes.items()}
    inputs = [*node.input[:place], seed.name, *node.input[place:]]
    node.op = op
    node.ClearField("input")
    node.input.extend(inputs)
    node.attr.clear()
    for name, value in (types | {"Tseed": tf.int64.as_datatype_enum}).items():
        node.attr[name].type = value
    return seed


def _become_read(generator: Any) -> None:
    generator.op = "ReadVariableOp"
    del generator.input[1:]
    generator.attr.clear()
    generator.attr["dtype"].type = tf.int64.as_datatype_enum


def _place_of_seed(node: Any, nodes: Mapping[str, Any]) -> int | None:
    """The place of the seed among the inputs of a stateless operation, unless it is a constant of the model."""
    if not node.op.startswith("Stateless"):
        return None
    names = [each.name for each in op_def_registry.get(node.op).input_arg]
    if "seed" not in names:
        return None
    place = names.index("seed")
    seed = node.input[place]
    is_state = any(nodes[name].op == "ReadVariableOp" for name in needed_nodes(nodes, [seed]))
    return place if is_state or seed.startswith(_OWN_SEED) else None


def _fed_seed() -> Any:
    """The nodes of the seed that is fed, as a scalar of each type that seeds have."""
    with tf.Graph().as_default() as graph:
        placeholder = tf.compat.v1.placeholder(tf.int64, [None], name=node_of(SEED))
        spread = tf.multiply(placeholder[0], _SPREAD, name=_scalar(tf.int64.as_datatype_enum))
        tf.cast(spread, tf.int32, name=_scalar(tf.int32.as_datatype_enum))
    return graph.as_graph_def().node


def _moved(name: str, seed: str, dtype: int) -> Any:
    """The node that adds the seed which is fed to one of the graph."""
    node = tf.compat.v1.NodeDef(name=f"{_MOVED}{name}", op="AddV2", input=[seed, _scalar(dtype)])
    node.attr["T"].type = dtype
    return node


def _scalar(dtype: int) -> str:
    return f"{node_of(SEED)}/{tf.as_dtype(dtype).name}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
