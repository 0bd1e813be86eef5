"""What is differentiated, if the caller says it: logits, log-probabilities or probabilities, against `GradientTape`."""

import numpy as np
import pytest
import tensorflow as tf
from test_attribution_methods import difference, pictures

from layerscope.attribution import METHODS
from layerscope.errors import OptionInvalid

IMAGES = pictures(3, seed=4)
SCORED = [name for name, method in METHODS.items() if "score" in method.options.model_fields]
SCORES = ["logit", "log_probability", "probability"]
LOGS = {"softmax": tf.nn.log_softmax, "sigmoid": tf.math.log_sigmoid}
HEADS = [("plain", "softmax"), ("nested", "softmax"), ("subclassed", "softmax"), ("sure", "sigmoid"),
         ("labels", "sigmoid"), ("segments", "softmax"), ("hidden_softmax", "hidden")]  # fmt: skip


def scored(example, logits, activation, score):
    """The score of the target by TensorFlow, from what the example gives as the logits of its classes."""
    if activation == "hidden":
        found = logits if score == "log_probability" else tf.exp(logits)
    elif score == "logit":
        found = logits
    else:
        logs = LOGS[activation](logits)
        found = logs if score == "log_probability" else tf.exp(logs)
    return found[..., example.target]


def logits_of(example, name, values, images):
    """The logits at every place; what `example.after` gives is their sum over the places."""
    if name != "segments":
        return example.after(values, images)
    pool, head = (example.model.get_layer(each) for each in ("pool", "segments"))
    return head.convolution_op(pool(values), head.kernel) + head.bias


@pytest.mark.parametrize(
    ("model", "activation", "score"),
    [(*head, score) for head in HEADS for score in SCORES if (head[1], score) != ("hidden", "logit")],
)
def test_the_gradient_of_a_score_is_that_of_tensorflow(explain, model, activation, score):
    example = explain.examples[model]
    images = tf.convert_to_tensor(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        values = tf.convert_to_tensor(example.before(images))
        tape.watch(values)
        logits = logits_of(example, model, values, images)
        wanted = tf.reduce_sum(tf.reshape(scored(example, logits, activation, score), (len(IMAGES), -1)), 1)
    options = {**example.options, "target": str(example.target), "score": score}
    found = explain(model, "hirescam", IMAGES, layer=example.layer, **options)
    assert difference(found.maps, (values * tape.gradient(wanted, values)).numpy().sum(-1)) < 1e-4
    seen = explain(model, "saliency", IMAGES, **options)
    assert difference(seen.maps, np.abs(tape.gradient(wanted, images).numpy()).max(-1)) < 1e-4


@pytest.mark.parametrize("score", ["log_probability", "probability"])
@pytest.mark.parametrize(("model", "activation"), [("plain", "softmax"), ("labels", "sigmoid")])
def test_integrated_gradients_sum_up_to_the_difference_of_the_score(explain, model, activation, score):
    example = explain.examples[model]
    found = explain(model, "integrated-gradients", IMAGES, target="1", steps=300, score=score)

    def scores(images):
        return scored(example, example.after(example.before(images), images), activation, score)

    np.testing.assert_allclose(
        found.maps.sum(axis=(1, 2)), scores(IMAGES) - scores(np.full_like(IMAGES, -1)), rtol=1e-2, atol=1e-4
    )


def test_left_out_it_is_the_logit(explain):
    for method in SCORED:
        options = {"target": "1"}
        known = explain("plain", method, IMAGES, **options)
        np.testing.assert_array_equal(
            explain("plain", method, IMAGES, score="logit", **options).maps, known.maps
        )
        assert explain("plain", method, IMAGES, score="logit", **options).hit


def test_the_other_class_of_a_single_sigmoid_has_the_opposite_probability(explain):
    """Its log-probability has another gradient: by 1 - p and -p."""
    other, one = (
        explain("sure", "hirescam", IMAGES, output="sure", target=each, score="probability") for each in "01"
    )
    np.testing.assert_allclose(other.maps, -one.maps, rtol=1e-6)
    other, one = (
        explain("sure", "hirescam", IMAGES, output="sure", target=each, score="log_probability")
        for each in "01"
    )
    chance = np.array([target.value for target in one.targets])[:, None, None]
    np.testing.assert_allclose(other.maps * (1 - chance), -one.maps * chance, rtol=1e-4, atol=1e-9)


def test_a_log_probability_has_its_gradient_where_the_output_is_one_to_the_last_bit(explain):
    """In the model's own float32, 1 - p is 0 there, and so would be the map."""
    example, images = explain.examples["sure_of_it"], IMAGES
    found = explain("sure_of_it", "saliency", images, target="1", score="log_probability")
    assert {target.value for target in found.targets} == {1.0}
    watched = tf.convert_to_tensor(images)
    with tf.GradientTape() as tape:
        tape.watch(watched)
        logits = tf.cast(example.after(example.before(watched), watched), tf.float64)
        score = -tf.math.log1p(tf.reduce_sum(tf.exp(tf.gather(logits, [0, 2], axis=1) - logits[:, 1:2]), 1))
    expected = np.abs(tape.gradient(score, watched).numpy()).max(-1)
    assert expected.min(axis=(1, 2)).max() >= 0
    assert expected.max() > 0
    assert difference(found.maps / expected.max(), expected / expected.max()) < 1e-3


@pytest.mark.parametrize(
    ("score", "form"), [("logit", "logits"), ("log_probability", "log"), ("probability", "probability")]
)
def test_it_is_told_which_score_it_was(explain, score, form):
    found = explain("plain", "gradcam", IMAGES, score=score)
    assert {target.form for target in found.targets} == {form}
    assert {target.measured.address for target in found.targets} == {"kind@preactivation"}
    assert found.options.score == score


@pytest.mark.parametrize(
    ("model", "score", "words"),
    [
        ("hidden_softmax", "logit", "logits are not known"),
        ("shared", "logit", "logits are not known"),
        ("shared", "log_probability", "no probabilities"),
        ("shared", "probability", "no probabilities"),
    ],
)
def test_a_score_that_an_output_does_not_have(explain, model, score, words):
    with pytest.raises(OptionInvalid, match=words):
        explain(model, "gradcam", IMAGES, score=score)


def test_occlusion_compares_outputs_and_has_no_score(explain):
    assert set(METHODS) - set(SCORED) == {"eigencam", "occlusion"}
    (target,) = explain("plain", "occlusion", IMAGES[:1], patch=6).targets
    assert (target.form, target.measured.address) == ("output", "kind")
