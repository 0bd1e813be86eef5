"""What a caller may send for each input, and what it becomes."""

import keras
import numpy as np
import pytest
from engine_models import png, ready, tensor
from keras import layers

from layerscope.errors import ImageTooLarge, InputMismatch, TooMany
from layerscope.execution.inputs import ImageSource, TensorSource, rows_of
from layerscope.execution.interface import Query
from layerscope.images import decode
from layerscope.limits import Limits

WORDS = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.int64)


def run(engine, model, layers, **sources):
    return engine.run(Query(model=model, sources=sources, layers=layers)).activations


def tensors(*values, **options):
    return [TensorSource(each, **options) for each in values]


def test_a_batch_is_its_images(shared_engine):
    batch = tensor(3, 12, 12, 3)
    together = run(shared_engine, "plain", ["conv1"], start=tensors(batch))
    apart = run(shared_engine, "plain", ["conv1"], image=tensors(*batch))
    np.testing.assert_array_equal(together["conv1"].values, apart["conv1"].values)
    assert together.images == apart.images
    assert len(together.images) == 3


def test_an_image_and_its_pixels_to_preprocess_are_the_same(shared_engine):
    data = png(20, 15)
    pixels = decode(data, Limits()).pixels
    image = run(shared_engine, "plain", ["start"], image=[ImageSource(data)])
    array = run(shared_engine, "plain", ["start"], image=tensors(pixels, preprocess=True))
    batch = run(shared_engine, "plain", ["start"], image=tensors(pixels[None], preprocess=True))
    for activations in (array, batch):
        np.testing.assert_array_equal(activations["start"].values, image["start"].values)
    assert image["start"].values.max() <= 1


def test_inputs_pair_up(shared_engine):
    pictures = tensor(2, 6, 6, 1)
    both = run(shared_engine, "pair", ["both", "embedding"], picture=tensors(pictures), words=tensors(WORDS))
    for row in range(2):
        one = run(shared_engine, "pair", ["both"], picture=tensors(pictures[row]), words=tensors(WORDS[row]))
        np.testing.assert_allclose(one["both"].values[0], both["both"].values[row], atol=1e-5)
    swapped = run(shared_engine, "pair", ["both"], picture=tensors(pictures[0]), words=tensors(WORDS[1]))
    assert not np.allclose(swapped["both"].values[0], both["both"].values[0])
    assert len(both.images) == 4


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ({"image": tensors(WORDS)}, "pair takes the inputs picture, words; the request has image"),
        ({"picture": tensors(tensor(6, 6, 1))}, "the request has picture"),
        ({"picture": [], "words": []}, "no image"),
        ({"picture": tensors(tensor(2, 6, 6, 1)), "words": tensors(WORDS[0])}, "picture 2, words 1"),
        ({"picture": tensors(tensor(6, 6)), "words": tensors(WORDS[0])}, "takes shape 6x6x1, not 6x6"),
        ({"picture": tensors(tensor(6, 6, 3)), "words": tensors(WORDS[0])}, "takes shape 6x6x1, not 6x6x3"),
        ({"picture": tensors(tensor(6, 6, 1)), "words": [ImageSource(png(6, 6))]}, "does not take images"),
        (
            {
                "picture": tensors(tensor(6, 6, 1)),
                "words": tensors(WORDS[0].astype(np.uint8), preprocess=True),
            },
            "does not take images",
        ),
        ({"picture": tensors(tensor(6, 6, 1)), "words": tensors(WORDS[0] + 0.5)}, "cannot hold all of these"),
        (
            {"picture": tensors(tensor(6, 6, 1)), "words": tensors(WORDS[0] + (1 << 40))},
            "cannot hold all of these",
        ),
        (
            {"picture": tensors(tensor(6, 6, 1)), "words": tensors(np.array(list("abcd")))},
            "takes int32, not <U1",
        ),
        (
            {"picture": tensors(tensor(6, 6, 1) * 1j), "words": tensors(WORDS[0])},
            "takes float32, not complex",
        ),
        (
            {"picture": tensors(tensor(6, 6, 1), preprocess=True), "words": tensors(WORDS[0])},
            "uint8, not float32",
        ),
        (
            {"picture": tensors(np.zeros((6, 6, 2), np.uint8), preprocess=True), "words": tensors(WORDS[0])},
            "not an image",
        ),
        ({"picture": tensors(np.array(1.0)), "words": tensors(WORDS[0])}, "takes shape 6x6x1"),
    ],
)
def test_what_does_not_fit(shared_engine, sources, words):
    with pytest.raises(InputMismatch) as raised:
        run(shared_engine, "pair", ["both"], **sources)
    assert words in raised.value.message


