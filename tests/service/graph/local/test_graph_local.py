"""Changes of a part of an image: what is computed of the part only is what the whole model computes."""

import keras
import numpy as np
import pytest
from graph_models import assert_close, noise, scatter_statistics, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from layerscope.errors import InputMismatch
from layerscope.graph.local import LocalChanges, LocalPaths
from layerscope.graph.local.axes import Axis
from layerscope.graph.receptive.field import ReceptiveFields


def same(**options):
    return {"padding": "same", **options}


STACKABLE = {
    "convolution": lambda: layers.Conv2D(3, 3, activation="relu", **same()),
    "valid": lambda: layers.Conv2D(3, (2, 3)),
    "strided": lambda: layers.Conv2D(3, 3, strides=2, **same()),
    "strided valid": lambda: layers.Conv2D(3, (3, 2), strides=(2, 1)),
    "strided by three": lambda: layers.Conv2D(3, 2, strides=3, **same()),
    "dilated": lambda: layers.Conv2D(3, 3, dilation_rate=(2, 3), **same()),
    "depthwise": lambda: layers.DepthwiseConv2D(3, **same()),
    "separable": lambda: layers.SeparableConv2D(3, 3, strides=2, **same()),
    "pooling": lambda: layers.AveragePooling2D(2),
    "pooling same": lambda: layers.MaxPooling2D(3, strides=2, **same()),
    "padding": lambda: layers.ZeroPadding2D(((1, 0), (2, 1))),
    "strided and padded": lambda: keras.Sequential(
        [
            layers.ZeroPadding2D(((0, 1), (0, 1))),
            layers.DepthwiseConv2D(3, strides=2),
            layers.BatchNormalization(),
        ]
    ),
    "cropping": lambda: layers.Cropping2D(((0, 1), (1, 2))),
    "upsampling": lambda: layers.UpSampling2D(2),
    "normalization": layers.BatchNormalization,
}
SIZED = {"cropping", "dilated"}
"""What is made for one size: TensorFlow computes dilated convolutions of an image that is cut up and padded to fit."""


def with_head(image, hidden):
    return keras.Model(image, layers.Dense(4, name="head")(layers.GlobalAveragePooling2D()(hidden)))


def stack(names, sides, *, is_residual):
    image = hidden = keras.Input((*sides, 2))
    for name in names:
        hidden = STACKABLE[name]()(hidden)
        if is_residual:
            hidden = layers.Add()([hidden, layers.Conv2D(hidden.shape[-1], 3, **same())(hidden)])
    return scatter_statistics(with_head(image, hidden))


class Covered:
    """Versions of one image of a model, by the path and by the whole model."""

    def __init__(self, model, side, stride, *, others=(), first=0):
        """`first` is the axis of rows; that of columns follows."""
        self.made = traced(model)
        self.source, *others_taps = self.made.taps("input")
        (self.target,) = self.made.taps("head")
        shape = tuple(self.source.shape)
        self.image, self.cover = noise(*shape), noise(*shape, seed=1)
        self.inputs = [self.image, *others]
        self.others = dict(zip(others_taps, others, strict=True))
        self.before, (height, width) = (slice(None),) * first, shape[first : first + 2]
        self.boxes = [
            (range(top, min(top + side, height)), range(left, min(left + side, width)))
            for top in range(0, height, stride)
            for left in range(0, width, stride)
        ]
        self.paths = LocalPaths(self.made.executable, ReceptiveFields(self.made.prepared), self.made.index)
        self.path = self.paths.best(
            self.source, self.target, [each.shape for each in self.inputs], (side, side)
        )

    def local(self):
        taps = [checkpoint.tap for checkpoint in self.path.checkpoints]
        arrays = self.made.executable.run([each[np.newaxis] for each in self.inputs], taps)
        values = {tap: array[0] for tap, array in zip(taps, arrays, strict=True)}
        executable = self.made.executable
        changes = LocalChanges(executable, self.path, values, self.others, self.boxes, self.cover)
        return changes.run(range(len(self.boxes)), self.target, executable)

    def whole(self):
        versions = np.repeat(self.image[np.newaxis], len(self.boxes), axis=0)
        for version, (rows, columns) in zip(versions, self.boxes, strict=True):
            part = *self.before, slice(rows.start, rows.stop), slice(columns.start, columns.stop)
            version[part] = self.cover[part]
        others = [np.repeat(each[np.newaxis], len(versions), axis=0) for each in self.inputs[1:]]
        return self.made.executable.run([versions, *others], [self.target])[0]


