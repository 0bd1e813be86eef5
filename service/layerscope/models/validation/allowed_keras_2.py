"""The list of classes and functions that a configuration of Keras 2 may name: those that are data, and not code."""

import re

from layerscope.models.validation import allowed

_SINCE_KERAS_3 = frozenset(
    [
        *(f"Adaptive{kind}Pooling{rank}D" for kind in ("Average", "Max") for rank in (1, 2, 3)),
        "AugMix",
        "AutoContrast",
        "ContrastLimitedAdaptiveHistogramEqualization",
        "CutMix",
        "Equalization",
        "GroupQueryAttention",
        "MaxNumBoundingBoxes",
        "MelSpectrogram",
        "MixUp",
        "Pipeline",
        "RMSNormalization",
        "RandAugment",
        "RandomColorDegeneration",
        "RandomColorJitter",
        "RandomElasticTransform",
        "RandomErasing",
        "RandomGaussianBlur",
        "RandomGrayscale",
        "RandomHue",
        "RandomInvert",
        "RandomPerspective",
        "RandomPosterization",
        "RandomSaturation",
        "RandomSharpness",
        "RandomShear",
        "ReversibleEmbedding",
        "STFTSpectrogram",
        "Solarization",
        "SpectralNormalization",
    ]
)

OPERATIONS = frozenset({"SlicingOpLambda", "TFOpLambda"})
"""Layers that apply one function of TensorFlow, which they name: see `is_function`."""

LAYERS = (
    (allowed.LAYERS - _SINCE_KERAS_3)
    | OPERATIONS
    | {
        *("BatchNormalizationV1", "BatchNormalizationV2", "CuDNNGRU", "CuDNNLSTM", "LocallyConnected1D"),
        *("LocallyConnected2D", "RandomHeight", "RandomWidth", "SyncBatchNormalization", "ThresholdedReLU"),
        *("UnifiedGRU", "UnifiedLSTM"),
    }
)

