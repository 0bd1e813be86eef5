"""The receptive field of a unit: nothing outside its box matters, and no smaller box would do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import noise, traced
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from layerscope.errors import OptionInvalid
from layerscope.graph.receptive.field import ReceptiveFields

SIDES = (19, 23)


def same(**options):
    return {"padding": "same", **options}


STACKABLE = {
    "convolution": lambda: layers.Conv2D(2, 3, **same()),
    "valid": lambda: layers.Conv2D(2, (2, 3)),
    "strided": lambda: layers.Conv2D(2, 3, strides=2, **same()),
    "strided valid": lambda: layers.Conv2D(2, (3, 2), strides=(2, 1)),
    "dilated": lambda: layers.Conv2D(2, 3, dilation_rate=(2, 3), **same()),
    "depthwise": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, **same()),
    "depthwise dilated": lambda: layers.DepthwiseConv2D(3, dilation_rate=2, **same()),
    "separable": lambda: layers.SeparableConv2D(2, 3, strides=2, **same()),
    "transposed": lambda: layers.Conv2DTranspose(2, 3, strides=2, **same()),
    "transposed valid": lambda: layers.Conv2DTranspose(2, 2, strides=3),
    "pooling": lambda: layers.AveragePooling2D(2),
    "pooling same": lambda: layers.AveragePooling2D(3, strides=2, **same()),
    "padding": lambda: layers.ZeroPadding2D(((1, 0), (2, 1))),
    "cropping": lambda: layers.Cropping2D(((0, 1), (1, 2))),
    "upsampling": lambda: layers.UpSampling2D((2, 1)),
    "bilinear": lambda: layers.UpSampling2D(2, interpolation="bilinear"),
    "pointwise": lambda: layers.Dense(3),
    "turned": lambda: layers.Permute((2, 1, 3)),
    "normalization": layers.BatchNormalization,
}
BRANCHES = {"one way": None, "sum": layers.Add, "concatenation": layers.Concatenate}


def positive(model):
    """Weights above zero, so that no two ways from a pixel to a unit cancel out."""
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(random.uniform(0.5, 1.0, weight.shape))
    return model


def field(made, address, unit, shape):
    (tap,) = made.taps(address)
    return ReceptiveFields(made.prepared).of(tap, unit, [shape])


def box_of(pixels):
    """From and to of what is true."""
    rows, columns = np.nonzero(pixels)
    return {"y": (rows.min(), rows.max() + 1), "x": (columns.min(), columns.max() + 1)}


def absolute_gradient(model, image, place):
    """The derivative of all channels of a unit by each pixel of the image."""
    with tf.GradientTape() as tape:
        variable = tf.Variable(image)
        value = tf.reduce_sum(model(variable, training=False)[(0, *place)])
    return np.abs(tape.gradient(value, variable).numpy()).sum(axis=(0, 3))


@given(
    st.lists(st.sampled_from(sorted(STACKABLE)), min_size=1, max_size=4),
    st.sampled_from(sorted(BRANCHES)),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=30)
def test_the_box_is_what_a_unit_of_a_random_stack_depends_on(names, branches, where):
    image = keras.Input((*SIDES, 2))
    end = image
    for name in names:
        if min(end.shape[1:3]) > 4:
            end = STACKABLE[name]()(end)
    if BRANCHES[branches]:
        end = BRANCHES[branches](name="joined")(
            [layers.Conv2D(2, 5, **same())(end), layers.Conv2D(2, 1)(end)]
        )
    model = positive(keras.Model(image, end))
    place = tuple(int(part * (size - 1)) for part, size in zip(where, end.shape[1:3], strict=True))

    seen = field(traced(model), "outputs", dict(zip("yx", place, strict=True)), (*SIDES, 2))

    depends = absolute_gradient(model, noise(1, *SIDES, 2), place) > 0
    assert seen.is_exact
    assert seen.inputs[0].box == (box_of(depends) if depends.any() else None)


@pytest.mark.parametrize("place", [(0, 0), (1, 3), (3, 4)])
def test_pixels_outside_the_box_do_not_matter_and_those_at_its_corners_do(place):
    image = keras.Input((*SIDES, 2))
    hidden = layers.MaxPooling2D(3, strides=2, **same())(layers.Conv2D(2, 3, activation="relu")(image))
    made = traced(positive(keras.Model(image, layers.MaxPooling2D(2, name="end")(hidden))))
    (seen,) = field(made, "end", dict(zip("yx", place, strict=True)), (*SIDES, 2)).inputs
    (top, bottom), (left, right) = seen.box["y"], seen.box["x"]
    picture = np.abs(noise(1, *SIDES, 2))
    (tap,) = made.taps("end")

    def unit(values):
        return made.executable.run([values], [tap])[0][(0, *place)]

    outside = picture + 100
    outside[:, top:bottom, left:right] = picture[:, top:bottom, left:right]
    np.testing.assert_array_equal(unit(outside), unit(picture))
    for corner in ((top, left), (bottom - 1, right - 1)):
        changed = picture.copy()
        changed[(0, *corner)] += 100
        assert (unit(changed) > unit(picture)).all()


@pytest.mark.parametrize(
    ("architecture", "layer", "size", "stride", "padding"),
    [
        ("ResNet50", "conv5_block3_out", 483, 32, None),
        ("MobileNet", "conv_pw_13_relu", 315, 32, 126),
        ("VGG16", "block5_pool", 212, 32, 90),
    ],
)
def test_published_figures(architecture, layer, size, stride, padding):
    """Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, Distill 2019.

    ResNet has another padding there: the strides are in other layers.
    """
    build = getattr(keras.applications, architecture)
    model = build(weights=None, include_top=False, input_shape=(224, 224, 3))
    (seen,) = field(traced(model), layer, {}, (224, 224, 3)).inputs

    for line in seen.lines.values():
        assert (line.size, line.stride) == (size, stride)
        assert padding in {None, -line.offset}
    assert seen.lines.keys() == {"y", "x"}
    assert seen.because is None


def test_what_looks_at_everything_says_which_layer_does():
    image = keras.Input((8, 8, 4))
    pooled = layers.GlobalAveragePooling2D(name="squeeze")(layers.Conv2D(4, 3, name="conv")(image))
    scaled = layers.Multiply(name="excite")([image, layers.Reshape((1, 1, 4))(pooled)])
    made = traced(keras.Model(image, layers.Dense(2, name="head")(layers.Flatten()(scaled))))

    (seen,) = field(made, "excite", {"y": 2, "x": 3}, (8, 8, 4)).inputs
    assert seen.is_whole
    assert seen.because == "squeeze computes from all places (Mean)."
    assert not seen.lines
    head = field(made, "head", {}, (8, 8, 4))
    assert (head.unit, head.inputs[0].box) == ({}, {"y": (0, 8), "x": (0, 8)})
    assert "head" in head.inputs[0].because


def test_what_is_not_known_is_taken_to_see_everything():
    image = keras.Input((8, 8, 2))
    made = traced(keras.Model(image, layers.Lambda(lambda x: tf.cumsum(x, axis=1), name="sums")(image)))
    seen = field(made, "sums", {"y": 2, "x": 3}, (8, 8, 2))
    assert not seen.is_exact
    assert seen.inputs[0].is_whole


def test_steps_slices_and_rows_of_a_batch():
    clip = keras.Input((5, 8, 9, 2))
    frames = layers.TimeDistributed(layers.Conv2D(2, 3, name="conv"), name="frames")(clip)
    made = traced(keras.Model(clip, layers.Conv3D(2, 2, name="end")(frames)))
    seen = field(made, "end", {"z": 1, "y": 2, "x": 3}, (5, 8, 9, 2))
    assert seen.inputs[0].box == {"z": (1, 3), "y": (2, 6), "x": (3, 7)}

    steps = keras.Input((12, 3))
    causal = layers.Conv1D(2, 3, padding="causal", dilation_rate=2, name="causal")(steps)
    made = traced(keras.Model(steps, causal))
    assert field(made, "causal", {"x": 7}, (12, 3)).inputs[0].box == {"x": (3, 8)}


@pytest.mark.parametrize(("length", "dtype"), [(9, "int32"), (None, "float32")])
def test_three_neighbouring_words_are_three_tokens(length, dtype):
    words = keras.Input((length,), dtype=dtype, name="words")
    grams = layers.Conv1D(5, 3, name="grams")(layers.Embedding(20, 4, name="embedded")(words))
    made = traced(keras.Model(words, layers.GlobalMaxPooling1D(name="any")(grams)))
    seen = field(made, "grams", {"x": 2}, (9,))
    assert (seen.is_exact, seen.inputs[0].box, seen.inputs[0].is_whole) == (True, {"x": (2, 5)}, False)
    assert seen.inputs[0].lines["x"].size == 3
    assert field(made, "embedded", {"x": 8}, (9,)).inputs[0].box == {"x": (8, 9)}
    whole = field(made, "any", {}, (9,)).inputs[0]
    assert (whole.box, whole.is_whole) == ({"x": (0, 9)}, True)


def test_an_image_of_any_size_and_two_inputs():
    left, right = keras.Input((None, None, 1), name="left"), keras.Input((6, 6, 1), name="right")
    far = layers.Conv2D(2, 3, dilation_rate=2, padding="same", name="far")(left)
    near = layers.Conv2D(2, 3, padding="same", name="near")(right)
    made = traced(keras.Model([left, right], layers.Add(name="sum")([layers.Cropping2D(2)(far), near])))
    fields = ReceptiveFields(made.prepared)
    shapes = [(10, 10, 1), (6, 6, 1)]

    both = fields.of(made.index["sum"], {"y": 3, "x": 0}, shapes)
    assert [each.box for each in both.inputs] == [{"y": (3, 8), "x": (0, 5)}, {"y": (2, 5), "x": (0, 2)}]
    one = fields.of(made.index["near"], {"y": 0, "x": 0}, shapes)
    assert [each.box for each in one.inputs] == [None, {"y": (0, 2), "x": (0, 2)}]


@pytest.mark.parametrize(
    ("layer", "unit", "words"),
    [("stem", {"y": 6}, "y=0 to 5"), ("stem", {"z": 0}, "y and x only"), ("scores", {"x": 0}, "no places")],
)
def test_places_that_are_not_there(layer, unit, words):
    image = keras.Input((6, 6, 1))
    hidden = layers.Conv2D(2, 3, padding="same", name="stem")(image)
    made = traced(keras.Model(image, layers.Dense(2, name="scores")(layers.Flatten()(hidden))))
    with pytest.raises(OptionInvalid, match=words):
        field(made, layer, unit, (6, 6, 1))


def test_grouped_convolutions_are_functions_that_are_looked_into():
    image = keras.Input((9, 9, 4))
    hidden = layers.Conv2D(4, 3, groups=4, name="each")(image)
    made = traced(
        keras.Model(image, layers.Conv2D(4, 3, strides=2, groups=2, padding="same", name="end")(hidden))
    )
    (seen,) = field(made, "end", {"y": 1, "x": 3}, (9, 9, 4)).inputs
    assert seen.box == {"y": (1, 6), "x": (5, 9)}
    assert seen.lines["y"].size == 5