@given(
    st.lists(st.sampled_from(sorted(STACKABLE)), min_size=1, max_size=4),
    st.tuples(st.integers(25, 34), st.integers(25, 34)),
    st.booleans(),
    st.integers(1, 9),
)
@settings(max_examples=12)
def test_covers_of_a_random_stack(names, sides, is_residual, side):
    covered = Covered(stack(names, sides, is_residual=is_residual), side, 5)
    if covered.path is None:
        return
    try:
        found = covered.local()
    except InputMismatch:
        # Which is found out before anybody relies on it.
        assert not SIZED.isdisjoint(names)
    else:
        assert_close(found, covered.whole())


def test_most_of_a_deep_stack_is_spared():
    covered = Covered(
        stack(["convolution"] * 3 + ["pooling", "convolution"], (64, 64), is_residual=True), 4, 4
    )

    assert len(covered.path.checkpoints) > 2
    assert_close(covered.local(), covered.whole())


@pytest.mark.parametrize("sides", [(48, 44), (47, 46)])
def test_padding_that_a_convolution_does_itself(sides):
    covered = Covered(
        stack(
            ["convolution", "strided and padded", "convolution", "strided and padded"],
            sides,
            is_residual=False,
        ),
        4,
        4,
    )

    assert covered.path is not None
    assert_close(covered.local(), covered.whole())


def test_a_place_at_the_end_that_no_unit_sees_changes_none_in_its_window():
    axis = Axis(offset=0, stride=2, size=3, places=16, units=7)
    change, (window,) = axis.changed(range(15, 16)), axis.windows([range(15, 16)])

    assert len(change) == 0
    assert change.start == axis.units_from(window)


def test_versions_without_a_change_are_the_image():
    covered = Covered(stack(["convolution", "strided"], (32, 32), is_residual=False), 4, 4)
    covered.boxes = [(range(0), range(0)), covered.boxes[20]]

    nothing, something = covered.local()

    assert_close(nothing, covered.made.value("head", on=[covered.image[np.newaxis]])[0])
    assert_close(np.stack([nothing, something]), covered.whole())


def test_other_inputs_stay_as_they_are():
    image, number = keras.Input((32, 32, 2)), keras.Input((3,))
    hidden = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 5, activation="relu")(image))
    model = keras.Model([image, number], layers.Dense(4, name="head")(layers.Concatenate()([hidden, number])))
    covered = Covered(model, 6, 6, others=[noise(3)])

    assert_close(covered.local(), covered.whole())


def test_channels_first():
    image = keras.Input((2, 32, 32))
    hidden = layers.Permute((2, 3, 1))(image)
    covered = Covered(with_head(image, layers.Conv2D(4, 3)(hidden)), 4, 4, first=1)

    assert_close(covered.local(), covered.whole())


@pytest.mark.parametrize("kind", ["attention of channels", "dense"])
def test_there_is_no_way_round_what_looks_at_the_whole_image(kind):
    image = keras.Input((24, 24, 2))
    if kind == "dense":
        hidden = layers.Reshape((24, 24, 1))(layers.Dense(576)(layers.Flatten()(image)))
    else:
        hidden = layers.Multiply()([image, layers.GlobalAveragePooling2D(keepdims=True)(image)])

    assert Covered(with_head(image, layers.Conv2D(4, 3)(hidden)), 4, 4).path is None
