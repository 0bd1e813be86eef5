"""Edits: values that are changed inside the graph, compared with Keras' own layers run eagerly with the change between."""

import keras
import numpy as np
import pytest
from graph_models import (
    assert_close,
    backbone,
    nested_model,
    noise,
    residual_model,
    scatter_statistics,
    traced,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from layerscope.errors import InputMismatch
from layerscope.graph.edits import Edit

IMAGES = noise(3, 6, 6, 4)
EDITS = {
    "set": Edit(scale=0, shift=0.5),
    "scale": Edit(scale=np.array([1, 0, 2, 1], np.float32)),
    "add": Edit(shift=np.array([0, 0.5, -1, 0], np.float32)),
    "bounds": Edit(low=-0.1, high=0.2),
    "region": Edit(scale=np.eye(6, dtype=np.float32)[:, :, None]),
    "patch": Edit(scale=0, shift=noise(3, 6, 6, 4, seed=5)),
    "everything": Edit(scale=2, shift=0.1, low=-0.5, high=0.5),
}


@pytest.fixture(scope="module")
def residual():
    keras.utils.set_random_seed(1)
    return traced(residual_model())


def applied(edit, values):
    return np.clip(values * edit.scale + edit.shift, edit.low, edit.high).astype(np.float32)


def run(model, fetched, edits, images=IMAGES, **options):
    edits = {model.taps(address)[0]: edit for address, edit in edits.items()}
    return model.executable.run([images], model.taps(*fetched), edits=edits, **options)


def layers_of(model):
    return [model.get_layer(name) for name in ("stem", "branch", "active", "flat", "scores")]


@pytest.mark.parametrize("kind", EDITS)
@pytest.mark.parametrize("exact", [True, False])
def test_every_kind_of_edit_equals_layers_run_with_the_edit_between(residual, kind, exact):
    stem, branch, active, flat, scores = layers_of(residual.model)
    hidden = applied(EDITS[kind], np.asarray(stem(IMAGES)))
    expected = scores(flat(active(hidden + branch(hidden))))
    edited, found = run(residual, ("stem", "scores"), {"stem": EDITS[kind]}, exact=exact)
    assert_close(found, expected, 1e-5)
    assert_close(edited, hidden, 1e-5)


def test_an_edit_sees_what_the_edits_before_it_changed(residual):
    stem, branch, active, flat, scores = layers_of(residual.model)
    first, second = EDITS["scale"], EDITS["add"]
    hidden = applied(first, np.asarray(stem(IMAGES)))
    inner = applied(second, np.asarray(branch(hidden)))
    expected = scores(flat(active(hidden + inner)))
    for edits in ({"stem": first, "branch": second}, {"branch": second, "stem": first}):
        assert_close(run(residual, ["scores"], edits)[0], expected, 1e-5)


def test_each_image_of_a_batch_can_have_an_edit_of_its_own(residual):
    scales = np.array([1, 0, 3], np.float32).reshape(3, 1, 1, 1)
    together = run(residual, ["scores"], {"stem": Edit(scale=scales)}, exact=False)[0]
    for number, scale in enumerate(scales):
        one = run(residual, ["scores"], {"stem": Edit(scale=scale)}, IMAGES[number : number + 1])[0]
        assert_close(together[number : number + 1], one, 1e-5)


def test_edits_that_change_nothing_keep_every_bit(residual):
    images = np.repeat(IMAGES[:1], 4, axis=0)
    values = residual.value("stem", on=[IMAGES[:1]])
    rows = [np.ones_like(values), np.zeros_like(values), np.ones_like(values), np.ones_like(values)]
    shifts = [np.zeros_like(values), values, np.zeros_like(values), np.zeros_like(values)]
    same = Edit(scale=np.concatenate(rows), shift=np.concatenate(shifts), high=values.max())
    for array in run(residual, ("stem", "scores"), {"stem": same}, images, exact=False):
        for row in array[1:]:
            np.testing.assert_array_equal(row, array[0])


def test_all_values_of_a_separator_from_another_image_give_its_output_to_the_last_bit(residual):
    images = IMAGES[:2]

    def run_both(edit):
        return run(residual, ("active", "scores"), {"active": edit}, images, exact=False)

    values, scores = run_both(Edit())
    first = np.array([0, 1], bool).reshape(2, 1, 1, 1)
    patched = run_both(Edit(scale=np.where(first, 0, 1), shift=np.where(first, values[:1], 0)))[1]
    np.testing.assert_array_equal(patched[0], scores[0])
    np.testing.assert_array_equal(patched[1], scores[0])
    assert not np.array_equal(scores[1], scores[0])


def test_taking_a_unit_away_takes_its_share_from_a_linear_output():
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(7, "relu", name="hidden"), layers.Dense(3, name="end")]
    )
    found = traced(model)
    vectors = noise(2, 5)
    hidden, before = found.values("hidden", "end", on=[vectors]).values()
    kernel = np.asarray(model.get_layer("end").kernel)
    for unit in range(7):
        scale = np.ones(7, np.float32)
        scale[unit] = 0
        after = run(found, ["end"], {"hidden": Edit(scale=scale)}, vectors)[0]
        np.testing.assert_allclose(before - after, hidden[:, unit : unit + 1] * kernel[unit], atol=1e-6)


