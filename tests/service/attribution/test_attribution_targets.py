"""What is explained: classes, positions, outputs, and what stands for them when they are differentiated."""

import numpy as np
import pytest
import tensorflow as tf
from test_attribution_methods import difference, pictures

from layerscope.errors import LayerNotFound, NoPicture, NotDifferentiable, OptionInvalid

IMAGES = pictures(4, seed=3)


def test_the_likeliest_class_is_explained_of_each_image(explain):
    chances = np.asarray(explain.examples["plain"].model(IMAGES))
    found = explain("plain", "gradcam", IMAGES)
    assert [target.index for target in found.targets] == list(chances.argmax(1))
    np.testing.assert_allclose([target.value for target in found.targets], chances.max(1), rtol=1e-5)
    assert {target.name for target in found.targets} <= {"cat", "dog", "cup"}


def test_a_class_by_name_is_the_class_by_number(explain):
    named = explain("plain", "hirescam", IMAGES, target="dog")
    numbered = explain("plain", "hirescam", IMAGES, target="1")
    assert {(target.index, target.name) for target in named.targets} == {(1, "dog")}
    np.testing.assert_array_equal(named.maps, numbered.maps)


def test_one_probability_of_two_names_is_two_classes(explain):
    other, one = (explain("sure", "hirescam", IMAGES, output="sure", target=each) for each in "01")
    np.testing.assert_array_equal(other.maps, -one.maps)
    values = [np.array([target.value for target in each.targets]) for each in (other, one)]
    np.testing.assert_allclose(sum(values), 1, rtol=1e-6)
    likeliest = explain("sure", "gradcam", IMAGES, output="sure")
    assert [target.index for target in likeliest.targets] == list((values[1] >= 0.5).astype(int))
    assert {(target.index, target.name) for target in likeliest.targets} <= {(0, "no"), (1, "yes")}


def test_one_probability_without_two_names_is_one_class(explain):
    """The model declares three names, for another output."""
    found, named = (
        explain("several", "hirescam", IMAGES, output="sure", target=each) for each in ("argmax", "0")
    )
    chances = np.asarray(explain.examples["several"].model(IMAGES)["sure"])[:, 0]
    assert {(target.index, target.name, target.form) for target in found.targets} == {(0, None, "logits")}
    np.testing.assert_allclose([target.value for target in found.targets], chances, rtol=1e-5)
    np.testing.assert_array_equal(found.maps, named.maps)
    with pytest.raises(OptionInvalid, match="Two declared class names"):
        explain("several", "gradcam", IMAGES, output="sure", target="1")


def test_a_number_has_no_class(explain):
    found = explain("size", "integrated-gradients", IMAGES, output="size")
    sizes = np.asarray(explain.examples["size"].model(IMAGES)["size"])[:, 0]
    assert {(target.index, target.name, target.form) for target in found.targets} == {(None, None, "output")}
    np.testing.assert_allclose([target.value for target in found.targets], sizes, rtol=1e-5)
    with pytest.raises(OptionInvalid, match="1 classes"):
        explain("size", "gradcam", IMAGES, output="size", target="1")


def test_one_place_of_a_map(explain):
    model = explain.examples["segments"].model
    stem, pool, head = (model.get_layer(name) for name in ("stem", "pool", "segments"))
    values = tf.convert_to_tensor(stem(IMAGES))
    with tf.GradientTape() as tape:
        tape.watch(values)
        score = (head.convolution_op(pool(values), head.kernel) + head.bias)[:, 2, 4, 1]
    expected = (values * tape.gradient(score, values)).numpy().sum(-1)
    found = explain("segments", "hirescam", IMAGES, position="2,4", target="1", layer="stem")
    assert difference(found.maps, expected) < 1e-4
    chances = np.asarray(model(IMAGES))[:, 2, 4]
    np.testing.assert_allclose([target.value for target in found.targets], chances[:, 1], rtol=1e-5)
    likeliest = explain("segments", "hirescam", IMAGES, position="2,4")
    assert [target.index for target in likeliest.targets] == list(chances.argmax(1))


@pytest.mark.parametrize("position", ["6,0", "0,6", "1", "1,1,1"])
def test_a_place_that_is_not_there(explain, position):
    with pytest.raises(OptionInvalid, match="6x6 places"):
        explain("segments", "gradcam", IMAGES, position=position)