@pytest.mark.parametrize("dtype", ["float64", "float16", "uint8", "bool", ">f4"])
def test_numbers_of_any_type_are_fed_as_the_input_takes_them(shared_engine, dtype):
    values = np.ones((12, 12, 3), dtype)
    fed = run(shared_engine, "plain", ["start"], image=tensors(values))["start"].values
    assert fed.dtype == np.float32
    np.testing.assert_array_equal(fed[0], values.astype(np.float32))


def test_numbers_that_float32_cannot_hold_become_infinite(shared_engine):
    values = np.full((12, 12, 3), 1e300)
    assert np.isposinf(run(shared_engine, "plain", ["start"], image=tensors(values))["start"].values).all()


def test_arrays_in_any_memory_order(shared_engine):
    values = tensor(12, 12, 3)
    for same in (
        np.asfortranarray(values),
        values[::-1][::-1],
        np.swapaxes(np.swapaxes(values, 0, 1).copy(), 0, 1),
    ):
        fed = run(shared_engine, "plain", ["start"], image=tensors(same))["start"].values[0]
        np.testing.assert_array_equal(fed, values)


def test_images_too_small_for_a_model_of_any_size(shared_engine):
    with pytest.raises(InputMismatch, match=r"cannot run on inputs of shape \[1, 2, 2, 3\]"):
        run(shared_engine, "free", ["conv"], image=tensors(tensor(2, 2, 3)))


def sized(model, *shape, **options):
    """The names of the rows of a tensor of a shape, which has no values if a side is zero."""
    values = np.empty(shape, np.uint8 if options else np.float32)
    rows = rows_of(model.description, {"image": [TensorSource(values, **options)]}, Limits())
    return [item.load(Limits()).shape for row in rows for item in row]


@pytest.fixture(scope="module")
def model_of_any_size():
    start = keras.Input((None, None, 3), name="start")
    hidden = layers.Conv2D(4, 3, padding="same", name="conv")(start)
    with ready(keras.Model(start, layers.GlobalAveragePooling2D(name="pool")(hidden))) as model:
        yield model


@pytest.mark.parametrize(
    "shape",
    [
        (0, 0, 3),
        (4, 0, 3),
        (1, 4, 0, 3),
        (2**31, 0, 3),
        (2**31 - 1, 0, 3),
        (2**20, 0, 2**31, 3),
        (2**40, 0, 0, 3),
    ],
)
def test_sides_of_zero_are_refused_whatever_the_others_are(model_of_any_size, shape):
    with pytest.raises(InputMismatch, match=r"takes shape \?x\?x3, each \? at least 1, not "):
        sized(model_of_any_size, *shape)


def test_a_batch_that_does_not_fit_is_not_taken_apart(shared_engine):
    with pytest.raises(InputMismatch, match="takes shape 12x12x3, not 0x0x0"):
        run(shared_engine, "plain", ["conv1"], image=tensors(np.empty((2**40, 0, 0, 0))))


def test_images_without_pixels_are_counted_before_they_are_taken_apart(model_of_any_size):
    with pytest.raises(TooMany, match="1099511627776 images"):
        sized(model_of_any_size, 2**40, 0, 0, 3, preprocess=True)


def test_a_side_of_zero_may_be_declared():
    start = keras.Input((0, 3), name="start")
    with ready(keras.Model(start, layers.Dense(2, name="dense")(start))) as model:
        assert sized(model, 2, 0, 3) == [(0, 3), (0, 3)]


def test_pixels_to_preprocess_are_bounded_like_those_of_files(model_of_any_size):
    with pytest.raises(ImageTooLarge, match="1 x 20000 pixels"):
        sized(model_of_any_size, 20_000, 1, 3, preprocess=True)
