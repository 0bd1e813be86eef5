"""EfficientNet-Lite0 with the weights of a PyTorch file: an architecture that `keras.applications` lacks.

The network is that of Tan and Le (2019), https://arxiv.org/abs/1905.11946, in the variant for small devices: without
squeeze-and-excitation, and with ReLU6. It takes colours in -1 to 1, 224x224 pixels, and tells the 1,000 classes of ImageNet.
The layers have the names that `keras.applications.EfficientNetB0` gives them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
from keras import layers
from numpy.typing import NDArray

from layerscope.errors import ModelUnreadable
from layerscope.models.torch_file import read_tensors

Tensors = Mapping[str, NDArray[Any]]

NAME = "EfficientNetLite0"
"""What a declaration calls it."""

_SIDE = 224
_CLASSES = 1000
_EPSILON = 1e-3
_EXPANSION = 6
_FIELDS: Mapping[type, tuple[str, ...]] = {
    layers.DepthwiseConv2D: ("weight",),
    layers.Conv2D: ("weight",),
    layers.BatchNormalization: ("weight", "bias", "running_mean", "running_var"),
    layers.Dense: ("weight", "bias"),
}
"""The tensors of each kind of layer, in the order in which Keras has them."""


class _Stage(NamedTuple):
    """Blocks one behind the other; only the first has the stride and changes the number of channels."""

    blocks: int
    kernel: int
    stride: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 16),
    _Stage(2, 3, 2, 24),
    _Stage(2, 5, 2, 40),
    _Stage(3, 3, 2, 80),
    _Stage(3, 5, 1, 112),
    _Stage(4, 5, 2, 192),
    _Stage(1, 3, 1, 320),
)


def build(weights: Path | None) -> keras.Model:
    """The network: `(n, 224, 224, 3)` to `(n, 1000)` probabilities.

    Args:
        weights: a file that PyTorch wrote; None for random weights.

    Raises:
        ModelUnreadable: the file has no tensors, or those of another network.
    """
    model = _untrained()
    if weights is not None:
        _pour(read_tensors(weights), model)
    return model


def _untrained() -> keras.Model:
    image = keras.Input((_SIDE, _SIDE, 3), name="image")
    x = layers.Conv2D(32, 3, 2, "same", use_bias=False, name="stem_conv")(image)
    x = _normalized(x, "stem_")
    for name, stage, is_first in _blocks():
        expansion = 1 if stage is _STAGES[0] else _EXPANSION
        x = _block(x, name, stage, stage.stride if is_first else 1, expansion)
    x = layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    x = _normalized(x, "top_")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    probabilities = layers.Dense(_CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(image, probabilities, name="efficientnet-lite0")


def _pour(tensors: Tensors, model: keras.Model) -> None:
    """Set the weights of `model` to those of the PyTorch model: all of them, and all of these."""
    known = {name for name in tensors if not name.endswith(".num_batches_tracked")}
    try:
        for name, source in _sources():
            names, values = _weights(model.get_layer(name), source, tensors)
            model.get_layer(name).set_weights(values)
            known -= names
    except (KeyError, ValueError) as error:
        raise ModelUnreadable(f"These are not the weights of EfficientNet-Lite0: {error}") from error
    if known:
        raise ModelUnreadable(f"These are not the weights of EfficientNet-Lite0: it has no {min(known)}.")


def _blocks() -> Iterator[tuple[str, _Stage, bool]]:
    """The prefix of the names of each block's layers, its stage, and whether it is the first there."""
    for number, stage in enumerate(_STAGES, 1):
        for block in range(stage.blocks):
            yield f"block{number}{'abcd'[block]}_", stage, block == 0


def _block(x: Any, name: str, stage: _Stage, stride: int, expansion: int) -> Any:
    """An inverted bottleneck: a wider pointwise convolution, a depthwise one, and a narrow one without activation."""
    before = x
    if expansion > 1:
        x = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}expand_conv")(x)
        x = _normalized(x, f"{name}expand_")
    x = layers.DepthwiseConv2D(stage.kernel, stride, "same", use_bias=False, name=f"{name}dwconv")(x)
    x = _normalized(x, name)
    x = layers.Conv2D(stage.channels, 1, use_bias=False, name=f"{name}project_conv")(x)
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}project_bn")(x)
    if x.shape != before.shape:
        return x
    return layers.Add(name=f"{name}add")([x, before])


def _normalized(x: Any, name: str) -> Any:
    x = layers.BatchNormalization(epsilon=_EPSILON, name=f"{name}bn")(x)
    return layers.ReLU(6, name=f"{name}activation")(x)


def _sources() -> Iterator[tuple[str, str]]:
    """The name of each layer with weights, and of the module of PyTorch whose weights it takes."""
    yield from (("stem_conv", "_conv_stem"), ("stem_bn", "_bn0"))
    for number, (name, stage, _) in enumerate(_blocks()):
        module = f"_blocks.{number}."
        if stage is not _STAGES[0]:
            yield from (
                (f"{name}expand_conv", f"{module}_expand_conv"),
                (f"{name}expand_bn", f"{module}_bn0"),
            )
        yield from ((f"{name}dwconv", f"{module}_depthwise_conv"), (f"{name}bn", f"{module}_bn1"))
        yield from ((f"{name}project_conv", f"{module}_project_conv"), (f"{name}project_bn", f"{module}_bn2"))
    yield from (("top_conv", "_conv_head"), ("top_bn", "_bn1"), ("predictions", "_fc"))


def _weights(layer: Any, module: str, tensors: Tensors) -> tuple[set[str], list[NDArray[Any]]]:
    """The tensors that a layer takes, by name and as Keras wants them: PyTorch has the axes of a kernel in another order."""
    fields = next(fields for kind, fields in _FIELDS.items() if isinstance(layer, kind))
    names = [f"{module}.{field}" for field in fields]
    values = [tensors[name] for name in names]
    if isinstance(layer, layers.DepthwiseConv2D):
        values[0] = values[0].transpose(2, 3, 0, 1)
    elif isinstance(layer, layers.Conv2D):
        values[0] = values[0].transpose(2, 3, 1, 0)
    elif isinstance(layer, layers.Dense):
        values[0] = values[0].T
    return set(names), values
