"""Files of Keras 2 over HTTP: sent and served, they compute what Keras 2 computes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from answers_read import npy, tensors
from requests_made import NPY
from starlette.testclient import TestClient

from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

pytestmark = pytest.mark.wide

PROGRAM = """
import sys
import numpy as np
import tf_keras as keras
from tf_keras import layers

folder, random = sys.argv[1], np.random.default_rng(0)


def scattered(model):
    model.set_weights([random.uniform(0.1, 0.9, each.shape) for each in model.get_weights()])
    return model


def layer_by_layer(model, values, size):
    '''What each layer gives for each image alone, in a batch of its copies.'''
    found = {}
    for number, image in enumerate(values):
        model.reset_states()
        batch = np.repeat(image[None], size, 0)
        for layer in model.layers:
            if layer.name != "start":
                batch = np.asarray(layer(batch))
                found.setdefault(layer.name, []).append(batch[0])
    return {name: np.stack(rows) for name, rows in found.items()}


def images():
    start = keras.Input((8, 8, 1), name="start")
    hidden = layers.Conv2D(3, 3, activation="hard_sigmoid", name="conv")(start)
    hidden = layers.GlobalAveragePooling2D(name="pool")(layers.BatchNormalization(name="norm")(hidden))
    return keras.Model(start, layers.Dense(2, activation="softmax", name="kind")(hidden)), (8, 8, 1), 1


def steps():
    '''A model for batches of two, which keeps states.'''
    start = keras.Input((5, 3), batch_size=2, name="start")
    hidden = layers.LSTM(4, stateful=True, recurrent_activation="hard_sigmoid", name="lstm")(start)
    return keras.Model(start, layers.Dense(2, name="end")(hidden)), (5, 3), 2


for make in (images, steps):
    model, shape, size = make()
    scattered(model).save(f"{folder}/{make.__name__}.h5")
    values = random.random((3, *shape)).astype("float32")
    np.savez(f"{folder}/{make.__name__}.npz", inputs=values, **layer_by_layer(model, values, size))
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that Keras 2 wrote in a process of its own, each with three images and what its layers make of them."""
    folder = tmp_path_factory.mktemp("keras_2")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with TestClient(
        create_app(Settings(models=tmp_path_factory.mktemp("models"), allow_upload=True))
    ) as http:
        yield http


def send(served: TestClient, written: Path, name: str) -> None:
    """Upload a file. The same file again is the same version."""
    content = (written / f"{name}.h5").read_bytes()
    answer = served.post("/v1/models", files={"model": ("model.h5", content)}, data={"name": name})
    assert answer.status_code in {200, 201}, answer.text


@pytest.mark.parametrize("name", ["images", "steps"])
def test_a_file_that_is_sent_computes_what_keras_2_computes(
    served: TestClient, written: Path, name: str
) -> None:
    send(served, written, name)
    described = served.get(f"/v1/models/{name}").json()
    assert described["opened_with"].startswith("tf-keras 2.")
    with np.load(written / f"{name}.npz") as file:
        expected = dict(file)
    inputs = expected.pop("inputs")
    address = f"/v1/models/{name}/activations?layers=all&format=safetensors"
    found = tensors(served.post(address, content=npy(inputs), headers=NPY))
    assert found.keys() - {"start"} == expected.keys()
    for layer, values in expected.items():
        assert np.abs(found[layer] - values).max() <= 1e-5 * np.abs(values).max(), layer


def test_attributions_and_receptive_fields_of_layers_of_keras_2(served: TestClient, written: Path) -> None:
    send(served, written, "images")
    layers = {each["address"]: each for each in served.get("/v1/models/images/layers").json()["layers"]}
    assert "gradcam" in layers["conv"]["can"]
    field = served.get("/v1/models/images/receptive-field", params={"layer": "norm", "x": 2, "y": 2}).json()
    assert field["inputs"][0]["box"] == [2, 2, 5, 5]
    with np.load(written / "images.npz") as file:
        image, conv = file["inputs"][:1], file["conv"][:1]
    address = "/v1/models/images/attributions/hirescam?layer=conv&target=1&format=safetensors"
    found = served.post(address, content=npy(image), headers=NPY)
    assert found.status_code == 200, found.text
    (map_,) = tensors(found).values()
    # Behind the layer, all is linear but for the last function: the map is a weighted sum of the channels.
    weights, *_ = np.linalg.lstsq(conv[0].reshape(-1, 3), map_[0].reshape(-1), rcond=None)
    assert np.abs(conv[0] @ weights - map_[0]).max() <= 1e-4 * np.abs(map_).max()
    assert np.abs(weights).max() > 0