def test_the_whole_of_a_map_is_the_sum_of_its_places(explain):
    whole = explain("segments", "hirescam", IMAGES[:1], target="0")
    places = [
        explain("segments", "hirescam", IMAGES[:1], target="0", position=f"{y},{x}")
        for y in range(6)
        for x in range(6)
    ]
    assert difference(sum(each.maps for each in places), whole.maps) < 1e-4
    assert whole.targets[0].value == pytest.approx(sum(each.targets[0].value for each in places), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "form", "measured"),
    [
        ("plain", "logits", "kind@preactivation"),
        ("skipping", "logits", "chance@preactivation"),
        ("nested", "logits", "chance@input"),
        ("subclassed", "logits", "kind"),
        ("segments", "logits", "segments@preactivation"),
        ("labels", "logits", "label@preactivation"),
        ("hidden_softmax", "log", None),
        ("shared", "output", "kind"),
    ],
)
def test_it_is_told_what_was_differentiated(explain, model, form, measured):
    target = explain(model, "gradcam", IMAGES[:1]).targets[0]
    assert target.form == form
    assert measured in {None, target.output.score_tap.address}


def test_a_model_that_is_certain_is_explained_by_its_logits(explain):
    """The softmax is 1 to the last bit, and its gradient zero."""
    found = explain("certain", "saliency", IMAGES)
    assert {target.value for target in found.targets} == {1.0}
    with tf.GradientTape() as tape:
        images = tf.convert_to_tensor(IMAGES)
        tape.watch(images)
        chances = tf.reduce_max(explain.examples["certain"].model(images), 1)
    assert not np.asarray(tape.gradient(chances, images)).any()
    assert found.maps.max(axis=(1, 2)).min() > 1


def test_integrated_gradients_sum_up_to_the_difference_they_explain(explain):
    example = explain.examples["plain"]
    found = explain("plain", "integrated-gradients", IMAGES, target="1", steps=300)
    difference_made = example.scores(IMAGES) - example.scores(np.full_like(IMAGES, -1))
    np.testing.assert_allclose(found.maps.sum(axis=(1, 2)), difference_made, rtol=1e-2)


@pytest.mark.parametrize(
    ("model", "layer"),
    [
        ("plain", "last"),
        ("skipping", "add"),
        ("nested", "backbone"),
        ("shared", "twice:1"),
        ("subclassed", "last"),
        ("segments", "pool"),
        ("branches", "near"),
        ("point", "stem"),
    ],
)
def test_left_out_the_layer_is_the_last_one_with_rows_and_columns_on_the_way(explain, model, layer):
    assert explain(model, "gradcam", IMAGES[:1]).target_layer.address == layer


def test_an_output_is_not_explained_by_what_it_does_not_depend_on(explain):
    far = explain("branches", "gradcam", IMAGES, output=explain.examples["branches"].options["output"])
    assert far.target_layer.address == "far"
    with pytest.raises(NotDifferentiable, match="not computed from far"):
        explain("branches", "gradcam", IMAGES, layer="far")


@pytest.mark.parametrize(
    ("model", "method", "options", "error", "words"),
    [
        ("smooth", "guided-saliency", {}, NotDifferentiable, "without rectifiers"),
        ("plain", "gradcam", {"layer": "pool"}, NoPicture, "Its axes are channels"),
        ("plain", "gradcam", {"layer": "nowhere"}, LayerNotFound, "nowhere"),
        ("plain", "gradcam", {"target": "bird"}, OptionInvalid, "no class named 'bird'"),
        ("plain", "gradcam", {"target": "cop"}, OptionInvalid, "Did you mean cup"),
        ("several", "gradcam", {"output": "age"}, OptionInvalid, "no output 'age': name one of"),
        ("flat", "gradcam", {}, NotDifferentiable, "no layer that has places"),
        ("words", "saliency", {}, NotDifferentiable, "no gradient flows back"),
        ("rounding", "saliency", {}, NotDifferentiable, "fractions"),
    ],
)
def test_what_cannot_be_explained(explain, model, method, options, error, words):
    shapes = {"flat": (1, 5), "words": (1, 4, 4)}
    images = np.ones(shapes[model]) if model in shapes else IMAGES
    with pytest.raises(error, match=words):
        explain(model, method, images, **options)
