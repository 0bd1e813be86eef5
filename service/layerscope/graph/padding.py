"""Zeros around values that a convolution behind them puts there itself, if it is told to.

A convolution that pads on its own reads the values where they lie; a layer that pads copies them all first.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from layerscope.graph.taps import Shape


def is_padded_the_same(convolution: Any, amounts: Any, size: Shape, kernel: Sequence[int]) -> bool:
    """Whether padding as `SAME` does it puts the same zeros around values.

    Args:
        convolution: its attributes; channels are last.
        amounts: the node of a constant: how many zeros come before and behind on each axis, the batch's and the channels'
            too.
        size: of the values, without the batch axis.
        kernel: height and width.
    """
    is_dilated = set(convolution["dilations"].list.i) > {1}
    if amounts.op != "Const" or len(size) != len(kernel) + 1 or is_dilated:
        return False
    wanted = [(0, 0), *map(_same, size[:-1], kernel, convolution["strides"].list.i[1:-1]), (0, 0)]
    return [tuple(each) for each in tf.make_ndarray(amounts.attr["value"].tensor).tolist()] == wanted


def _same(places: int | None, kernel: int, stride: int) -> tuple[int, int] | None:
    """The zeros of `SAME` before and behind one axis; None if they depend on the input."""
    if places is None:
        return None
    seen = (-(-places // stride) - 1) * stride + kernel
    zeros = max(seen - places, 0)
    return zeros // 2, zeros - zeros // 2
