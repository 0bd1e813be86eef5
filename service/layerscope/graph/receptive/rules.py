"""Rules of receptive fields: for some places of an operation's output, the places of its inputs that these read.

There is one rule for each kind of operation. Three cases give more than the true field, and so the answer says that it is not
exact: an operation without a rule, a shape that only a run can tell, and settings that a rule does not cover. There, every
place of every input counts as read.

A rule tells which places can have an influence, not which have one: a weight that is zero is not looked at.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from layerscope.graph.receptive import arrangements
from layerscope.graph.receptive.arrangements import Reads, Step, broadcast
from layerscope.graph.receptive.operations import Operation, Sizes, Unclear
from layerscope.graph.receptive.reach import Reach, Read, everything
from layerscope.graph.receptive.windows import CONVOLUTIONS, POOLINGS, TRANSPOSED, Windows, windows_of

Rule = Callable[[Step], Reads]


def reads(step: Step) -> tuple[list[tuple[int, Read]], bool]:
    """What an operation reads, by the number of the input, and whether that is exact and not an upper bound."""
    operation = step.operation
    rule = _RULES.get(operation.kind)
    known = operation.gives[step.output]
    if rule is not None and known is not None and len(known) == len(step.wanted):
        try:
            return list(rule(step)), True
        except Unclear:
            pass
    everywhere = (everything(shape or (), step.because) for shape in operation.takes)
    return list(enumerate(everywhere)), False


def moved(operation: Operation, windows: Windows, wanted: Read, shape: Sizes) -> Read:
    """What the windows of an operation read of its input, which has the given shape."""
    channels = _channels(operation, windows, wanted, shape)
    return tuple(
        wanted[axis].through(windows[axis], size)
        if axis in windows
        else (channels if axis else replace(wanted[0], size=size))
        for axis, size in enumerate(shape)
    )


def _channels(operation: Operation, windows: Windows, wanted: Read, shape: Sizes) -> Reach:
    """The channels that are read: all by a convolution, their own by a depthwise convolution and by pooling."""
    axis = next(axis for axis in range(1, len(shape)) if axis not in windows)
    if operation.kind == "DepthwiseConv2dNative":
        multiplier = operation.taken(1)[-1]
        return wanted[axis].mapped(lambda places: places // multiplier, shape[axis])
    if operation.kind in POOLINGS and operation.kind != "ExtractImagePatches":
        return wanted[axis]
    return Reach.whole(shape[axis])


def _nothing(_: Step) -> Reads:
    yield from ()


def _elementwise(step: Step) -> Reads:
    """Elementwise operations: a place reads the same place of each input, with broadcasting."""
    for number in range(len(step.operation.takes)):
        yield number, broadcast(step.wanted, step.operation.taken(number))


def _first_only(step: Step) -> Reads:
    """Bias and normalization: the other inputs are weights, one a channel. In training mode, all images are read."""
    if step.operation.settings.get("is_training"):
        raise Unclear
    yield 0, step.wanted


def _same_number(step: Step) -> Reads:
    yield step.output, step.wanted


def _window(step: Step) -> Reads:
    windows = windows_of(step.operation)
    if windows is None:
        raise Unclear
    yield 0, moved(step.operation, windows, step.wanted, step.operation.taken(0))


def _transposed(step: Step) -> Reads:
    """Transposed convolutions: input 2 is the map, the others are the output's shape and the kernel."""
    windows, shape = windows_of(step.operation), step.operation.taken(2)
    if windows is None:
        raise Unclear
    yield (
        2,
        tuple(
            step.wanted[axis].spread(windows[axis], size)
            if axis in windows
            else (Reach.whole(size) if axis else step.wanted[0])
            for axis, size in enumerate(shape)
        ),
    )


def _reduction(step: Step) -> Reads:
    """Reductions: the reduced axes are read whole, also where `keep_dims` leaves an axis of length 1."""
    shape = step.operation.taken(0)
    axes = {int(axis) % len(shape) for axis in np.ravel(step.operation.constant(1))}
    kept = iter(step.wanted)
    because = step.because
    found = []
    for axis, size in enumerate(shape):
        own = None if axis in axes and not step.operation.settings.get("keep_dims") else next(kept)
        found.append(Reach.whole(size, because) if axis in axes or own is None else own)
    yield 0, tuple(found)


def _along_last(step: Step) -> Reads:
    """Softmax: normalized over the whole last axis."""
    *others, last = step.wanted
    yield 0, (*others, Reach.whole(last.size, step.because))


