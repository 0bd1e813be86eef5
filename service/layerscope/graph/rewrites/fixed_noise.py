"""Fixed noise: random operations of a model give the same numbers in every run, for every image.

A layer that samples, such as the latent variable of a variational autoencoder, draws anew in each run. Values that were computed
at different times, of which some are kept, would then not belong together: a decoder's layer would not be that of the latent
variable beside it. With a seed for each operation, a value depends on nothing but the image again.

TensorFlow has a stateless operation for most of its random ones. Those of the gamma and Poisson distributions and shuffling have
none that takes the same inputs; they and what is random inside of loops, where a fixed seed would give the same numbers in each
step, stay as they are, which a warning says. A generator of random numbers in a variable is read, and not
moved on: in inference, as with the seed generators of Keras 3, whose moves a graph without side effects leaves out.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from layerscope.graph.analysis.subgraph import needed_nodes

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

_RANDOM = ("Multinomial", "ParameterizedTruncatedNormal", "Random", "Rng", "Stateful", "TruncatedNormal")
"""How the names of random operations begin, without `Stateless`."""

_NOT_RANDOM = ("RandomDataset", "StatefulPartitionedCall", "StatefulRandomBinomialV0", "StatelessRandomGet")


def with_fixed_noise(graph_def: Any) -> Any:
    """Replace random operations by others with a seed.

    Args:
        graph_def: a GraphDef, which is changed.

    Returns:
        It.
    """
    nodes = [made for node in graph_def.node for made in _fixed(node)]
    del graph_def.node[:]
    graph_def.node.extend(nodes)
    return graph_def


def noise_warnings(graph_def: Any, tensors: Iterable[str]) -> Sequence[str]:
    """What a caller must know of the random numbers that some tensors, which are names, depend on."""
    needed = needed_nodes({node.name: node for node in graph_def.node}, tensors)
    used = [node for node in graph_def.node if node.name in needed]
    found = []
    random = [node for node in used if _is_random(node.op)]
    # A generator in a variable is only read by now.
    if fixed := [node.name for node in random if node.op.startswith("Stateless")]:
        found.append(
            f"The model draws random numbers ({_named(fixed)}): they are the same ones in every run and for every image."
        )
    functions = {each.signature.name: each.node_def for each in graph_def.library.function}
    free = [node.name for node in random if not node.op.startswith("Stateless")]
    if free := list(dict.fromkeys([*free, *_inside(used, functions)])):
        found.append(
            f"The model draws other random numbers in each run ({_named(free)}): values that were computed in different runs,"
            " of which some are kept, do not belong together."
        )
    return found


def _fixed(node: Any) -> Iterator[Any]:
    if node.op == _GENERATOR:
        node.op = "ReadVariableOp"
        del node.input[1:]
        node.attr.clear()
        node.attr["dtype"].type = tf.int64.as_datatype_enum
    elif node.op in _STATELESS:
        op, place, attributes = _STATELESS[node.op]
        seed = _seed(node.name)
        yield seed
        own = {name: node.attr[each] for each, name in attributes.items()}
        types = {name: value.type for name, value in own.items()} | {"Tseed": tf.int64.as_datatype_enum}
        inputs = [*node.input[:place], seed.name, *node.input[place:]]
        node.op = op
        node.ClearField("input")
        node.input.extend(inputs)
        node.attr.clear()
        for name, value in types.items():
            node.attr[name].type = value
    yield node


def _seed(name: str) -> Any:
    """A constant that is another one for each operation."""
    proto = tf.make_tensor_proto(np.array([0, zlib.crc32(name.encode())], np.int64))
    node = tf.compat.v1.NodeDef(name=f"layerscope/seed/{name}", op="Const")
    node.attr["dtype"].type = proto.dtype
    node.attr["value"].tensor.CopyFrom(proto)
    return node


def _inside(nodes: Iterable[Any], functions: Mapping[str, Any]) -> Iterator[str]:
    for node in nodes:
        for value in node.attr.values():
            for function in (value.func, *value.list.func):
                inner = functions.get(function.name, ())
                yield from (each.name for each in inner if _is_random(each.op))
                yield from _inside(inner, functions)


def _is_random(op: str) -> bool:
    return op.removeprefix("Stateless").startswith(_RANDOM) and not op.startswith(_NOT_RANDOM)


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")
