"""Rules for operations: what the axes of their outputs are, from the axes of what they read."""

from collections.abc import Callable, Iterable

from layerscope.graph.axes import places
from layerscope.graph.axes.dimension import (
    CHANNELS,
    SINGLE,
    UNKNOWN,
    Dimensions,
)
from layerscope.graph.axes.products import batch_matmul, einsum, matmul
from layerscope.graph.axes.reshape import reshaped
from layerscope.graph.axes.sizes import computed_sizes
from layerscope.graph.axes.step import Step
from layerscope.graph.axes.windows import WINDOWED

Rule = Callable[[Step], Dimensions | list[Dimensions | None]]
"""Gives the axes of the outputs: a list with those of each, or those that all of them have."""


def _same(step: Step) -> Dimensions:
    """The output is as the first input."""
    return step.dimensions()


def _same_each(step: Step) -> list[Dimensions | None]:
    """Each output is as the input of the same number."""
    return list(step.read)


def _place_by_place(step: Step) -> Dimensions:
    return step.combined()


def _reshape(step: Step) -> Dimensions:
    given = step.given()
    is_open = sum(size is None for size in given) > 1
    target = computed_sizes(step.graph, step.sources[1]) if is_open else None
    return reshaped(step.dimensions(), step.shape(), given, target)


def _squeeze(step: Step) -> Dimensions:
    dimensions = step.dimensions()
    dropped = {axis % len(dimensions) for axis in step.node.attr["squeeze_dims"].list.i}
    if not dropped:
        dropped = {axis for axis, size in enumerate(step.shape()) if size == 1}
    return tuple(each for axis, each in enumerate(dimensions) if axis not in dropped)


def _expand(step: Step) -> Dimensions:
    dimensions = list(step.dimensions())
    (axis,) = step.numbers(1)
    dimensions.insert(axis % (len(dimensions) + 1), SINGLE)
    return tuple(dimensions)


def _reverse(step: Step) -> Dimensions:
    dimensions = step.dimensions()
    turned = {axis % len(dimensions) for axis in step.numbers(1)}
    return tuple(each.reversed() if axis in turned else each for axis, each in enumerate(dimensions))


def _transpose(step: Step) -> Dimensions:
    dimensions = step.dimensions()
    return tuple(dimensions[axis] for axis in step.numbers(1))


def _pack(step: Step) -> Dimensions:
    found = list(step.combined())
    axis = step.node.attr["axis"].i % (len(found) + 1)
    found.insert(axis, UNKNOWN)
    return tuple(found)


def _unpack(step: Step) -> Dimensions:
    found = list(step.dimensions())
    found.pop(step.node.attr["axis"].i % len(found))
    return tuple(found)


def _reduce(step: Step) -> Dimensions:
    dimensions = step.dimensions()
    gone = {axis % len(dimensions) for axis in step.numbers(1)}
    if step.node.attr["keep_dims"].b:
        return tuple(each.resized() if axis in gone else each for axis, each in enumerate(dimensions))
    return tuple(each for axis, each in enumerate(dimensions) if axis not in gone)


def _one_hot(step: Step) -> Dimensions:
    found = list(step.dimensions())
    axis = step.node.attr["axis"].i
    found.insert(len(found) if axis < 0 else axis, CHANNELS)
    return tuple(found)


def _named(rule: Rule, names: Iterable[str]) -> dict[str, Rule]:
    return dict.fromkeys(names, rule)


PASSING = frozenset(
    {
        *(
            "Abs",
            "BatchToSpaceND",
            "BiasAdd",
            "Cast",
            "Ceil",
            "CheckNumerics",
            "Cos",
            "Cumprod",
            "Cumsum",
            "Elu",
            "EnsureShape",
        ),
        *(
            "Erf",
            "Erfc",
            "Exp",
            "Expm1",
            "FakeQuantWithMinMaxArgs",
            "FakeQuantWithMinMaxVars",
            "Floor",
            "FusedBatchNorm",
        ),
        *(
            "FusedBatchNormV2",
            "FusedBatchNormV3",
            "Identity",
            "Inv",
            "IsFinite",
            "IsInf",
            "IsNan",
            "LRN",
            "LeakyRelu",
            "Log",
        ),
        *(
            "Log1p",
            "LogSoftmax",
            "LogicalNot",
            "MatrixBandPart",
            "Neg",
            "PreventGradient",
            "QuantizeAndDequantizeV2",
        ),
        *(
            "QuantizeAndDequantizeV4",
            "Reciprocal",
            "Relu",
            "Relu6",
            "ReverseV2",
            "Rint",
            "Roll",
            "Round",
            "Rsqrt",
            "Selu",
        ),
        *(
            "Sigmoid",
            "Sign",
            "Sin",
            "Softmax",
            "Softplus",
            "Softsign",
            "SpaceToBatchND",
            "Sqrt",
            "Square",
            "StopGradient",
        ),
        *("Tanh",),
    }
)
"""Operations that give each place of their first input a value of its own."""

COMBINING = frozenset(
    {
        *(
            "Add",
            "AddN",
            "AddV2",
            "Atan2",
            "ClipByValue",
            "Div",
            "DivNoNan",
            "Equal",
            "FloorDiv",
            "FloorMod",
            "Greater",
        ),
        *(
            "GreaterEqual",
            "Less",
            "LessEqual",
            "LogicalAnd",
            "LogicalOr",
            "Maximum",
            "Minimum",
            "Mod",
            "Mul",
            "MulNoNan",
        ),
        *("NotEqual", "Pow", "RealDiv", "Select", "SelectV2", "SquaredDifference", "Sub", "Xdivy", "Xlogy"),
    }
)
"""Operations that combine their inputs place by place."""

RULES: dict[str, Rule] = {
    **_named(_same, PASSING),
    "ReverseV2": _reverse,
    **_named(_place_by_place, COMBINING),
    **_named(
        _reduce, ("All", "Any", "ArgMax", "ArgMin", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum")
    ),
    **_named(places.pad, ("MirrorPad", "Pad", "PadV2")),
    **_named(places.repeat, ("BroadcastTo", "Tile")),
    **_named(places.gather, ("Gather", "GatherV2", "ResourceGather")),
    **_named(places.cut, ("Slice", "StridedSlice")),
    **_named(places.split, ("Split", "SplitV")),
    **_named(batch_matmul, ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3")),
    **_named(places.concat, ("ConcatV2",)),
    **WINDOWED,
    "Einsum": einsum,
    "ExpandDims": _expand,
    "IdentityN": _same_each,
    "MatMul": matmul,
    "OneHot": _one_hot,
    "Pack": _pack,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unpack": _unpack,
}