def _matrix_product(step: Step) -> Reads:
    """Matrix products: rows of the first input, columns of the second, and the whole axis that is summed over."""
    *batch, rows, columns = step.wanted
    first, second = step.operation.taken(0), step.operation.taken(1)
    settings = step.operation.settings
    first_turned = bool(settings.get("transpose_a") or settings.get("adj_x"))
    second_turned = bool(settings.get("transpose_b") or settings.get("adj_y"))
    because = step.because
    summed = Reach.whole(first[-2] if first_turned else first[-1], because)
    around_first, around_second = broadcast(tuple(batch), first[:-2]), broadcast(tuple(batch), second[:-2])
    yield 0, (*around_first, *((summed, rows) if first_turned else (rows, summed)))
    yield 1, (*around_second, *((columns, summed) if second_turned else (summed, columns)))


def _einsum(step: Step) -> Reads:
    equation = step.operation.settings["equation"].decode().replace(" ", "")
    inputs, _, result = equation.partition("->")
    if "." in equation or not result:
        raise Unclear
    by_label = dict(zip(result, step.wanted, strict=True))
    because = step.because
    for number, labels in enumerate(inputs.split(",")):
        sizes = step.operation.taken(number)
        yield (
            number,
            tuple(
                by_label.get(label, Reach.whole(size, because))
                for label, size in zip(labels, sizes, strict=True)
            ),
        )


def _gather(step: Step) -> Reads:
    """Rows of a table, as in an embedding. The numbers of the rows are the second input.

    If they are constants, the rows are known; otherwise each place may take any row.
    """
    table, picked = step.operation.taken(0), step.operation.taken(1)
    axis = int(step.operation.constant(2)) % len(table)
    if step.operation.settings.get("batch_dims"):
        raise Unclear
    middle = step.wanted[axis : axis + len(picked)]
    yield 1, middle
    if step.operation.constants[1] is not None and len(picked) == 1:
        rows = middle[0].mapped(np.asarray(step.operation.constants[1]).__getitem__, table[axis])
    else:
        rows = Reach.whole(table[axis], step.because)
    yield 0, (*step.wanted[:axis], rows, *step.wanted[axis + len(picked) :])


def _looked_up(step: Step) -> Reads:
    """Rows of a table that is a variable: each place takes the row whose number is at the same place."""
    if step.operation.settings.get("batch_dims"):
        raise Unclear
    yield 1, step.wanted[: len(step.operation.taken(1))]


def _named(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


_RULES: Mapping[str, Rule] = {
    **_named(
        "Abs Acos Acosh Add AddN AddV2 Asin Asinh Atan Atan2 Atanh Cast Ceil CheckNumerics ClipByValue Cos Cosh"
        " Digamma Div DivNoNan Elu Equal Erf Erfc Erfinv Exp Expm1 Floor FloorDiv FloorMod Greater GreaterEqual"
        " Identity Inv IsFinite IsInf IsNan LeakyRelu Less LessEqual Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr"
        " Maximum Minimum Mod Mul MulNoNan Neg NotEqual Pow PreventGradient RealDiv Reciprocal Relu Relu6 Rint Round"
        " Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Square SquaredDifference"
        " StopGradient Sub Tan Tanh Xdivy Xlogy",
        _elementwise,
    ),
    **_named("BiasAdd FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3", _first_only),
    **_named(
        "Const Fill OnesLike Range Rank ReadVariableOp Shape ShapeN Size VarHandleOp ZerosLike Placeholder",
        _nothing,
    ),
    "IdentityN": _same_number,
    **dict.fromkeys(CONVOLUTIONS | POOLINGS, _window),
    **dict.fromkeys(TRANSPOSED, _transposed),
    **_named("All Any ArgMax ArgMin Max Mean Min Prod Sum EuclideanNorm", _reduction),
    **_named("LogSoftmax Softmax", _along_last),
    **_named("BatchMatMul BatchMatMulV2 BatchMatMulV3 MatMul", _matrix_product),
    "Einsum": _einsum,
    **_named("ExpandDims Reshape Squeeze", arrangements.reshape),
    "Transpose": arrangements.transpose,
    **_named("Pad PadV2", arrangements.pad),
    "MirrorPad": arrangements.mirror_pad,
    "ConcatV2": arrangements.concatenation,
    **_named("Split SplitV", arrangements.split),
    "Pack": arrangements.pack,
    "Unpack": arrangements.unpack,
    "Slice": arrangements.slice_,
    "StridedSlice": arrangements.strided_slice,
    "Tile": arrangements.tile,
    "BroadcastTo": arrangements.broadcast_to,
    "ReverseV2": arrangements.reverse,
    "GatherV2": _gather,
    "ResourceGather": _looked_up,
    "DepthToSpace": arrangements.depth_to_space,
    "SpaceToDepth": arrangements.space_to_depth,
    **_named("ResizeBilinear ResizeNearestNeighbor", arrangements.resize),
}