def fused_model():
    images = keras.Input((8, 8, 3), name="images")
    hidden = images
    for number in range(3):
        hidden = layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"conv{number}")(hidden)
        hidden = layers.BatchNormalization(name=f"bn{number}")(hidden)
        hidden = layers.ReLU(6.0, name=f"relu{number}")(hidden)
    return scatter_statistics(keras.Model(images, layers.GlobalAveragePooling2D(name="pool")(hidden)))


@pytest.mark.parametrize("address", ["conv1", "bn1", "relu1", "relu1@input"])
def test_edits_between_layers_that_are_fused(address):
    model = fused_model()
    found = traced(model)
    images = noise(2, 8, 8, 3)
    edit = Edit(scale=np.array([0, 1, 2, -1], np.float32), shift=0.1)
    hidden = images
    for layer in model.layers[1:]:
        hidden = np.asarray(layer(hidden))
        if layer.name == address or (f"{layer.name}" == "bn1" and address == "relu1@input"):
            hidden = applied(edit, hidden)
    assert_close(run(found, ["pool"], {address: edit}, images)[0], hidden, 1e-5)


def test_an_edit_inside_a_nested_model_and_at_the_second_call_of_a_shared_layer():
    keras.utils.set_random_seed(3)
    model = nested_model()
    found = traced(model)
    images = noise(2, 8, 8, 3)
    edit = EDITS["everything"]
    inner, middle, squeeze = (model.get_layer(name) for name in ("inner", "middle", "squeeze"))
    conv, bn = inner.get_layer("conv"), inner.get_layer("bn")
    expected = ops.concatenate(
        [bn(conv(middle(squeeze(images)))), applied(edit, np.asarray(squeeze(images + 1)))], axis=-1
    )
    second = [address for address in found.addresses if address.startswith("squeeze")][1]
    assert_close(run(found, ["merged"], {second: edit}, images)[0], expected, 1e-5)
    calls = [address for address in found.addresses if address.endswith("inner/conv") or "/conv" in address]
    hidden = squeeze(images)
    first = bn(applied(edit, np.asarray(conv(hidden))))
    expected = ops.concatenate([inner(middle.get_layer("conv")(first)), squeeze(images + 1)], axis=-1)
    address = next(each for each in calls if each.startswith("middle/inner"))
    assert_close(run(found, ["merged"], {address: edit}, images)[0], expected, 1e-5)


def test_values_that_are_no_numbers_can_be_taken_away():
    images = keras.Input((4, 4, 3))
    conv = layers.Conv2D(3, 1, name="conv")
    model = keras.Model(images, layers.GlobalAveragePooling2D(name="pool")(conv(images)))
    kernel, bias = (np.asarray(each) for each in conv.get_weights())
    bias[:] = np.nan, np.inf, 0
    conv.set_weights([kernel, bias])
    after = run(traced(model), ["pool"], {"conv": Edit(scale=np.array([0, 0, 1.0]))}, noise(1, 4, 4, 3))[0]
    assert np.isfinite(after).all()
    np.testing.assert_array_equal(after[0, :2], 0)


def test_a_value_without_an_edit_passes_unchanged_whatever_it_is():
    images = np.array([[np.nan, np.inf, -np.inf, 3e38, 1e-37, -2.5]], np.float32)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Activation("linear", name="same"), layers.Identity(name="end")]
    )
    after = run(traced(model), ["end"], {"same": Edit()}, images)[0]
    np.testing.assert_array_equal(after, images)


