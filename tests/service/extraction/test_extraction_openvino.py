"""Jobs whose model OpenVINO runs: TensorFlow's values but for rounding, or a refusal before anything is written."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops
from safetensors import safe_open

from layerscope.errors import ModelRefused
from layerscope.extraction.runners import runner_named
from layerscope.extraction.running import run


def columns(output):
    found = {}
    for part in sorted((Path(output.address) / "parts").iterdir()):
        with safe_open(part, "np") as file:
            assert json.loads(file.metadata()["job"])["runtime"] == output.job.runtime
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                found.setdefault(name, []).append(file.get_tensor(name))
    return {name: np.concatenate(parts) for name, parts in found.items()}


@pytest.mark.parametrize("on", ["here", pytest.param("processes:1", marks=pytest.mark.wide)])
def test_values_are_those_of_tensorflow_but_for_rounding(plan, here, prepared, digits, on):
    wanted, output = plan(digits, "tensorflow"), plan(digits, "openvino", runtime="openvino")
    run(wanted, here)
    assert run(output, runner_named(on, prepared)).done == 10
    expected = columns(wanted)
    for name, found in columns(output).items():
        assert found.dtype == expected[name].dtype
        np.testing.assert_allclose(found, expected[name], rtol=0, atol=1e-5 * np.abs(expected[name]).max())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    start = layers.Input((8, 8, 1), name="start")
    undefined = layers.Activation("relu", name="undefined")(ops.divide(start, start))
    keras.Model(start, undefined).save(folder / "undefined.keras")
    steps = layers.LSTM(4, name="loop")(layers.Reshape((8, 8))(start))
    keras.Model(start, steps).save(folder / "recurrent.keras")
    values = ops.svd(ops.squeeze(start, -1), compute_uv=False)
    keras.Model(start, layers.Reshape((8,), name="singular")(values)).save(folder / "singular.keras")
    return folder


@pytest.mark.parametrize(
    ("model", "layer", "said"),
    [
        ("undefined", "undefined", "other values"),
        ("singular", "singular", "OpenVINO cannot run this model"),
        ("recurrent", "loop", "OpenVINO cannot run this model"),
    ],
)
def test_a_model_that_openvino_cannot_run_as_it_is_is_refused_before_the_job_begins(
    plan, models, digits, tmp_path, model, layer, said
):
    with pytest.raises(ModelRefused, match=said):
        plan(digits, "out", models=models, model=model, layers=(layer,), runtime="openvino")
    assert not list((tmp_path / "out").iterdir())
