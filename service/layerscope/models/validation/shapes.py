"""The shapes of weights that a configuration implies, for layers whose own configuration determines them.

They bound the memory before Keras builds a layer: `Dense(units=10**9)` is a short text.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from layerscope.errors import ConfigInvalid, ModelTooLarge, WeightsShapeMismatch
from layerscope.limits import Limits
from layerscope.models.validation.config import Config
from layerscope.models.validation.weights import StoredArray
from layerscope.models.validation.wiring import layers_of, models_in

Shape = tuple[int, ...]

_MOST_AXES = 64
"""The greatest number of axes of any array, as NumPy has it."""

_LISTS = (
    "kernel_size",
    "strides",
    "dilation_rate",
    "axis",
    "pool_size",
    "target_shape",
    "padding",
    "cropping",
)


def require_few_parameters(config: Config, limits: Limits) -> None:
    """Bound the memory that the layers would allocate when they are built, whatever the file holds.

    Raises:
        ModelTooLarge: the layers whose shapes are known have more parameters than allowed.
        ConfigInvalid: a size is negative, or has more axes than any array.
    """
    numbers = 0
    for _, model in models_in(config):
        for layer in layers_of(model):
            _require_few_axes(layer)
            numbers += sum(map(prod, _least(layer)))
            if numbers > limits.model_parameters:
                raise ModelTooLarge(
                    f"Layer {str(layer.get('name'))[:80]!r} brings the model to {numbers:,} parameters, and it may have"
                    f" {limits.model_parameters:,}.",
                    size=numbers,
                    limit=limits.model_parameters,
                )


def _require_few_axes(layer: Config) -> None:
    """Check lists of lengths before anything is multiplied: the product of a million numbers takes minutes."""
    config, built = (layer.get(key) for key in ("config", "build_config"))
    given = {key: config.get(key) for key in _LISTS} if isinstance(config, dict) else {}
    given["input_shape"] = built.get("input_shape") if isinstance(built, dict) else None
    for key, value in given.items():
        if isinstance(value, list) and len(value) > _MOST_AXES:
            raise ConfigInvalid(
                f"Layer {str(layer.get('name'))[:80]!r} has a {key} of {len(value):,} axes; arrays have at most"
                f" {_MOST_AXES}."
            )


def require_shapes(config: Config, arrays: Sequence[StoredArray]) -> None:
    """Compare the weights of a `.keras` file with its configuration.

    A file stores layers by class and number, in the order of the configuration. Layers with sublayers, and weights that
    are shared with another layer, are checked later, when the model is built (`models.probing`).

    Raises:
        WeightsShapeMismatch: a layer has weights of other shapes than its configuration implies.
    """
    stored: dict[str, dict[str, Shape]] = {}
    for each in arrays:
        group, _, number = each.path.rpartition("/vars/")
        stored.setdefault(group, {})[number] = each.shape
    for path, layer in _stored_layers(config, "layers"):
        implied = implied_shapes(layer)
        found = stored.get(path)
        if implied is not None and found is not None and list(found.values()) != implied:
            _refuse(layer, implied, found)


def _refuse(layer: Config, implied: list[Shape], found: Mapping[str, Shape]) -> None:
    name = str(layer.get("name") or layer["config"].get("name"))[:80]
    raise WeightsShapeMismatch(
        f"The weights of layer {name!r} have other shapes than its configuration implies.",
        layer=name,
        implied=[list(each) for each in implied],
        found=[list(each) for each in found.values()],
    )


def _stored_layers(model: Config, prefix: str) -> Iterator[tuple[str, Config]]:
    counts: Counter[str] = Counter()
    for layer in layers_of(model):
        name = _snake_case(str(layer["class_name"]))
        path = f"{prefix}/{name}_{counts[name]}" if counts[name] else f"{prefix}/{name}"
        counts[name] += 1
        yield path, layer
        yield from _stored_layers(layer, f"{path}/layers")


def _snake_case(name: str) -> str:
    """The name of a class as Keras writes it in a weights file."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def implied_shapes(layer: Config) -> list[Shape] | None:
    """The shapes of a layer's weights in order; None where they do not follow from its own configuration."""
    config, built = layer.get("config"), layer.get("build_config")
    shape = built.get("input_shape") if isinstance(built, dict) else None
    rule = _RULES.get(str(layer.get("class_name")))
    if (
        rule is None
        or not isinstance(config, dict)
        or not _is_shape(shape)
        or config.get("quantization_config")
    ):
        return None
    if any(config.get(key) for key in ("lora_rank", "gptq_unpacked_column_size")):
        return None
    try:
        shapes = rule(config, shape)
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return None
    plain = [tuple(each) for each in shapes]
    return plain if all(isinstance(side, int) for each in plain for side in each) else None


