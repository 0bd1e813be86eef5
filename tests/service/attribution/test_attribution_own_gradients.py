"""Gradients that layers define themselves, and where they come from: they are those that training would use."""

import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from own_gradients import NAMES, write_models
from tensorflow.core.protobuf import saved_model_pb2

from layerscope.attribution import METHODS
from layerscope.attribution.target_layers import why_no_attribution, why_no_map
from layerscope.errors import LayerscopeError, NotDifferentiable
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from saved_models import engine_over

pytestmark = pytest.mark.wide


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("own_gradients")
    models = write_models(directory)
    with engine_over(directory) as engine:
        yield engine, models


def maps(engine, name, method, image, **options):
    query = Query(
        model=name,
        sources={"image": [TensorSource(image)]},
        methods={method: METHODS[method].options(target="1", **options)},
    )
    return engine.run(query).attribution(method).maps


def image_of(model):
    return np.random.default_rng(0).uniform(-1, 1, (1, *model.input.shape[1:])).astype(np.float32)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_an_input_is_that_of_tensorflow(served, name):
    engine, models = served
    image = image_of(models[name])
    with tf.GradientTape() as tape:
        values = tf.constant(image)
        tape.watch(values)
        score = models[name](values, training=False)[:, 1]
    expected = np.abs(tape.gradient(score, values)).max(-1)
    found = maps(engine, name, "saliency", image)
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_of_a_layer_is_that_of_tensorflow(served, name):
    engine, models = served
    image = image_of(models[name])
    both = keras.Model(models[name].input, [models[name].get_layer("stem").output, models[name].output])
    with tf.GradientTape() as tape:
        values = tf.constant(image)
        tape.watch(values)
        stem, scores = both(values, training=False)
        score = scores[:, 1]
    expected = (stem * tape.gradient(score, stem)).numpy().sum(-1)
    found = maps(engine, name, "hirescam", image, layer="stem")
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["gradcam", "scorecam"])
def test_a_tap_is_said_to_have_a_map_exactly_where_it_has_one(served, method):
    engine, models = served
    described = engine.describe("stopped")
    image, answered, said = image_of(models["stopped"]), set(), set()
    for tap in described.taps.outputs():
        if why_no_map(tap) is not None:
            continue
        if why_no_attribution(described, METHODS[method], tap) is None:
            said.add(tap.address)
        try:
            maps(engine, "stopped", method, image, layer=tap.address)
        except LayerscopeError:
            continue
        answered.add(tap.address)
    assert said == answered
    assert {"whole", "sum"} <= said
    assert "beside" not in said
    assert ("before_step" in said) == (method == "scorecam")


def test_it_is_told_why_a_layer_has_no_gradient(served):
    engine, models = served
    with pytest.raises(NotDifferentiable, match="no gradient flows back"):
        maps(engine, "stopped", "gradcam", image_of(models["stopped"]), layer="before_step")


def test_a_gradient_that_is_hidden_in_a_compiled_function_is_refused(served):
    engine, models = served
    with pytest.raises(NotDifferentiable, match="IdentityN defines itself is hidden in a compiled function"):
        maps(engine, "branching", "saliency", image_of(models["branching"]))


@pytest.fixture(scope="module")
def exported(served, tmp_path_factory):
    """The same models as SavedModels."""
    _, models = served
    directory = tmp_path_factory.mktemp("exported")
    for name in NAMES:
        models[name].export(directory / name / "1" / "model.savedmodel", verbose=False)
    folder = directory / "unsaved" / "1" / "model.savedmodel"
    shutil.copytree(directory / "steps" / "1" / "model.savedmodel", folder)
    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    del saved.meta_graphs[0].graph_def.library.registered_gradients[:]
    (folder / "saved_model.pb").write_bytes(saved.SerializeToString())
    engine = LocalEngine(directory, trusted=True)
    engine.load_all()
    yield engine
    engine.close()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_saved_models_are_those_of_tensorflow(served, exported, name):
    engine, _ = served
    image = image_of(served[1][name])
    for method, options in (("saliency", {}), ("hirescam", {"layer": "stem"})):
        expected = maps(engine, name, method, image, **options)
        found = maps(exported, name, method, image, **options)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_a_gradient_that_was_not_saved_is_missing(served, exported):
    with pytest.raises(
        NotDifferentiable, match="IdentityN defines itself is known only where the model was made"
    ):
        maps(exported, "unsaved", "saliency", image_of(served[1]["steps"]))
