"""SAME padding: whether a padding layer and a VALID convolution are the same as one convolution with SAME padding.

A convolution that pads reads its input where it is; a padding layer copies all of it first.
"""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from layerscope.graph.taps.tap import Shape


def is_padded_the_same(convolution: Any, amounts: Any, size: Shape, kernel: Sequence[int]) -> bool:
    """Whether SAME padding puts the same number of zeros on each side as a `Pad` operation does.

    SAME depends on the size of the input, so the size must be known. Dilated kernels are left alone.

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
    """The number of zeros that SAME puts before and behind one axis. If it is odd, the one more is behind.

    Args:
        places: the length of the axis.
        extent: the number of places from the first to the last that a kernel reads.
        stride: the distance of neighbouring units.
    """
    missing = max((-(-places // stride) - 1) * stride + extent - places, 0)
    return missing // 2, missing - missing // 2
