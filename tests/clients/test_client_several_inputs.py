"""A model with two inputs: pictures by the name of each input."""

from collections.abc import Iterator

import keras
import numpy as np
import pytest
from starlette.testclient import TestClient

from layerscope.demo import samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app
from layerscope_client import Client, Model, errors


@pytest.fixture(scope="module")
def difference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    folder = tmp_path_factory.mktemp("models") / "difference" / "1"
    folder.mkdir(parents=True)
    left, right = (keras.Input((28, 28, 1), name=name) for name in ("left", "right"))
    keras.Model([left, right], keras.layers.Subtract(name="subtract")([left, right])).save(
        folder / "model.keras"
    )
    with TestClient(create_app(Settings(models=folder.parent.parent))) as http:
        yield Client(http=http).model("difference")


def test_each_input_gets_its_own_pictures(difference: Model) -> None:
    seven, two = samples()["seven"], samples()["two"]
    activations = difference.activations({"left": [seven, two], "right": [two, two]}, layers="all")

    left, right = activations["left"], activations["right"]
    assert left.shape == right.shape == (2, 28, 28, 1)
    np.testing.assert_array_equal(left[1], right[0])
    np.testing.assert_array_equal(activations["subtract"], left - right)
    assert activations["subtract"][0].any()
    assert not activations["subtract"][1].any()


def test_an_input_that_is_left_out_is_an_error(difference: Model) -> None:
    with pytest.raises(errors.InputMismatch):
        difference.activations({"left": samples()["seven"]}, layers="all")


def test_a_tensor_and_a_picture_go_to_their_inputs(difference: Model) -> None:
    zeros = np.zeros((28, 28, 1), np.float32)
    activations = difference.activations({"left": samples()["seven"], "right": zeros}, layers="all")
    np.testing.assert_array_equal(activations["subtract"], activations["left"])
    assert not activations["right"].any()
