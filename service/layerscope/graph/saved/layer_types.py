"""Types of layers, and where their activation functions begin, estimated from the operations inside."""

import re
from dataclasses import dataclass
from typing import Any

from layerscope.graph.analysis.subgraph import node_of

_TYPES: tuple[tuple[str, frozenset[str]], ...] = tuple(
    (name, frozenset(operations))
    for name, *operations in (
        ("RNN", "While"),
        ("RNN", "StatelessWhile"),
        ("SeparableConv2D", "DepthwiseConv2dNative", "Conv2D"),
        ("DepthwiseConv2D", "DepthwiseConv2dNative"),
        ("Conv1D", "Conv2D", "ExpandDims"),
        ("Conv2D", "Conv2D"),
        ("Conv3D", "Conv3D"),
        ("Conv2DTranspose", "Conv2DBackpropInput"),
        ("Conv3DTranspose", "Conv3DBackpropInputV2"),
        ("LayerNormalization", "FusedBatchNormV3", "Fill"),
        ("BatchNormalization", "FusedBatchNormV3"),
        ("LayerNormalization", "Rsqrt", "Mean"),
        ("BatchNormalization", "Rsqrt"),
        ("Embedding", "ResourceGather"),
        ("EinsumDense", "Einsum"),
        ("Dense", "MatMul"),
        ("MaxPooling1D", "MaxPool", "ExpandDims"),
        ("MaxPooling2D", "MaxPool"),
        ("MaxPooling3D", "MaxPool3D"),
        ("AveragePooling1D", "AvgPool", "ExpandDims"),
        ("AveragePooling2D", "AvgPool"),
        ("AveragePooling3D", "AvgPool3D"),
        ("ZeroPadding2D", "Pad"),
        ("ZeroPadding2D", "PadV2"),
        ("UpSampling2D", "ResizeNearestNeighbor"),
        ("UpSampling2D", "ResizeBilinear"),
        ("PReLU", "Relu", "Neg"),
        ("ReLU", "Relu"),
        ("ReLU", "Relu6"),
        ("LeakyReLU", "LeakyRelu"),
        ("ELU", "Elu"),
        ("Softmax", "Softmax"),
        ("Permute", "Transpose"),
    )
)
"""Types and the operations that identify them; the first that fits counts."""

_OF_SEVERAL = {
    "AddN": "Add",
    "AddV2": "Add",
    "ConcatV2": "Concatenate",
    "Maximum": "Maximum",
    "Minimum": "Minimum",
    "Mul": "Multiply",
    "Sub": "Subtract",
}
_POOLED = {"Max": "GlobalMaxPooling", "Mean": "GlobalAveragePooling"}
_SCALING = frozenset({"AddV2", "Cast", "Mul"})

_ACTIVATIONS = frozenset(
    {
        *(
            "Elu",
            "LeakyRelu",
            "LogSoftmax",
            "Relu",
            "Relu6",
            "Selu",
            "Sigmoid",
            "Softmax",
            "Softplus",
            "Softsign",
        ),
        "Tanh",
    }
)
_PASSING_ON = frozenset({"Identity", "IdentityN"})
_GELU = re.compile(r".*/Gelu(_\d+)?")


@dataclass(frozen=True)
class Insides:
    """The nodes of one call of a layer, without the layers inside it.

    Attributes:
        nodes: by name.
        fed: the names of those that depend on the model's inputs.
        inputs: how many tensors go in.
        output: the first tensor that comes out.
        ranks: how many axes the first tensor that goes in and that one have, with the batch axis.
    """

    nodes: dict[str, Any]
    fed: frozenset[str]
    inputs: int
    output: str
    ranks: tuple[int, int]

    def maker(self, tensor: str) -> Any:
        """The node that makes a tensor; None if it is made elsewhere, or is the same for every image."""
        name = node_of(tensor)
        return self.nodes.get(name) if name in self.fed else None


def layer_type(insides: Insides) -> str:
    """The most likely Keras class of a layer, or the operation that computes its output."""
    operations = {node.op for node in insides.nodes.values()}
    named = (name for name, wanted in _TYPES if wanted <= operations)
    return next(named, None) or _type_by_output(insides)


def _type_by_output(insides: Insides) -> str:
    _, tensor = _passed_on(insides)
    last = insides.nodes[node_of(insides.output)]
    op = last.op
    fed = {insides.nodes[name].op for name in insides.fed}
    before, after = insides.ranks
    if insides.inputs > 1 and op in _OF_SEVERAL:
        return _OF_SEVERAL[op]
    if op in _POOLED and before > 2 and (after == 2 or last.attr["keep_dims"].b):
        return f"{_POOLED[op]}{before - 2}D"
    if op == "Reshape":
        return "Flatten" if after == 2 else "Reshape"
    if "Mul" in fed and fed <= _SCALING:
        return "Rescaling"
    if {"RealDiv", "Sub"} <= fed:
        return "Normalization"
    maker = insides.maker(tensor)
    is_function = maker is not None and (_simple(maker) or _composed(insides, maker))
    return "Activation" if is_function else str(op)


@dataclass(frozen=True)
class Activation:
    """A fused activation function: the tensor it is called with, and the names of the nodes it is made of."""

    argument: str
    nodes: frozenset[str]


def fused_activation(insides: Insides) -> Activation | None:
    """The activation function that a layer ends with, if other operations of the layer come before it."""
    passing, tensor = _passed_on(insides)
    maker = insides.maker(tensor)
    if maker is None:
        return None
    found = _simple(maker) or _composed(insides, maker)
    if found is None or insides.maker(found.argument) is None:
        return None
    return Activation(found.argument, found.nodes | passing)


def _passed_on(insides: Insides) -> tuple[frozenset[str], str]:
    """The nodes at the end that only pass on, and the tensor that they pass on."""
    passing = set()
    tensor = insides.output
    while (maker := insides.maker(tensor)) is not None and maker.op in _PASSING_ON:
        passing.add(maker.name)
        tensor = maker.input[int(tensor.partition(":")[2])]
    return frozenset(passing), tensor


def _simple(maker: Any) -> Activation | None:
    return Activation(maker.input[0], frozenset({maker.name})) if maker.op in _ACTIVATIONS else None


def _composed(insides: Insides, maker: Any) -> Activation | None:
    return _swish(insides, maker) or _gelu(insides, maker)


def _swish(insides: Insides, maker: Any) -> Activation | None:
    """`x * sigmoid(x)`, or `x * sigmoid(beta * x)`."""
    if maker.op != "Mul":
        return None
    for argument, other in (tuple(maker.input), tuple(maker.input)[::-1]):
        gate = insides.maker(other)
        if gate is None or gate.op != "Sigmoid":
            continue
        scaled = insides.maker(gate.input[0])
        if gate.input[0] == argument:
            return Activation(argument, frozenset({maker.name, gate.name}))
        if scaled is not None and scaled.op == "Mul" and argument in scaled.input:
            return Activation(argument, frozenset({maker.name, gate.name, scaled.name}))
    return None


def _gelu(insides: Insides, maker: Any) -> Activation | None:
    """GELU: TensorFlow gives its operations a scope."""
    scope = maker.name.rpartition("/")[0]
    if not _GELU.fullmatch(scope):
        return None
    nodes = frozenset(name for name in insides.nodes if name.startswith(f"{scope}/"))
    entering = {
        tensor for name in nodes for tensor in insides.nodes[name].input if node_of(tensor) not in nodes
    }
    return Activation(entering.pop(), nodes) if len(entering) == 1 else None
