"""Sweeps: the effect of each unit, compared with the units taken away in Keras' own layers; and exactly 0 where nothing changes."""

import keras
import numpy as np
import pytest
from engine_models import tensor
from swept_models import CHANNELS, DEAD, DISCONNECTED, SIZE, eager_scores, write_swept_models

from layerscope.attribution.method import ScoreOptions
from layerscope.errors import AnswerTooLarge, DeadlineExceeded, NotDifferentiable, OptionInvalid, TooMany
from layerscope.execution.cancellation import CancellationToken
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import AblationOptions, Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.interventions import parse_edit
from layerscope.limits import Limits

IMAGE = tensor(SIZE, SIZE, 3, seed=3)
OTHER = tensor(SIZE, SIZE, 3, seed=4)
LOGIT = ScoreOptions(score="logit")
NETS = [f"net{seed}" for seed in range(4)]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("swept")
    write_swept_models(directory)
    return directory


@pytest.fixture(scope="module")
def start(directory):
    engines = []

    def start(**limits):
        engines.append(LocalEngine(directory, Limits(**limits)))
        engines[-1].load_all()
        return engines[-1]

    yield start
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def engine(start):
    return start()


def query(model, layer="swept", *, images=(IMAGE,), patches=None, edits=(), target=LOGIT, **options):
    return Query(
        model=model,
        sources={"image": [TensorSource(each) for each in images]},
        ablation=AblationOptions(layers=[layer], target=target, **options),
        patches=patches or {},
        edits=[parse_edit(each) for each in edits],
    )


def sweep(engine, *arguments, **options):
    return engine.run(query(*arguments, **options)).ablations


def effects_by_eager_layers(directory, name, class_, address, changes, image=IMAGE):
    model = keras.models.load_model(directory / f"{name}.keras")
    clean = eager_scores(model, image, address, lambda values: values)[class_]
    return [clean - eager_scores(model, image, address, change)[class_] for change in changes]


def without(index, value=0.0):
    def change(values):
        values = values.copy()
        values[index] = value(values[index]) if callable(value) else value
        return values

    return change


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("set_", [0.0, 0.7, "mean"])
def test_the_effect_of_each_channel_is_that_of_eager_layers(engine, directory, name, set_):
    found = sweep(engine, name, set=set_)
    (image,) = found.images
    value = set_ if set_ != "mean" else lambda values: values.mean()
    changes = [without((..., channel), value) for channel in range(CHANNELS)]
    expected = effects_by_eager_layers(directory, name, image.target.index, "swept", changes)
    np.testing.assert_allclose(found.effects("score")[0], expected, atol=2e-6)
    assert found.plan.shape == (CHANNELS,)


@pytest.mark.parametrize("name", NETS)
def test_channels_without_a_way_to_the_output_have_an_effect_of_exactly_zero(engine, name):
    (image,) = sweep(engine, name).images
    assert image.unchanged == DEAD
    for channel in (*DEAD, *DISCONNECTED):
        assert [image.effects[metric][channel] for metric in ("score", "output", "distance")] == [0, 0, 0]
    assert np.count_nonzero(image.effects["score"]) == CHANNELS - len(DEAD) - len(DISCONNECTED)


@pytest.mark.parametrize("name", NETS)
def test_places(engine, directory, name):
    found = sweep(engine, name, by="place", grid=3)
    assert found.plan.shape == (3, 3)
    assert found.plan.regions[0] == (0, 0, 3, 3)
    assert found.plan.regions[-1] == (5, 5, 8, 8)
    changes = [without(np.s_[:, y0:y1, x0:x1]) for x0, y0, x1, y1 in found.plan.regions]
    class_ = found.images[0].target.index
    expected = effects_by_eager_layers(directory, name, class_, "swept", changes)
    np.testing.assert_allclose(found.effects("score")[0].ravel(), expected, atol=2e-6)


def test_whole_layers(engine, directory):
    found = sweep(engine, "net0", "stem,conv,swept,next,active", by="layer")
    addresses = [tap.address for tap in found.plan.layers]
    assert addresses == ["stem", "conv", "swept", "next", "active"]
    class_ = found.images[0].target.index
    expected = [
        effects_by_eager_layers(directory, "net0", class_, address, [without(...)])[0]
        for address in addresses
    ]
    np.testing.assert_allclose(found.effects("score")[0], expected, atol=2e-6)