ACTIVATIONS = frozenset(
    {
        *(
            "elu",
            "exponential",
            "gelu",
            "hard_sigmoid",
            "leaky_relu",
            "linear",
            "log_softmax",
            "mish",
            "relu",
        ),
        *("relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "swish", "tanh"),
    }
)

SPECIAL = frozenset({"__bytes__", "__ellipsis__", "__numpy__", "__tensor__", "__tuple__", "TensorShape"})
"""What is no class: values that JSON has no word for."""

_MODULES: dict[str, frozenset[str]] = {
    "keras": allowed.MODELS,
    "keras.models": allowed.MODELS,
    "keras.engine.functional": frozenset({"Functional"}),
    "keras.engine.sequential": frozenset({"Sequential"}),
    "keras.engine.training": frozenset({"Model"}),
    "keras.layers": LAYERS,
    "keras.layers.core.tf_op_layer": OPERATIONS,
    "keras.initializers": allowed.INITIALIZERS,
    "keras.regularizers": allowed.REGULARIZERS,
    "keras.constraints": allowed.CONSTRAINTS,
    "keras.mixed_precision": frozenset({"Policy"}),
}
"""The classes of each module that a configuration may name. A module has one name here, see `_PACKAGE`."""

_PACKAGE = re.compile(r"^(tf_)?keras(\.src)?(?=\.|$)")
"""The package: `keras` before it was `tf_keras`, whose modules moved into `src`."""

FUNCTIONS: dict[str, frozenset[str]] = {
    "": frozenset(
        [
            "batch_to_space",
            "boolean_mask",
            "broadcast_to",
            "cast",
            "clip_by_norm",
            "clip_by_value",
            "concat",
            "convert_to_tensor",
            "einsum",
            "expand_dims",
            "fill",
            "gather",
            "gather_nd",
            "identity",
            "linspace",
            "meshgrid",
            "norm",
            "one_hot",
            "ones_like",
            "pad",
            "range",
            "rank",
            "repeat",
            "reshape",
            "reverse",
            "roll",
            "shape",
            "size",
            "slice",
            "space_to_batch",
            "split",
            "squeeze",
            "stack",
            "stop_gradient",
            "strided_slice",
            "tensordot",
            "tile",
            "transpose",
            "unstack",
            "where",
            "zeros_like",
        ]
    ),
    "__operators__": frozenset({"add", "eq", "getitem", "ne"}),
    "image": frozenset(
        [
            "adjust_brightness",
            "adjust_contrast",
            "adjust_gamma",
            "adjust_hue",
            "adjust_saturation",
            "central_crop",
            "convert_image_dtype",
            "crop_to_bounding_box",
            "flip_left_right",
            "flip_up_down",
            "grayscale_to_rgb",
            "hsv_to_rgb",
            "pad_to_bounding_box",
            "per_image_standardization",
            "resize",
            "resize_with_crop_or_pad",
            "resize_with_pad",
            "rgb_to_grayscale",
            "rgb_to_hsv",
            "rgb_to_yuv",
            "rot90",
            "transpose",
            "yuv_to_rgb",
        ]
    ),
    "linalg": frozenset(
        [
            "band_part",
            "diag",
            "diag_part",
            "l2_normalize",
            "matmul",
            "matrix_transpose",
            "matvec",
            "norm",
            "normalize",
            "trace",
        ]
    ),
    "math": frozenset(
        [
            "abs",
            "acos",
            "add",
            "add_n",
            "argmax",
            "argmin",
            "asin",
            "atan",
            "atan2",
            "ceil",
            "confusion_matrix",
            "cos",
            "cosh",
            "count_nonzero",
            "cumprod",
            "cumsum",
            "divide",
            "divide_no_nan",
            "equal",
            "erf",
            "exp",
            "expm1",
            "floor",
            "floordiv",
            "floormod",
            "greater",
            "greater_equal",
            "is_finite",
            "is_inf",
            "is_nan",
            "l2_normalize",
            "less",
            "less_equal",
            "log",
            "log1p",
            "log_sigmoid",
            "logical_and",
            "logical_not",
            "logical_or",
            "maximum",
            "minimum",
            "mod",
            "multiply",
            "multiply_no_nan",
            "negative",
            "not_equal",
            "pow",
            "real",
            "reciprocal",
            "reciprocal_no_nan",
            "reduce_all",
            "reduce_any",
            "reduce_euclidean_norm",
            "reduce_logsumexp",
            "reduce_max",
            "reduce_mean",
            "reduce_min",
            "reduce_prod",
            "reduce_std",
            "reduce_sum",
            "reduce_variance",
            "round",
            "rsqrt",
            "scalar_mul",
            "sigmoid",
            "sign",
            "sin",
            "sinh",
            "softplus",
            "sqrt",
            "square",
            "squared_difference",
            "subtract",
            "tan",
            "tanh",
            "top_k",
            "truediv",
            "xdivy",
            "xlogy",
        ]
    ),
    "nn": frozenset(
        [
            "atrous_conv2d",
            "avg_pool",
            "avg_pool1d",
            "avg_pool2d",
            "avg_pool3d",
            "batch_normalization",
            "bias_add",
            "conv1d",
            "conv2d",
            "conv2d_transpose",
            "conv3d",
            "crelu",
            "depth_to_space",
            "depthwise_conv2d",
            "elu",
            "erosion2d",
            "gelu",
            "l2_normalize",
            "leaky_relu",
            "local_response_normalization",
            "log_softmax",
            "max_pool",
            "max_pool1d",
            "max_pool2d",
            "max_pool3d",
            "moments",
            "relu",
            "relu6",
            "selu",
            "separable_conv2d",
            "silu",
            "softmax",
            "softplus",
            "softsign",
            "space_to_depth",
            "swish",
            "tanh",
            "top_k",
            "zero_fraction",
        ]
    ),
}
"""The functions of each module of TensorFlow that only compute. Others read files, load code, or call what they are given."""

_VERSION_1 = "compat.v1."


def is_class(name: str, module: str | None) -> bool:
    """Whether a class is on the list. Without a module, Keras 2 finds a name among its own classes only."""
    if not module:
        return any(name in names for names in _MODULES.values())
    return name in _MODULES.get(_PACKAGE.sub("keras", module), ())


def is_function(name: str) -> bool:
    """Whether a function of TensorFlow is on the list, by the name that it has in its API, such as `nn.relu`."""
    module, _, function = name.removeprefix(_VERSION_1).rpartition(".")
    return function in FUNCTIONS.get(module, ())