@settings(max_examples=3)
@given(seed=st.integers(0, 2**16), dead=st.sets(st.integers(0, 5), min_size=1))
def test_dead_channels_have_no_effect_at_all(seed, dead):
    keras.utils.set_random_seed(seed)
    model = backbone("net", 6)
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[..., list(dead)] = 0
    bias[list(dead)] = -1
    model.get_layer("conv").set_weights([kernel, bias])
    images = np.repeat(noise(1, 5, 5, 3, seed=seed), 1 + len(dead), axis=0)
    scale = np.ones((1 + len(dead), 1, 1, 6), np.float32)
    for row, channel in enumerate(sorted(dead), start=1):
        scale[row, ..., channel] = 0
    end = run(traced(model), ["bn"], {"conv": Edit(scale=scale)}, images, exact=False)[0]
    for row in end[1:]:
        np.testing.assert_array_equal(row, end[0])


def test_a_gradient_by_an_edited_plan_is_kept_apart_from_plain_runs(residual):
    plain = residual.value("scores", on=[IMAGES])
    run(residual, ["scores"], {"stem": EDITS["set"]})
    np.testing.assert_array_equal(residual.value("scores", on=[IMAGES]), plain)


def test_a_plan_that_fetches_more_serves_a_run_with_the_same_feed(residual):
    feeds = {residual.index["stem"]: noise(3, 6, 6, 4, seed=9)}
    both = residual.executable.run([IMAGES], residual.taps("scores", "active"), feeds)
    (one,) = residual.executable.run([IMAGES], residual.taps("scores"), feeds)
    np.testing.assert_array_equal(
        one, both[residual.taps("scores", "active").index(residual.index["scores"])]
    )


@pytest.mark.parametrize(
    ("address", "frontier"),
    [("stem", []), ("branch", ["add@input"]), ("active", [])],
)
def test_only_what_lies_behind_an_edit_is_run(residual, address, frontier):
    tap, target = residual.index[address], residual.index["scores"]
    others = residual.executable.inspection.frontier(tap, target)
    assert [each.address for each in others] == frontier
    values = residual.executable.run([IMAGES[:1]], [tap, *others])
    scale = np.array([1, 0, 2], np.float32).reshape(3, 1, 1, 1)
    sources = dict(
        zip([tap, *others], [values[0], *(np.repeat(each, 3, axis=0) for each in values[1:])], strict=True)
    )
    (found,) = residual.executable.run_between(sources, [target], {tap: Edit(scale=scale)}, rows=3)
    whole = run(residual, ["scores"], {address: Edit(scale=scale)}, np.repeat(IMAGES[:1], 3, axis=0))[0]
    assert_close(found, whole, 1e-5)


def test_a_frontier_can_have_several_values():
    start = keras.Input((6, 6, 3), name="start")
    edited, one, two = (layers.Conv2D(4, 1, name=name)(start) for name in ("edited", "one", "two"))
    early = layers.ReLU(name="active")(layers.Add(name="early")([edited, one]))
    model = keras.Model(start, layers.Flatten(name="flat")(layers.Multiply(name="late")([early, two])))
    made = traced(model)
    tap, target = made.index["edited"], made.index["flat"]
    others = made.executable.inspection.frontier(tap, target)
    assert len(others) == 2
    image = noise(1, 6, 6, 3)
    sources = dict(zip([tap, *others], made.executable.run([image], [tap, *others]), strict=True))
    (found,) = made.executable.run_between(sources, [target], {tap: Edit(scale=2.0)}, rows=1)
    assert_close(found, run(made, ["flat"], {"edited": Edit(scale=2.0)}, image)[0], 1e-5)


def test_taps_without_a_way_between_have_no_frontier(residual):
    with pytest.raises(InputMismatch, match="stem does not depend on scores"):
        residual.executable.inspection.frontier(residual.index["scores"], residual.index["stem"])


@pytest.mark.parametrize(
    "edit", [Edit(scale=np.ones(5)), Edit(shift=np.ones((2, 6, 6, 4))), Edit(low=np.ones((1, 1, 1, 1, 1)))]
)
def test_an_edit_that_does_not_fit_is_refused(residual, edit):
    with pytest.raises(
        InputMismatch, match=r"of an edit of stem has shape .*, which does not fit \[3, 6, 6, 4\]"
    ):
        run(residual, ["scores"], {"stem": edit})


def test_the_same_values_cannot_be_edited_twice():
    with pytest.raises(InputMismatch, match="the same values"):
        run(traced(nested_model()), ["pool"], {"middle": Edit(), "middle/conv": Edit()}, noise(1, 8, 8, 3))


def test_numbers_of_a_dictionary_cannot_be_edited():
    model = keras.Sequential(
        [keras.Input((3,), dtype="int32", name="ids"), layers.Embedding(4, 2, name="table")]
    )
    with pytest.raises(InputMismatch, match="only floating-point numbers can be edited"):
        run(traced(model), ["table"], {"input": Edit(scale=0)}, np.zeros((1, 3), np.int32))
