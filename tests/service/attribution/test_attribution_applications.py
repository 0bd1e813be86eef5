"""Every architecture of keras.applications: every method at three depths, against `GradientTape`."""

from contextlib import contextmanager
from functools import partial

import eager_methods
import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import scatter_statistics
from keras.src.applications.efficientnet import DEFAULT_BLOCKS_ARGS, EfficientNet

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits
from layerscope.models.architectures import architectures

pytestmark = pytest.mark.wide

SIZES = (32, 71, 75)
"""Sides of images. The first that an architecture allows is taken."""

UNHURRIED = Limits(deadline_milliseconds=3_600_000, attribution_milliseconds=3_600_000)
"""Large networks take minutes to compile where others use the processor, too."""

FEW = {
    "scorecam": {"top": 32},
    "smoothgrad": {"samples": 2},
    "integrated-gradients": {"steps": 3, "baseline": "zero"},
    "occlusion": {"patch": 16, "stride": 16, "baseline": "zero"},
}
"""Options with which a method takes few runs."""

EAGER = eager_methods.METHODS | {
    "scorecam": partial(eager_methods.scorecam, top=32),
    "smoothgrad": partial(eager_methods.smoothgrad, samples=2),
    "integrated-gradients": partial(eager_methods.integrated_gradients, steps=3, baseline=0.0),
    "occlusion": lambda example, images: eager_methods.occlusion_of(
        lambda versions: example.scores(versions).numpy(), images, patch=16, stride=16, cover=0.0
    ),
}


class Application:
    """A network, and one of its layers, as `eager_methods` look at them."""

    target, options = 3, {}

    def __init__(self, model, layer, scores):
        self.model, self.layer, self.scores = model, layer, scores
        self.before = keras.Model(model.input, layer.output)

    def after(self, values, images):
        with given(self.layer, values):
            return self.model(images, training=False)


@contextmanager
def given(layer, values):
    """A context in which a layer gives these values, whatever it is called with."""
    vars(layer)["call"] = lambda *_, **__: values
    try:
        yield
    finally:
        del vars(layer)["call"]


def build(make):
    for size in SIZES:
        try:
            model = make(weights=None, input_shape=(size, size, 3), classes=7, classifier_activation=None)
        except ValueError as error:
            refused = error
        else:
            return scatter_statistics(model)
    raise refused


def three_layers(model):
    """An early, a middle and a late layer with rows and columns."""
    maps = [layer for layer in model.layers[1:] if len(layer.output.shape) == 4 and layer.output.shape[1] > 1]
    return [maps[len(maps) // 5], maps[len(maps) // 2], maps[-1]]


@pytest.fixture
def engine_of(tmp_path):
    engines = []

    def started(model):
        (tmp_path / "network" / "1").mkdir(parents=True)
        model.save(tmp_path / "network" / "1" / "model.keras")
        engines.append(LocalEngine(tmp_path, UNHURRIED))
        engines[-1].load_all()
        return engines[-1]

    yield started
    for engine in engines:
        engine.close()


def errors_of(engine, model, methods):
    """The largest difference of each map, as a part of the largest magnitude."""
    image = np.random.default_rng(0).uniform(0, 255, (1, *model.input.shape[1:])).astype(np.float32)
    scores = tf.function(
        lambda images: model(images, training=False)[:, Application.target],
        input_signature=[tf.TensorSpec(model.input.shape)],
        autograph=False,
    )
    errors = {}
    for layer in three_layers(model):
        application = Application(model, layer, scores)
        for method in methods:
            kind = METHODS[method].kind
            options = FEW.get(method, {}) | ({"layer": layer.name} if kind == "layer" else {})
            if METHODS[method].has_target:
                options = options | {"target": str(application.target)}
            where = layer.name if kind == "layer" else "input"
            if (method, where) not in errors:
                query = Query(
                    model="network",
                    sources={"image": [TensorSource(image)]},
                    methods={method: METHODS[method].options(**options)},
                )
                found = engine.run(query).attribution(method).maps
                expected = EAGER[method](application, image)
                # Occlusion gives differences of outputs, which are rounded as these are.
                sizes = [expected, scores(image)] if method == "occlusion" else [expected]
                largest = max(np.abs(each).max() for each in sizes)
                # A map without any positive part is zero.
                errors[method, where] = np.abs(found - expected).max() / (largest or 1)
    return errors


def test_gradients_pass_through_swish(engine_of):
    """An EfficientNet that is small enough for every day."""
    keras.utils.set_random_seed(1)
    model = build(partial(EfficientNet, 0.25, 0.1, 32, blocks_args=DEFAULT_BLOCKS_ARGS[:3]))
    errors = errors_of(engine_of(model), model, ["gradcam", "layercam", "saliency", "integrated-gradients"])
    assert {each: error for each, error in errors.items() if not error < 1e-4} == {}


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(architectures()))
def test_every_method_at_three_depths(engine_of, name):
    keras.utils.set_random_seed(1)
    model = build(architectures()[name])
    errors = errors_of(engine_of(model), model, EAGER)
    assert {each: error for each, error in errors.items() if not error < 1e-4} == {}
    keras.utils.clear_session(free_memory=False)
