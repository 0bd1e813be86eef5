"""Presets of preprocessing: the usual normalisations, and how a declaration overrides one."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from layerscope.errors import OptionInvalid

PRESETS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "none": {},
        "unit": {"scale": 1 / 255},
        "signed": {"scale": 1 / 127.5, "offset": -1.0},
        "caffe": {"color": "bgr", "mean": (103.939, 116.779, 123.68)},
        "torch": {"color": "rgb", "mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)},
    }
)
"""Fields of each preset. They give values of 0 to 255; 0 to 1; -1 to 1; pixels minus the ImageNet means in BGR order (Caffe,
VGG); pixels minus the ImageNet means, divided by the standard deviations, in RGB order (torchvision's, times 255)."""

LARGEST_FACTOR = 1e30
"""Bound of all numbers of a declaration: 255 times it is still a finite float32."""

_LINEAR = frozenset({"scale", "offset"})
_STANDARD = frozenset({"mean", "std"})


def merge_preset(name: str, fields: Mapping[str, object]) -> dict[str, object]:
    """Override the fields of a preset. `scale` or `offset` replace its `mean` and `std`, and the other way round.

    Raises:
        KeyError: There is no such preset.
    """
    replaced = (_STANDARD if fields.keys() & _LINEAR else frozenset()) | (
        _LINEAR if fields.keys() & _STANDARD else frozenset()
    )
    kept = {key: value for key, value in PRESETS[name].items() if key not in replaced}
    return {**kept, **fields}


def with_scale_and_offset(fields: Mapping[str, object]) -> dict[str, object]:
    """Rewrite mean and std as scale and offset, and single numbers as sequences of one.

    Raises:
        OptionInvalid: mean or std are not finite numbers, std contains 0, or scale or offset are given, too.
    """
    rewritten = {key: value for key, value in fields.items() if key not in _STANDARD}
    if fields.keys() & _STANDARD:
        if fields.keys() & _LINEAR:
            message = "Preprocessing takes either mean and std or scale and offset, not both."
            raise OptionInvalid(message, option=next(iter(fields.keys() & _STANDARD)))
        rewritten |= _linear(
            _numbers("mean", fields.get("mean", 0.0)), _numbers("std", fields.get("std", 1.0))
        )
    for key in rewritten.keys() & _LINEAR:
        value = rewritten[key]
        rewritten[key] = (value,) if isinstance(value, int | float) else value
    return rewritten


def _linear(mean: tuple[float, ...], std: tuple[float, ...]) -> dict[str, object]:
    channels = max(len(mean), len(std))
    if len(mean) not in (1, channels) or len(std) not in (1, channels):
        message = (
            f"mean and std must have one number or as many as each other, not {len(mean)} and {len(std)}."
        )
        raise OptionInvalid(message, option="std", mean=len(mean), std=len(std))
    if 0 in std:
        raise OptionInvalid("The preprocessing field 'std' must not contain 0.", option="std")
    means = mean * (channels // len(mean))
    stds = std * (channels // len(std))
    return {
        "scale": tuple(1 / deviation for deviation in std),
        "offset": tuple(-center / deviation for center, deviation in zip(means, stds, strict=True)),
    }


def _numbers(name: str, value: object) -> tuple[float, ...]:
    values = value if isinstance(value, list | tuple) else (value,)
    if 1 <= len(values) <= 4 and all(_is_finite(number) for number in values):
        return tuple(float(number) for number in values)
    message = f"The preprocessing field {name!r} must be finite numbers in pixel units, one or one a channel."
    raise OptionInvalid(message, option=name)


def _is_finite(number: object) -> bool:
    return isinstance(number, int | float) and abs(number) < LARGEST_FACTOR and math.isfinite(number)
