"""Sites, feeds and gradients: what each means, compared with eager computation."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from graph_models import assert_close, gru_model, noise, residual_model, traced
from keras import layers

from eager_reference import EagerReference
from layerscope.errors import InputMismatch, NotDifferentiable
from layerscope.graph.runtime.derivatives import Derivative


@pytest.fixture(scope="module")
def residual():
    keras.utils.set_random_seed(1)
    return traced(residual_model())


@pytest.fixture(scope="module")
def gated():
    keras.utils.set_random_seed(2)
    return traced(gru_model())


IMAGES = noise(3, 6, 6, 4)


def end(model, added):
    return model.get_layer("scores")(model.get_layer("flat")(model.get_layer("active")(added)))


def test_the_preactivation_is_what_the_activation_function_gets(residual):
    values = residual.values("stem@preactivation", "stem", "active@preactivation", "active", on=[IMAGES])
    assert (values["stem@preactivation"] < 0).any()
    assert_close(values["stem"], np.maximum(values["stem@preactivation"], 0), 1e-6)
    assert_close(values["active"], np.maximum(values["active@preactivation"], 0), 1e-6)
    kernel_only = keras.ops.softmax(residual.value("scores@preactivation", on=[IMAGES]))
    assert_close(residual.value("scores", on=[IMAGES]), kernel_only)


def test_only_layers_with_a_fused_activation_have_a_preactivation(residual):
    assert [tap.address for tap in residual.taps("all@preactivation")] == [
        "stem@preactivation",
        "active@preactivation",
        "scores@preactivation",
    ]


def test_the_input_site_is_what_went_in(residual):
    values = residual.values("stem", "branch@input", "add@input", "add:0.1@input", "branch", on=[IMAGES])
    np.testing.assert_array_equal(values["branch@input"], values["stem"])
    np.testing.assert_array_equal(values["add@input"], values["stem"])
    np.testing.assert_array_equal(values["add:0.1@input"], values["branch"])


@pytest.mark.parametrize("address", ["drop", "branch@input", "drop@input"])
def test_a_feed_before_the_branch_leaves_the_shortcut_alone(residual, address):
    replaced, model = noise(3, 6, 6, 4, seed=9), residual.model
    stem = model.get_layer("stem")(IMAGES)
    expected = end(model, stem + model.get_layer("branch")(replaced))
    actual = residual.executable.run([IMAGES], residual.taps("scores"), {residual.index[address]: replaced})
    assert_close(actual[0], expected)


def test_a_feed_of_the_shared_value_changes_both_ways(residual):
    replaced, model = noise(3, 6, 6, 4, seed=9), residual.model
    expected = end(model, replaced + model.get_layer("branch")(replaced))
    actual = residual.executable.run([IMAGES], residual.taps("scores"), {residual.index["stem"]: replaced})
    assert_close(actual[0], expected)


def test_feeding_what_was_there_changes_nothing_and_what_is_upstream_stays(residual):
    before = residual.values("all", on=[IMAGES])
    feeds = {residual.index[address]: before[address] for address in ("stem", "add")}
    after = residual.executable.run([IMAGES], residual.taps("scores", "images"), feeds)
    np.testing.assert_array_equal(after[0], IMAGES)
    assert_close(after[1], before["scores"])


@pytest.mark.parametrize("address", ["add", "active@input", "active@preactivation"])
def test_a_feed_between_layers_that_could_be_fused(residual, address):
    replaced = noise(3, 6, 6, 4, seed=9)
    actual = residual.executable.run([IMAGES], residual.taps("scores"), {residual.index[address]: replaced})
    assert_close(actual[0], end(residual.model, replaced))


@pytest.mark.parametrize(
    "addresses", [("add", "active"), ("add", "scores"), ("branch", "active"), ("stem", "add")]
)
def test_fetches_of_layers_that_could_be_fused(residual, addresses):
    expected = EagerReference(residual.model, IMAGES).values
    for address, array in residual.values(*addresses, on=[IMAGES]).items():
        assert_close(array, expected[address])


@pytest.mark.parametrize("shape", [(3, 6, 6, 5), (1, 6, 6, 4), (3, 6, 4), (4, 6, 6, 4)])
def test_a_feed_that_does_not_fit_is_refused(residual, shape):
    with pytest.raises(InputMismatch, match="stem takes shape"):
        residual.executable.run([IMAGES], residual.taps("scores"), {residual.index["stem"]: noise(*shape)})


@pytest.mark.parametrize("shape", [(3, 6, 5, 4), (6, 6, 4), (3, 6, 6)])
def test_inputs_that_do_not_fit_are_refused(residual, shape):
    with pytest.raises(InputMismatch, match="images takes shape"):
        residual.executable.run([noise(*shape)], residual.taps("scores"))


def test_too_few_inputs_are_refused(residual):
    with pytest.raises(InputMismatch, match="1 inputs, not 0"):
        residual.executable.run([], residual.taps("scores"))


@pytest.mark.parametrize("unit", [None, 0, 4])
@pytest.mark.parametrize("address", ["stem", "branch", "add@input"])
def test_gradient_of_a_convolutional_model(residual, address, unit):
    model = residual.model
    stem = model.get_layer("stem")(IMAGES)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(stem)
        shortcut = tf.identity(stem)
        branch = model.get_layer("branch")(stem)
        scores = end(model, shortcut + branch)
        target = scores if unit is None else scores[:, unit]
    source = {"stem": stem, "branch": branch, "add@input": shortcut}[address]
    target_tap = residual.index["scores"]
    gradient = residual.gradient([IMAGES], target_tap, residual.index[address], unit)
    expected = tape.gradient(target, source)
    assert np.abs(gradient - expected).max() <= 1e-5 * max(np.abs(expected).max(), 1e-2)


@pytest.mark.parametrize("unit", [None, 1])
def test_gradient_through_a_loop(gated, unit):
    steps, model = noise(2, 5, 3), gated.model
    with tf.GradientTape() as tape:
        hidden = model.get_layer("embed")(steps)
        tape.watch(hidden)
        scores = model.get_layer("head")(model.get_layer("gru")(hidden))
        target = scores if unit is None else scores[:, unit]
    gradient = gated.gradient([steps], gated.index["head"], gated.index["embed"], unit)
    assert_close(gradient, tape.gradient(target, hidden), 1e-5)
    assert_close(gated.value("head", on=[steps]), model(steps), 1e-5)


def test_no_gradient_flows_backwards_from_what_does_not_depend_on_it(residual):
    before = residual.value("scores", on=[IMAGES])
    for _ in range(3):
        with pytest.raises(NotDifferentiable, match="stem cannot be differentiated by scores"):
            residual.gradient([IMAGES], residual.index["stem"], residual.index["scores"])
    np.testing.assert_array_equal(residual.value("scores", on=[IMAGES]), before)
    residual.gradient([IMAGES], residual.index["scores"], residual.index["stem"])


def test_what_is_not_smooth_has_no_gradient():
    words = keras.Input((3,), dtype="int32", name="words")
    hidden = layers.Embedding(5, 2, name="embedding")(words)
    rounded = keras.ops.argmax(hidden, axis=-1)
    made = traced(keras.Model(words, [rounded, hidden]))
    numbers = np.array([[1, 2, 3]], np.int32)
    output = made.trace.outputs[0][1]
    for target, tap in ((output, made.index["embedding"]), (made.index["embedding"], made.index["words"])):
        with pytest.raises(NotDifferentiable):
            made.gradient([numbers], target, tap)
    assert made.executable.run([numbers], [output])[0].shape == (1, 3)


@pytest.mark.parametrize("shape", [(3, 4), (2, 5), (3,)])
def test_weights_that_do_not_fit_the_target_are_refused(residual, shape):
    derivative = Derivative(residual.index["scores"], residual.index["stem"])
    with pytest.raises(InputMismatch):
        residual.executable.gradient([IMAGES], derivative, noise(*shape))


@pytest.mark.parametrize("address", ["stem", "add@input"])
def test_a_gradient_from_values_that_are_known_is_the_same_and_computes_nothing_before_them(
    residual, address
):
    scores, tap = residual.index["scores"], residual.index[address]
    values = residual.value(address, on=[IMAGES])
    weights = noise(3, 5)
    expected = residual.executable.gradient([IMAGES], Derivative(scores, tap), weights)
    nothing = [np.full_like(IMAGES, np.nan)] if address == "stem" else [IMAGES]
    fed = Derivative(scores, tap, is_fed=True)
    assert_close(residual.executable.gradient(nothing, fed, weights, values), expected, 1e-5)


def test_rectifiers_that_are_guided_let_back_only_what_is_positive(residual):
    model = residual.model

    @tf.custom_gradient
    def guided(values):
        passed = tf.nn.relu(values)
        return passed, lambda gradient: tf.where(
            (values > 0) & (gradient > 0), gradient, tf.zeros_like(gradient)
        )

    images = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(images)
        conv = model.get_layer("stem")
        stem = guided(conv.convolution_op(images, conv.kernel) + conv.bias)
        added = stem + model.get_layer("branch")(stem)
        scores = model.get_layer("scores")(model.get_layer("flat")(guided(added)))[:, 2]
    found = residual.gradient([IMAGES], residual.index["scores"], residual.index["images"], 2, guided=True)
    assert_close(found, tape.gradient(scores, images), 1e-5)
    assert residual.executable.inspection.is_rectified(residual.index["scores"])
    assert not residual.executable.inspection.is_rectified(residual.index["images"])


def test_the_logits_of_an_output_are_found(residual):
    logits = residual.executable.inspection.logits(residual.index["scores"])
    assert logits.activation == "softmax"
    assert logits.tap.address == "scores@preactivation"
    assert residual.executable.inspection.logits(residual.index["stem"]).activation is None


def test_no_plans_are_made_for_units_or_after_failures(residual):
    scores, stem = residual.index["scores"], residual.index["stem"]
    residual.gradient([IMAGES], scores, stem, 0)
    with pytest.raises(NotDifferentiable):
        residual.gradient([IMAGES], stem, scores)
    plans = residual.executable.plans.nbytes
    for unit in range(5):
        residual.gradient([IMAGES], scores, stem, unit)
        with pytest.raises(NotDifferentiable):
            residual.gradient([IMAGES], stem, scores)
    assert residual.executable.plans.nbytes == plans


def test_gradients_are_delivered_like_values():
    start = keras.Input((3,), name="start")
    hidden = layers.Dense(4, dtype="mixed_bfloat16", name="hidden")(start)
    made = traced(keras.Model(start, layers.Dense(2, name="end")(hidden)))
    gradient = made.gradient([noise(2, 3)], made.index["end"], made.index["hidden"])
    assert gradient.dtype == np.float32
    assert gradient.shape == (2, 4)


def test_runs_and_gradients_at_the_same_time(residual):
    addresses = ["stem", "branch", "add", "active", "flat", "stem@preactivation"]
    scores, run = residual.index["scores"], residual.executable.run
    expected = run([IMAGES], [scores])[0]

    def work(address):
        tap = residual.index[address]
        residual.gradient([IMAGES], scores, tap)
        return run([IMAGES], [tap, scores])[1]

    with ThreadPoolExecutor(6) as pool:
        for actual in pool.map(work, addresses * 3):
            assert_close(actual, expected, 1e-5)
