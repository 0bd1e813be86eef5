"""Zeros around values that a convolution behind them puts there itself, if it is told to.

A convolution that pads on its own reads the values where they lie; a layer that pads copies them all first.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from layerscope.graph.taps.tap import Shape


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
    places = [each for each in size[:-1] if each is not None]
    if amounts.op != "Const" or is_dilated or not len(places) == len(kernel) == len(size) - 1:
        return False
    wanted = [(0, 0), *map(same_padding, places, kernel, convolution["strides"].list.i[1:-1]), (0, 0)]
    return [tuple(each) for each in tf.make_ndarray(amounts.attr["value"].tensor).tolist()] == wanted


def same_padding(places: int, extent: int, stride: int) -> tuple[int, int]:
    """The zeros that `SAME` puts before and behind one axis, the odd one behind.

    Args:
        places: of the axis.
        extent: how many of them a kernel reaches over.
        stride: from one unit to the next.
    """
    missing = max((-(-places // stride) - 1) * stride + extent - places, 0)
    return missing // 2, missing - missing // 2
