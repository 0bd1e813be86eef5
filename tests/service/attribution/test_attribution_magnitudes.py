"""Heat maps of values of any size that float32 holds: sums of them, and squares, need more."""

import keras
import numpy as np
import pytest
from keras import layers

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine

SIDE = 4
SIZES = {"huge": 1e21, "usual": 1.0, "minute": 1e-25}
IMAGE = np.random.default_rng(3).uniform(0.5, 1, (1, SIDE, SIDE, 2)).astype(np.float32)
IMAGE[..., 0] = 0.5 + IMAGE[..., 0] / 100


def model_of(size, kernel, weights):
    start = keras.Input((SIDE, SIDE, 2), name="start")
    last = layers.Conv2D(2, 1, use_bias=False, name="last")
    kind = layers.Dense(1, use_bias=False, name="kind")
    model = keras.Model(start, kind(layers.GlobalAveragePooling2D(name="pool")(last(start))))
    last.set_weights([np.float32(size) * np.array(kernel, np.float32).reshape(1, 1, 2, 2)])
    kind.set_weights([np.array(weights, np.float32).reshape(2, 1)])
    return model


@pytest.fixture(scope="module")
def explain(tmp_path_factory):
    """`opposed` has two channels that almost cancel each other, the others one that varies little and one that varies much."""
    directory = tmp_path_factory.mktemp("magnitudes")
    opposed = model_of(1e20, [[1, -1 + 2**-10], [0, 0]], [1e21, 1e21])
    models = {name: model_of(size, [[1, 0], [0, 1]], [1 / size] * 2) for name, size in SIZES.items()}
    for name, model in {**models, "opposed": opposed}.items():
        model.save(directory / f"{name}.keras")
    engine = LocalEngine(directory)
    engine.load_all()

    def explained(model, method, image=IMAGE, **options):
        sources = {"image": [TensorSource(image)]}
        query = Query(model=model, sources=sources, methods={method: METHODS[method].options(**options)})
        return engine.run(query).attribution(method).maps

    yield explained
    engine.close()


@pytest.mark.parametrize("method", ["gradcam", "hirescam", "layercam"])
def test_channels_may_cancel_each_other_beyond_float32(explain, method):
    expected = IMAGE[..., 0] * np.float64(1e41) * 2**-10 / SIDE**2
    np.testing.assert_allclose(explain("opposed", method), expected, rtol=1e-3)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.kind == "layer"])
def test_a_map_does_not_depend_on_the_size_of_the_values(explain, method, size):
    expected, found = explain("usual", method), explain(size, method)
    is_of_values = method in {"eigencam", "scorecam"}
    np.testing.assert_allclose(found / (SIZES[size] if is_of_values else 1), expected, rtol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_channels_that_vary_most_are_found_at_any_size(explain, size):
    found = explain(size, "scorecam", top=1)
    np.testing.assert_allclose(found, IMAGE[..., 1] * np.float32(SIZES[size]), rtol=1e-4)


@pytest.mark.parametrize("value", [1e38, 1e-25])
def test_the_mean_colour_of_an_image_of_values_of_any_size(explain, value):
    image = np.full_like(IMAGE, value)
    assert not explain("minute", "integrated-gradients", image, baseline="mean", steps=2).any()
