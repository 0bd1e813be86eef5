"""Queries with edits: everything in the answer is of the edited model, and nothing of it reaches other answers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from engine_models import query, tensor

from layerscope.attribution import METHODS
from layerscope.errors import InputMismatch, LayerNotFound, OptionInvalid
from layerscope.execution.inputs import TensorSource
from layerscope.interventions import parse_edit

IMAGES = tensor(3, 12, 12, 3)


@pytest.fixture(scope="module")
def plain(model_directory):
    return keras.models.load_model(model_directory / "plain.keras")


def edited(layers, *texts, images=IMAGES, **options):
    return query("plain", layers, images, edits=[parse_edit(text) for text in texts], **options)


def values(engine, request, address="flat"):
    return engine.run(request).activations[address].values


def eager(plain, images, changes):
    """The values of all layers, with a change of the values of some."""
    found, hidden = {}, images
    for layer in plain.layers[1:]:
        hidden = np.asarray(layer(hidden)).copy()
        hidden = changes.get(layer.name, lambda array: array)(hidden)
        found[layer.name] = hidden
    return found


def without(*channels):
    def change(array):
        array[..., list(channels)] = 0
        return array

    return change


def test_layers_behind_an_edit_are_those_of_the_edited_model(shared_engine, plain):
    expected = eager(plain, IMAGES, {"conv1": without(2, 3, 4)})
    found = shared_engine.run(edited(["conv0", "conv1", "conv3"], "conv1;channels=2-4;set=0")).activations
    for address in ("conv0", "conv1", "conv3"):
        np.testing.assert_allclose(found[address].values, expected[address], atol=1e-5)


def test_several_edits_depend_on_each_other(shared_engine, plain):
    changes = {"conv0": without(0), "conv2": lambda array: np.clip(array * 2 + 0.1, 0, 0.5)}
    request = edited(["flat"], "conv2;scale=2;add=0.1;low=0;high=0.5", "conv0;channels=0;set=0")
    np.testing.assert_allclose(
        values(shared_engine, request), eager(plain, IMAGES, changes)["flat"], atol=1e-5
    )


def test_the_mean_is_that_of_the_image_without_edits(shared_engine, plain):
    def change(array):
        array[..., 1] = array[..., 1].mean((1, 2), keepdims=True)
        return array

    found = values(shared_engine, edited(["flat"], "conv1;channels=1;set=mean"))
    np.testing.assert_allclose(found, eager(plain, IMAGES, {"conv1": change})["flat"], atol=1e-5)


def test_a_patch_of_all_values_of_a_separator_gives_the_other_image(shared_engine, plain):
    other = tensor(12, 12, 3, seed=4)
    request = edited(["flat"], "conv1;patch=other", patches={"other": {"image": [TensorSource(other)]}})
    expected = eager(plain, other[None], {})["flat"]
    for row in values(shared_engine, request):
        np.testing.assert_allclose(row, expected[0], atol=1e-5)


def test_clean_values_stay_as_they_are_and_values_before_the_edit_are_shared(start_engine):
    engine = start_engine("plain")
    before = engine.run(query("plain", ["all"], IMAGES)).activations
    first = engine.run(edited(["conv0", "conv3"], "conv2;set=0"))
    assert not first.activations.hit
    again = engine.run(edited(["conv0", "conv3"], "conv2;set=0"))
    assert again.activations.hit
    np.testing.assert_array_equal(first.activations["conv0"].values, before["conv0"].values)
    after = engine.run(query("plain", ["all"], IMAGES)).activations
    assert after.hit
    for address, activation in before.items():
        np.testing.assert_array_equal(after[address].values, activation.values)
    other = engine.run(edited(["conv3"], "conv2;set=1")).activations
    assert not other.hit
    assert not np.array_equal(other["conv3"].values, first.activations["conv3"].values)


def score_gradient(plain, images, source, changes):
    """The gradient of the largest output by the values of a layer, or of the images; eagerly."""
    hidden = tf.constant(images)
    with tf.GradientTape() as tape:
        if source is None:
            by = hidden
            tape.watch(by)
        for layer in plain.layers[1:]:
            hidden = layer(hidden)
            if layer.name in changes:
                hidden = changes[layer.name](hidden)
            if layer.name == source:
                by = hidden
                tape.watch(by)
        target = tf.reduce_sum(tf.reduce_max(hidden, axis=-1))
    return by.numpy(), tape.gradient(target, by).numpy()


@pytest.mark.parametrize("edit_at", ["conv1", "conv2", "conv3"])
def test_grad_cam_at_a_layer_before_at_and_behind_an_edit(shared_engine, plain, edit_at):
    keep = np.ones(8, np.float32)
    keep[:4] = 0.5
    acts, slopes = score_gradient(plain, IMAGES, "conv2", {edit_at: lambda array: array * keep})
    expected = np.maximum((acts * slopes.mean((1, 2), keepdims=True)).sum(-1), 0)
    options = METHODS["gradcam"].options(layer="conv2")
    request = edited([], f"{edit_at};channels=0-3;scale=0.5", methods={"gradcam": options})
    maps = shared_engine.run(request).attribution("gradcam").maps
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    clean = shared_engine.run(query("plain", [], IMAGES, methods={"gradcam": options})).attribution("gradcam")
    assert not np.allclose(clean.maps, maps)


@pytest.mark.parametrize("name", ["saliency", "integrated-gradients", "occlusion"])
def test_methods_that_run_versions_of_an_image_run_the_edited_model(shared_engine, name):
    options = METHODS[name].options()
    clean, same, changed = (
        shared_engine.run(query("plain", [], IMAGES, methods={name: options}, edits=edits))
        .attribution(name)
        .maps
        for edits in ([], [parse_edit("conv1;scale=1")], [parse_edit("conv1;channels=0-3;set=0")])
    )
    np.testing.assert_allclose(same, clean, atol=1e-5 * np.abs(clean).max())
    assert not np.allclose(changed, clean, atol=1e-3 * np.abs(clean).max())


def test_an_edit_that_changes_nothing_in_the_answer_is_refused(shared_engine):
    with pytest.raises(OptionInvalid, match="Nothing that is asked for depends on conv3"):
        shared_engine.run(edited(["conv1"], "conv3;set=0"))
    with pytest.raises(OptionInvalid, match="depends on conv3"):
        shared_engine.plan(edited(["conv1", "conv2"], "conv2;set=0", "conv3;set=0"))


def test_edits_that_fit_no_layer_or_no_value_are_refused(shared_engine):
    with pytest.raises(LayerNotFound):
        shared_engine.run(edited(["flat"], "conv9;set=0"))
    words = {"picture": [TensorSource(tensor(6, 6, 1))], "words": [TensorSource(np.ones(4, np.int32))]}
    request = query("pair", ["both"], edits=[parse_edit("words;set=0")])
    with pytest.raises(InputMismatch, match="only floating-point numbers"):
        shared_engine.run(type(request)(model="pair", sources=words, layers=["both"], edits=request.edits))
