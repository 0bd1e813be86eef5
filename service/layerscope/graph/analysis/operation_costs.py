"""Costs of single operations on known shapes, in multiplications of a large matrix product.

An operation that moves or maps numbers costs about as much as so many multiplications in the same time: a core multiplies much
faster than it reads memory. What is not in these tables has no known cost. Operations are in none of them if their cost
depends on numbers in the input, as that of a search for as long as something is found.
"""

from collections.abc import Callable, Mapping, Sequence
from math import log2, nan, prod
from typing import Any

MOVED = 16.0
"""A number that is read, mapped by something simple, and written."""

_CURVED = 5 * MOVED
"""A number that is mapped by a function such as `exp`."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FREE = _names(
    """
    Assert AssignVariableOp BroadcastArgs BroadcastGradientArgs CheckNumerics Const EnsureShape ExpandDims Identity IdentityN
    InvertPermutation NoOp Placeholder PlaceholderWithDefault PreventGradient Rank ReadVariableOp Reshape Shape ShapeN Size Snapshot
    Squeeze StopGradient TensorListElementShape TensorListGetItem TensorListLength TensorListReserve TensorListSetItem
    VarHandleOp VarIsInitializedOp EmptyTensorList StatelessRandomGetKeyCounter StatelessRandomGetAlg
    StatelessRandomGetKeyCounterAlg
    """
)
"""Operations that copy no numbers, or few."""

_MOVING = _names(
    """
    Abs Add AddN AddV2 All Any AsString ApproximateEqual ArgMax ArgMin BatchToSpace BatchToSpaceND BiasAdd BiasAddGrad Bincount Bitcast
    BitwiseAnd BitwiseOr BitwiseXor BroadcastTo Bucketize Cast Ceil ClipByValue ComplexAbs Complex Concat ConcatV2 Conj
    ConjugateTranspose Cross Cumprod Cumsum DenseBincount DepthToSpace Diag DiagPart Div DivNoNan DynamicPartition DynamicStitch
    Equal ExtractImagePatches ExtractVolumePatches Fill Floor FloorDiv FloorMod FakeQuantWithMinMaxArgs
    FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 Gather GatherNd
    GatherV2 Greater GreaterEqual HSVToRGB Imag InTopKV2 Inv IsFinite IsInf IsNan L2Loss LeakyRelu LeftShift Less LessEqual
    LinSpace LogicalAnd LogicalNot LogicalOr MatrixBandPart MatrixDiag MatrixDiagPart MatrixDiagPartV2 MatrixDiagPartV3
    MatrixDiagV2 MatrixDiagV3 MatrixSetDiag MatrixSetDiagV2 MatrixSetDiagV3 Max Maximum Mean Min Minimum MirrorPad Mod Mul
    MulNoNan Neg NextAfter NotEqual OneHot OnesLike Pack Pad PadV2 Prod RGBToHSV Range Real RealDiv Reciprocal Relu Relu6
    ResourceGather Reverse ReverseSequence ReverseV2 RightShift Rint Roll Round ScatterNd Select SelectV2 Sign Slice SpaceToBatch
    SpaceToBatchND SpaceToDepth Split SplitV StringToHashBucketFast Square SquaredDifference StridedSlice Sub Sum TensorListConcat TensorListConcatV2
    TensorListFromTensor TensorListGather TensorListScatter TensorListSplit TensorListStack TensorScatterAdd TensorScatterMax
    TensorScatterMin TensorScatterSub TensorScatterUpdate TensorStridedSliceUpdate Tile Transpose TruncateDiv TruncateMod Unpack
    Unique UniqueV2 UniqueWithCounts UniqueWithCountsV2 UnravelIndex UnsortedSegmentMax UnsortedSegmentMin UnsortedSegmentProd
    UnsortedSegmentSum SegmentMax SegmentMaxV2 SegmentMean SegmentMin SegmentMinV2 SegmentProd SegmentProdV2 SegmentSum
    SegmentSumV2 Where ZerosLike
    """
)
"""Operations that read each number, and write each, a few times at most."""

_CURVING = _names(
    """
    Acos Acosh AdjustContrastv2 AdjustHue AdjustSaturation Angle Asin Asinh Atan Atan2 Atanh BesselI0 BesselI0e BesselI1
    BesselI1e Betainc Cos Cosh CropAndResize Digamma Elu Erf Erfc Erfinv Exp Expm1 Igamma Igammac ImageProjectiveTransformV2
    ImageProjectiveTransformV3 Lgamma Log Log1p LogSoftmax Ndtri Polygamma Pow ResizeArea ResizeBicubic ResizeBilinear
    ResizeNearestNeighbor Rsqrt Selu Sigmoid Sin Sinh Softmax Softplus Softsign SparseSoftmaxCrossEntropyWithLogits
    SoftmaxCrossEntropyWithLogits Sqrt StatelessRandomGammaV2 StatelessRandomGammaV3 StatelessRandomNormal StatelessRandomNormalV2 StatelessRandomUniform
    StatelessRandomUniformFullInt StatelessRandomUniformFullIntV2 StatelessRandomUniformInt StatelessRandomUniformIntV2
    StatelessRandomUniformV2 StatelessTruncatedNormal StatelessTruncatedNormalV2 RandomShuffle RandomStandardNormal RandomUniform
    RandomUniformInt StatelessShuffle Tan Tanh TruncatedNormal Xdivy Xlog1py Xlogy Zeta
    """
)
"""Operations that do some dozens of steps for each number."""

_POOLING = frozenset({"AvgPool", "AvgPool3D", "MaxPool", "MaxPool3D", "MaxPoolV2", "MaxPoolWithArgmax"})

_TRANSFORMS: Mapping[str, int] = {
    **{f"{kind}FFT{axes or ''}": axes or 1 for kind in ("", "I", "R", "IR") for axes in (0, 2, 3)},
    "BatchFFT": 1,
    "BatchIFFT": 1,
    "TopK": 1,
    "TopKV2": 1,
}
"""Operations of n log n steps, and over how many of the last axes."""

_DECOMPOSITIONS = _names(
    """
    BatchMatrixInverse Cholesky Eig Lu LogMatrixDeterminant MatrixDeterminant MatrixExponential MatrixInverse MatrixLogarithm
    MatrixSolve MatrixSolveLs MatrixSquareRoot MatrixTriangularSolve Qr SelfAdjointEigV2 Svd
    """
)
"""Operations of n cubed steps over matrices."""

_WITHOUT_REUSE = 6.0
"""Multiplications of a convolution by groups of channels, each of which takes longer: what is read serves few of them."""

_STEPS_OF_A_TRANSFORM = 4 * MOVED
_STEPS_OF_A_DECOMPOSITION = 200.0

Shapes = Sequence[Sequence[float]]


def cost_of(operation: Any, unknown: float) -> float:
    """The cost of an operation that calls no function; NaN if it is not known.

    Args:
        operation: of a graph in which shapes were inferred.
        unknown: taken for sides that are not known; NaN for a cost that is not known then.
    """
    kind = operation.type
    if kind in _FREE:
        return 0.0
    read, made = _shapes(operation.inputs, unknown), _shapes(operation.outputs, unknown)
    if kind in _MOVING:
        return MOVED * _numbers(read, made)
    if kind in _CURVING:
        return _CURVED * _numbers(read, made)
    formula = _FORMULAS.get(kind)
    return nan if formula is None else MOVED * _numbers(read, made) + formula(operation, read, made)


def _numbers(read: Shapes, made: Shapes) -> float:
    """How many numbers are read or written: the larger, for what is broadcast is read from the caches."""
    return max(sum(map(prod, read)), sum(map(prod, made)))


def _shapes(tensors: Any, unknown: float) -> list[list[float]]:
    return [_shape(tensor, unknown) for tensor in tensors]


def _shape(tensor: Any, unknown: float) -> list[float]:
    if tensor.dtype.name in {"resource", "variant"}:
        return [0.0]
    if tensor.shape.rank is None:
        return [nan]
    sides = tensor.shape.as_list()
    # Of several sides that are not known, only one can be that of the batch.
    unknown = unknown if sides.count(None) == 1 else nan
    return [unknown if side is None else float(side) for side in sides]


def _convolution(operation: Any, read: Shapes, made: Shapes) -> float:
    """Each number of the result is a sum over the window and the input channels of its group: all sides of the kernel but the last."""
    axis = 1 if operation.get_attr("data_format").startswith(b"NC") else -1
    is_grouped = read[0][axis] > read[1][-2]
    return (_WITHOUT_REUSE if is_grouped else 1) * prod(made[0]) * prod(read[1][:-1])


def _transposed_convolution(_: Any, read: Shapes, __: Shapes) -> float:
    """Each number of the input goes into the window, in each output channel: all sides of the kernel but the last."""
    return prod(read[2]) * prod(read[1][:-1])


def _depthwise(_: Any, read: Shapes, made: Shapes) -> float:
    return _WITHOUT_REUSE * prod(made[0]) * prod(read[1][:2])


def _matrix_product(operation: Any, read: Shapes, made: Shapes) -> float:
    is_transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    return float(prod(made[0]) * read[0][-2 if is_transposed else -1])


def _einsum(operation: Any, read: Shapes, made: Shapes) -> float:
    """The product of all sides that have a name; an ellipsis has those of the result that are left."""
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sides: dict[str, float] = {}
    for term, shape in zip(terms, read, strict=True):
        named = term.replace("...", "")
        before = len(term.partition("...")[0])
        known = [*shape[:before], *shape[len(shape) - (len(named) - before) :]] if "..." in term else shape
        sides |= dict(zip(named, known, strict=True))
        rest = shape[before : len(shape) - (len(named) - before)] if "..." in term else ()
        sides["..."] = max(sides.get("...", 1.0), prod(rest))
    return max(prod(sides.values()), prod(made[0]))


def _pooling(operation: Any, _: Shapes, made: Shapes) -> float:
    window: float = prod(operation.get_attr("ksize"))
    return MOVED / 4 * prod(made[0]) * window


def _dilation(_: Any, read: Shapes, made: Shapes) -> float:
    return MOVED * prod(made[0]) * prod(read[1][:2])


def _local_response(operation: Any, _: Shapes, made: Shapes) -> float:
    radius: float = operation.get_attr("depth_radius")
    return _CURVED * prod(made[0]) * (2 * radius + 1)


def _transform(operation: Any, read: Shapes, made: Shapes) -> float:
    axes = _TRANSFORMS[operation.type]
    numbers, length = max((prod(shape), prod(shape[-axes:])) for shape in (read[0], made[0]))
    return _STEPS_OF_A_TRANSFORM * numbers * log2(max(2.0, length))


def _decomposition(_: Any, read: Shapes, __: Shapes) -> float:
    return _STEPS_OF_A_DECOMPOSITION * prod(read[0]) * min(read[0][-2:])


def _suppression(_: Any, read: Shapes, __: Shapes) -> float:
    """Each box is compared with each that was chosen before."""
    return _CURVED * read[0][0] ** 2


def _scaled(_: Any, read: Shapes, made: Shapes) -> float:
    """Each new row is a sum over the old rows that it covers, and so is each column."""
    return 16 * MOVED * (prod(read[0]) + prod(made[0]))


_FORMULAS: Mapping[str, Callable[[Any, Shapes, Shapes], float]] = {
    **dict.fromkeys(("Conv2D", "Conv3D"), _convolution),
    **dict.fromkeys(("Conv2DBackpropInput", "Conv3DBackpropInputV2"), _transposed_convolution),
    "DepthwiseConv2dNative": _depthwise,
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _matrix_product),
    "Einsum": _einsum,
    **dict.fromkeys(_POOLING, _pooling),
    "Dilation2D": _dilation,
    "LRN": _local_response,
    **dict.fromkeys(_TRANSFORMS, _transform),
    **dict.fromkeys(_DECOMPOSITIONS, _decomposition),
    **{f"NonMaxSuppression{version}": _suppression for version in ("", "V2", "V3", "V4", "V5")},
    "ScaleAndTranslate": _scaled,
}