def _least(layer: Config) -> list[Shape]:
    """A lower bound of a layer's weights: one parameter for each unit or filter, if nothing more is known."""
    implied = implied_shapes(layer)
    if implied is not None:
        return implied
    config = layer.get("config")
    if not isinstance(config, dict):
        return []
    units = [config.get(key) for key in ("units", "filters", "output_dim", "input_dim")]
    known = [each for each in units if isinstance(each, int)]
    if any(each < 0 for each in known):
        raise ConfigInvalid(f"Layer {str(layer.get('name'))[:80]!r} has a negative size.")
    return [tuple(known)] if known else []


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, list) and all(each is None or isinstance(each, int) for each in shape)


def _bias(config: Config, size: int) -> list[Shape]:
    return [(size,)] if config["use_bias"] else []


def _dense(config: Config, shape: Any) -> list[Shape]:
    return [(shape[-1], config["units"]), *_bias(config, config["units"])]


def _embedding(config: Config, _: Any) -> list[Shape]:
    return [(config["input_dim"], config["output_dim"])]


def _channels(config: Config, shape: Any) -> int:
    return int(shape[1] if config["data_format"] == "channels_first" else shape[-1])


def _convolution(config: Config, shape: Any) -> list[Shape]:
    inputs = _channels(config, shape) // config["groups"]
    return [(*config["kernel_size"], inputs, config["filters"]), *_bias(config, config["filters"])]


def _depthwise(config: Config, shape: Any) -> list[Shape]:
    channels, multiplier = _channels(config, shape), config["depth_multiplier"]
    return [(*config["kernel_size"], channels, multiplier), *_bias(config, channels * multiplier)]


def _separable(config: Config, shape: Any) -> list[Shape]:
    channels, multiplier = _channels(config, shape), config["depth_multiplier"]
    one = [1] * len(config["kernel_size"])
    pointwise = (*one, channels * multiplier, config["filters"])
    return [(*config["kernel_size"], channels, multiplier), pointwise, *_bias(config, config["filters"])]


def _transposed(config: Config, shape: Any) -> list[Shape]:
    kernel = (*config["kernel_size"], config["filters"], _channels(config, shape))
    return [kernel, *_bias(config, config["filters"])]


def _batch_normalization(config: Config, shape: Any) -> list[Shape]:
    axis = config["axis"]
    if not isinstance(axis, int) or config.get("renorm"):
        raise ValueError("several axes")
    return [(shape[axis],)] * (config["scale"] + config["center"] + 2)


_RULES: Mapping[str, Callable[[Config, Any], list[Shape]]] = {
    "BatchNormalization": _batch_normalization,
    "Dense": _dense,
    "DepthwiseConv1D": _depthwise,
    "DepthwiseConv2D": _depthwise,
    "Embedding": _embedding,
    "SeparableConv1D": _separable,
    "SeparableConv2D": _separable,
    **{f"Conv{rank}D": _convolution for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": _transposed for rank in (1, 2, 3)},
}