def test_layers_that_cannot_be_changed_or_share_their_values_are_left_out(engine):
    found = sweep(engine, "net3", "all", by="layer")
    addresses = [tap.address for tap in found.plan.layers]
    assert "inner/conv" in addresses
    assert "inner" not in addresses
    assert "scores" not in addresses


@pytest.mark.parametrize("by", ["channel", "place", "layer"])
def test_values_of_another_image(engine, directory, by):
    patches = {"other": {"image": [TensorSource(OTHER)]}}
    found = sweep(engine, "net1", by=by, patch="other", patches=patches, grid=2)
    model = keras.models.load_model(directory / "net1.keras")
    theirs = keras.Model(model.inputs, model.get_layer("swept").output)(OTHER[None]).numpy()
    if by == "channel":
        indices = [np.s_[..., channel] for channel in range(CHANNELS)]
    else:
        boxes = found.plan.regions or [(0, 0, SIZE, SIZE)]
        indices = [np.s_[:, y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
    changes = [without(index, theirs[index]) for index in indices]
    class_ = found.images[0].target.index
    expected = effects_by_eager_layers(directory, "net1", class_, "swept", changes)
    np.testing.assert_allclose(found.effects("score")[0].ravel(), expected, atol=2e-6)


def test_values_of_the_same_image_change_nothing(engine):
    patches = {"same": {"image": [TensorSource(IMAGE)]}}
    for by in ("channel", "place"):
        found = sweep(engine, "net0", by=by, patch="same", patches=patches)
        assert not found.effects("distance").any()
        assert not found.effects("score").any()
    # Values of a whole layer come from another plan, and may have other last bits.
    assert sweep(engine, "net0", by="layer", patch="same", patches=patches).effects("distance").max() < 1e-6


def test_a_unit_of_a_linear_output_has_its_share(engine, directory):
    model = keras.models.load_model(directory / "linear.keras")
    vector = tensor(5, seed=8) - 0.5
    hidden = model.get_layer("hidden")(vector[None]).numpy()[0]
    kernel = model.get_layer("end").get_weights()[0]
    found = sweep(engine, "linear", "hidden", images=[vector], target=ScoreOptions(target="1"))
    np.testing.assert_allclose(found.effects("score")[0], hidden * kernel[:, 1], atol=1e-6)
    both = sweep(
        engine,
        "linear",
        "hidden",
        images=[vector],
        edits=["hidden;channels=0;set=0"],
        target=ScoreOptions(target="1"),
    )
    np.testing.assert_allclose(both.effects("score")[0][1:], found.effects("score")[0][1:], atol=1e-6)
    assert both.effects("score")[0][0] == 0


@pytest.mark.parametrize(
    "edit", ["stem;scale=0.5", "swept;channels=0;add=1", "active;high=0.2", "conv;channels=5;set=0"]
)
@pytest.mark.parametrize("by", ["channel", "layer"])
def test_a_sweep_of_an_edited_model(engine, by, edit):
    clean, edited = (sweep(engine, "net0", by=by, edits=edits) for edits in ([], [edit]))
    assert not np.allclose(clean.effects("score"), edited.effects("score"))
    one = engine.run(
        Query(
            model="net0",
            sources={"image": [TensorSource(IMAGE)]},
            layers=["scores@preactivation"],
            edits=[parse_edit(edit)],
        )
    ).activations["scores@preactivation"]
    (image,) = edited.images
    assert image.score == pytest.approx(float(one.values[0][image.target.index]), abs=1e-5)


def test_several_images_have_a_sweep_each_and_share_nothing(engine):
    both = sweep(engine, "net2", images=[IMAGE, OTHER])
    alone = [sweep(engine, "net2", images=[each]) for each in (IMAGE, OTHER)]
    np.testing.assert_array_equal(
        both.effects("score"), np.concatenate([each.effects("score") for each in alone])
    )


def test_the_batch_size_changes_rounding_only(engine, start):
    small = start(batch_bytes=1)
    for name in NETS:
        first, second = (sweep(each, name).effects("score")[0] for each in (engine, small))
        np.testing.assert_allclose(first, second, atol=1e-5)
        np.testing.assert_array_equal(np.argsort(first), np.argsort(second))


def test_a_screening_runs_the_units_with_the_largest_estimates(engine):
    complete = sweep(engine, "net0")
    (image,) = sweep(engine, "net0", screen=2).images
    ran = [number for number in range(CHANNELS) if np.isfinite(image.effects["score"][number])]
    assert set(DEAD) < set(ran)
    assert len(ran) == len(DEAD) + 2
    assert not image.is_complete
    assert complete.images[0].is_complete
    np.testing.assert_allclose(image.effects["score"][ran], complete.effects("score")[0][ran], atol=1e-6)
    assert (image.classes[np.setdiff1d(range(CHANNELS), ran)] == -1).all()


def test_a_model_of_a_fixed_batch_is_run_image_by_image(engine, directory):
    steps = tensor(4, 3, seed=2)
    found = sweep(engine, "fixed", "hidden", images=[steps], target=ScoreOptions(target="0"))
    model = keras.models.load_model(directory / "fixed.keras")
    hidden, recurrent, end = (model.get_layer(name) for name in ("hidden", "recurrent", "end"))
    values = hidden(np.stack([steps] * 2)).numpy()

    def score(values):
        recurrent.reset_state()
        return float(end(recurrent(values))[0, 0])

    expected = [score(values) - score(without((..., unit))(values)) for unit in range(4)]
    np.testing.assert_allclose(found.effects("score")[0], expected, atol=1e-6)


def test_a_model_that_mixes_the_images_of_a_batch_has_no_effect_of_one_image(engine):
    with pytest.raises(NotDifferentiable, match="for each image"):
        sweep(engine, "mixing", "hidden", images=[tensor(4)], target=ScoreOptions())


def test_one_number_an_image_has_no_classes(engine):
    (image,) = sweep(engine, "number", "conv", images=[tensor(4, 4, 1)], target=ScoreOptions()).images
    assert image.class_ is None
    assert (image.classes == -1).all()


def test_clean_values_and_effects_are_kept(start):
    engine = start()
    first = sweep(engine, "net0")
    runs = engine.runs
    again = sweep(engine, "net0")
    assert again.hit
    assert engine.runs == runs
    np.testing.assert_array_equal(first.effects("score"), again.effects("score"))
    for options in (
        {"set": 0.1},
        {"set": "mean"},
        {"by": "place"},
        {"target": ScoreOptions(target="4")},
        {"screen": 1},
    ):
        assert not sweep(engine, "net0", **options).hit


def test_every_batch_is_reported(engine):
    progress, partial = [], []
    request = query("net0", "swept", by="place", grid=4, images=[tensor(SIZE, SIZE, 3, seed=11)])
    with (
        engine.prepare(request) as prepared,
        prepared.run(progress=lambda *done: progress.append(done), partial=partial.append) as result,
    ):
        effects = result.ablations.effects("score")[0]
    assert progress == [(7, 16), (14, 16), (16, 16)]
    assert [np.isfinite(each.effects).sum() for each in partial] == [7, 14, 16]
    np.testing.assert_array_equal(partial[-1].effects, effects)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"layer": "scores"}, OptionInvalid, "does not depend on scores"),
        ({"layer": "pool", "by": "place"}, OptionInvalid, "not rows and columns"),
        ({"layer": "stem,swept"}, OptionInvalid, "2 layers"),
        ({"by": "layer", "screen": 2}, OptionInvalid, "not layers"),
        ({"layer": "pool", "set": "mean"}, OptionInvalid, "no places"),
        ({"layer": "pool", "set": "mean", "by": "layer"}, OptionInvalid, "no places"),
        ({"target": ScoreOptions(target="9")}, OptionInvalid, "5 classes"),
        ({"patch": "away"}, OptionInvalid, "away"),
    ],
)
def test_what_cannot_be_swept_is_refused(engine, options, error, words):
    with pytest.raises(error, match=words):
        sweep(engine, "net0", **options)


def test_runs_and_memory_are_known_before(engine, start):
    def needed(request):
        with engine.prepare(request) as prepared:
            return prepared.plan.computation.working_bytes(0)

    places = needed(query("net0", by="place", grid=2))
    assert places > needed(Query(model="net0", sources=query("net0").sources, layers=["scores"]))
    small = start(attribution_runs=5, working_bytes=places - 1)
    with pytest.raises(TooMany, match="6 runs"):
        sweep(small, "net0")
    with pytest.raises(AnswerTooLarge):
        sweep(small, "net0", by="place", grid=2)


def test_a_cancelled_sweep_ends(engine):
    token = CancellationToken()
    token.cancel()
    request = query("net0", images=[tensor(SIZE, SIZE, 3, seed=12)])
    with (
        engine.prepare(request) as prepared,
        pytest.raises(DeadlineExceeded),
        prepared.run(cancellation=token),
    ):
        pass
