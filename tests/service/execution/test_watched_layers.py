"""Watched layers: their statistics move with the images that run, whatever is requested of those images."""

import logging
from contextlib import contextmanager

import keras
import numpy as np
import pytest
from engine_models import query, tensor
from keras import layers

from layerscope.attribution import METHODS
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.execution.watched_layers import Watch
from layerscope.models.control import Control

LIGHT, DARK = np.full((4, 4, 1), 0.9, np.float32), np.full((4, 4, 1), 0.1, np.float32)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A model whose units die: one is always dead, one in the light, and one in the dark; a large number overflows in the last."""
    folder = tmp_path_factory.mktemp("watched")
    picture = keras.Input((4, 4, 1), name="picture")
    units = layers.Conv2D(3, 1, activation="relu", name="units")
    output = layers.Dense(2, name="output")
    model = keras.Model(picture, output(layers.GlobalAveragePooling2D(name="mean")(units(picture))))
    units.set_weights([np.array([[[[1, -1, 1]]]]), np.array([-1e6, 0.5, -0.5])])
    output.set_weights([np.full((3, 2), 1e38), np.zeros(2)])
    model.save(folder / "mortal.keras")
    return folder


@contextmanager
def watching(directory, *watched, **options):
    control = options.pop("control", Control())
    engine = LocalEngine(directory, watch=Watch(layers=watched, **options), control=control)
    engine.load_all()
    yield engine
    engine.close()


def run(engine, *images, layer="picture"):
    return engine.run(query("mortal", [layer], *images)).activations[layer].values


def units(engine):
    (found,) = engine.watched_layers()
    assert (found.model, found.version, found.address) == ("mortal", 1, "units")
    return found


def slightly(image, number):
    """Another image, and nearly the same."""
    return image + np.float32(number * 1e-5)


def test_the_figures_are_those_of_the_values(directory):
    with watching(directory, "mortal:units") as engine:
        images = np.random.default_rng(0).random((5, 4, 4, 1), np.float32)
        for image in images:
            run(engine, image)
        assert units(engine).images == 5
        values = run(engine, *images, layer="units")

        assert units(engine).images == 10
        assert units(engine).mean == pytest.approx(values.mean(), rel=1e-6)
        assert units(engine).fraction_zero == pytest.approx((values == 0).mean())
        assert (units(engine).nonfinite, units(engine).channels, units(engine).dead) == (0, 3, 1)


def test_units_die_and_come_back_with_the_images_that_are_run(directory):
    with watching(directory, "mortal:units", images=4) as engine:
        assert engine.watched_layers() == []
        seen = []
        for number, image in enumerate([LIGHT, DARK, DARK, DARK, DARK, LIGHT]):
            run(engine, slightly(image, number))
            seen.append((units(engine).images, units(engine).dead))

        assert seen == [(1, 2), (2, 1), (3, 1), (4, 1), (4, 2), (4, 1)]


def test_values_that_are_not_finite_are_counted_and_do_not_spoil_the_mean(directory):
    with watching(directory, "mortal:output") as engine:
        run(engine, np.full((4, 4, 1), 1e3, np.float32), DARK)

        (output,) = engine.watched_layers()
        assert (output.images, output.nonfinite, output.fraction_zero) == (2, 2, 0)
        assert output.mean == pytest.approx(run(engine, DARK, layer="output").mean())


def test_an_image_counts_once_for_each_time_that_it_is_run(directory):
    with watching(directory, "*:units") as engine:
        for _ in range(3):
            run(engine, DARK)
        assert units(engine).images == 1
        run(engine, DARK, layer="output")
        assert units(engine).images == 2
        run(engine, LIGHT, slightly(LIGHT, 1), layer="units")
        assert units(engine).images == 4


def test_what_attributions_make_of_an_image_is_not_looked_at(directory):
    with watching(directory, "mortal:units") as engine:
        sources = {"image": [TensorSource(LIGHT)]}
        query = Query(model="mortal", sources=sources, methods={"saliency": METHODS["saliency"].options()})
        found = engine.run(query).attribution("saliency")

        assert found.maps.shape == (1, 4, 4)
        assert units(engine).images == 1


def test_watching_changes_no_value(directory):
    images = np.random.default_rng(1).random((3, 4, 4, 1), np.float32)
    with watching(directory) as plain, watching(directory, "mortal:all") as watched:
        for layer in ("units", "mean"):
            np.testing.assert_array_equal(
                run(plain, *images, layer=layer), run(watched, *images, layer=layer)
            )
        assert plain.watched_layers() == []
        assert len(watched.watched_layers()) == 4


def test_what_cannot_be_watched_is_said_at_the_start_and_costs_nothing_else(directory, caplog):
    wrong = ("mortal:unit", "mortal@1:re:(", "mortal@2:units", "immortal:units")
    with caplog.at_level(logging.WARNING), watching(directory, *wrong, "mortal:units") as engine:
        run(engine, DARK)
        assert units(engine).images == 1
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in said] == [
        "mortal@1",
        "mortal@1",
        "No layer of 'mortal@2' is watched",
        "No layer of 'immortal' is watched",
    ]
    assert "'unit' is not watched" in said[0]
    assert "Did you mean units" in said[0]


def test_no_more_layers_are_watched_than_may_be(directory, caplog):
    with watching(directory, "mortal:all", most_layers=2) as engine:
        run(engine, DARK, layer="output")
        assert [layer.address for layer in engine.watched_layers()] == ["picture", "units"]
    assert "the first 2 of 4 layers are watched" in caplog.text


def test_a_version_that_is_loaded_anew_begins_anew_and_one_that_is_unloaded_says_nothing(directory):
    with watching(directory, "mortal:units", control=Control(mode="explicit", start=("*",))) as engine:
        run(engine, DARK)
        engine.models.load("mortal")
        assert engine.watched_layers() == []
        run(engine, LIGHT)
        assert units(engine).images == 1
        engine.models.unload("mortal")
        assert engine.watched_layers() == []


def test_what_is_watched_counts_toward_the_memory_of_a_request(directory):
    with watching(directory) as plain, watching(directory, "mortal:units") as watched:
        request = query("mortal", ["picture"], tensor(4, 4, 1))
        plans = [engine.plan(request).computation for engine in (plain, watched)]
        assert plans[0].fetched == plans[1].fetched
        assert plans[1].intermediate >= plans[0].intermediate + 4 * 4 * 3 * 4
