"""Occlusion runs only what a patch changes, where that gives what the whole model gives."""

import keras
import pytest
from eager_methods import occlusion_of
from keras import layers
from test_attribution_methods import difference, pictures

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from saved_models import engine_over, save_models

SIDE, PATCH = 48, 6
IMAGES = pictures(2, seed=3, side=SIDE)


def classifier(image, hidden):
    hidden = layers.MaxPooling2D()(layers.Conv2D(6, 3, activation="relu")(hidden))
    hidden = layers.Conv2D(8, 3, activation="relu", padding="same")(hidden)
    return keras.Model(image, layers.Dense(3, activation="softmax")(layers.Flatten()(hidden)))


def plain():
    image = keras.Input((SIDE, SIDE, 3))
    return classifier(image, layers.Conv2D(4, 3, strides=2, padding="same")(image))


def placed():
    """What it makes of a part depends on where in the image that lies, though on nothing else of the image."""
    image = keras.Input((SIDE, SIDE, 3))
    rows = keras.ops.cumsum(keras.ops.ones_like(image), axis=1)
    return classifier(image, layers.Conv2D(4, 3)(image * rows / SIDE))


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return {"plain": plain(), "placed": placed()}


@pytest.fixture(scope="module")
def engine(models, tmp_path_factory):
    directory = tmp_path_factory.mktemp("local")
    save_models(directory, models)
    with engine_over(directory) as made:
        yield made


def explain(engine, name, images, patch=PATCH):
    method = METHODS["occlusion"]
    options = method.options(target="1", patch=patch, baseline="zero")
    sources = {"image": [TensorSource(images)]}
    found = engine.run(Query(model=name, sources=sources, methods={method.name: options}))
    return found.attribution(method.name).maps


def path_of(engine, name):
    loaded = engine.models.registry.find(name).model
    (source,), (_, target) = loaded.description.taps.select(["input"]), loaded.description.outputs[0]
    return loaded.local_paths.best(source, target, [(SIDE, SIDE, 3)], (PATCH, PATCH))


@pytest.mark.parametrize(("name", "is_trusted"), [("plain", True), ("placed", False)])
def test_maps_are_those_of_the_whole_model(engine, models, name, is_trusted):
    found = explain(engine, name, IMAGES)

    assert path_of(engine, name).is_trusted is is_trusted
    expected = occlusion_of(lambda images: models[name](images).numpy()[:, 1], IMAGES, PATCH, PATCH, 0.0)
    assert difference(found, expected) < 1e-4


def test_what_is_the_cover_already_changes_nothing(engine):
    image = IMAGES[:1].copy()
    image[:, : 2 * PATCH] = 0

    (found,) = explain(engine, "plain", image)

    assert not found[: 2 * PATCH].any()
    assert found[2 * PATCH :].any()
