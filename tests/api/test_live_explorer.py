"""`layerscope.show`: models in memory are served as they are, with the images of the caller, until the explorer is closed."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import keras
import numpy as np
import pytest
from PIL import Image

import layerscope
from layerscope.errors import ModelRefused
from layerscope_api.live import LiveExplorer
from layerscope_client import Client

pytestmark = pytest.mark.wide

PIXELS = np.random.default_rng(5).integers(0, 256, (3, 12, 12, 1), dtype=np.uint8)


class Doubled(keras.Layer):
    """A class that no file could be opened with elsewhere."""

    def call(self, values: Any) -> Any:
        return 2 * values


def small_model(name: str = "Mine") -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Rescaling(1 / 255, name="rescaling"),
            keras.layers.Conv2D(3, 3, activation="relu", name="conv"),
            Doubled(name="doubled"),
            keras.layers.Lambda(lambda values: values + 1, name="added"),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(4, activation="softmax", name="scores"),
        ],
        name=name,
    )


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_model()


@pytest.fixture(scope="module")
def shown(model: keras.Model) -> Iterator[LiveExplorer]:
    with layerscope.show(model, PIXELS, classes=["a", "b", "c", 4]) as explorer:
        yield explorer


def service(explorer: LiveExplorer) -> Client:
    return Client(explorer.address.removesuffix("/ui/"))


def page_of(explorer: LiveExplorer) -> tuple[httpx2.Response, dict[str, Any]]:
    page = httpx2.get(explorer.address)
    (shipped,) = re.findall(r'id="shipped">(.*?)</script>', page.text, re.DOTALL)
    return page, json.loads(shipped)


def is_served(address: str) -> bool:
    try:
        return httpx2.get(address).is_success
    except httpx2.ConnectError:
        return False


def test_values_are_those_of_the_model(model: keras.Model, shown: LiveExplorer) -> None:
    inside = keras.Model(model.inputs, [model.get_layer("added").output, model.outputs[0]])
    found = service(shown).model("mine").activations(PIXELS[0], layers=["added", "scores"])
    for address, expected in zip(("added", "scores"), inside.predict(PIXELS[:1], verbose=0), strict=True):
        np.testing.assert_allclose(found[address], expected, rtol=1e-5, atol=1e-6)


def test_what_is_declared_is_served(shown: LiveExplorer) -> None:
    rows = service(shown).model("mine").predictions(PIXELS[0])["outputs"][0]["predictions"][0]
    assert {row["name"] for row in rows} == {"a", "b", "c", "4"}


def test_the_page_has_the_images_of_the_caller(shown: LiveExplorer) -> None:
    _, shipped = page_of(shown)
    assert [(each["name"], each["kind"]) for each in shipped["samples"]] == [
        (f"image {number}", "given") for number in (1, 2, 3)
    ]


def test_notebooks_of_this_machine_may_frame_the_page_and_nobody_else(shown: LiveExplorer) -> None:
    page, _ = page_of(shown)
    (framed_by,) = re.findall(r"frame-ancestors ([^;]*)", page.headers["content-security-policy"])
    assert framed_by == "http://localhost:* http://127.0.0.1:*"


def test_it_shows_itself_in_a_notebook(shown: LiveExplorer) -> None:
    assert f'<iframe src="{shown.address}"' in shown._repr_html_()
    assert shown.address in repr(shown)


def test_training_changes_nothing_that_is_served() -> None:
    model = small_model()
    before = model.predict(PIXELS[:1], verbose=0)
    with layerscope.show(model, PIXELS) as explorer:
        model.set_weights([each + 1 for each in model.get_weights()])
        found = service(explorer).model("mine").activations(PIXELS[0], layers=["scores"])["scores"]
    np.testing.assert_allclose(found, before, rtol=1e-5, atol=1e-6)


def test_states_stay_as_they_are() -> None:
    model = keras.Sequential(
        [keras.Input((4, 3), batch_size=1), keras.layers.GRU(2, stateful=True, name="gru")]
    )
    steps = np.ones((1, 4, 3), np.float32)
    model.predict(steps, verbose=0)
    before = np.array(model.get_layer("gru").states[0])
    assert np.abs(before).max() > 0
    with layerscope.show(model):
        np.testing.assert_array_equal(model.get_layer("gru").states[0], before)


def test_several_models_are_compared() -> None:
    one, other = small_model(), small_model()
    other.set_weights(one.get_weights())
    with layerscope.show({"before": one, "after": other}, PIXELS) as explorer:
        found = service(explorer).compare("before", "after", PIXELS[0])
    assert found["verdict"] in {"same", "rounding"}


def test_images_come_in_every_form(tmp_path: Path, model: keras.Model) -> None:
    Image.fromarray(PIXELS[0, ..., 0]).save(tmp_path / "kept.png")
    colours = np.repeat(PIXELS[0], 3, axis=-1)
    images = [
        tmp_path / "kept.png",
        (tmp_path / "kept.png").read_bytes(),
        colours,
        Image.fromarray(colours),
        PIXELS[0, ..., 0],
    ]
    with layerscope.show(model, images) as explorer:
        _, shipped = page_of(explorer)
        for sample in shipped["samples"]:
            assert re.fullmatch(r"sha256-[0-9a-f]{64}", sample["id"])
    names = [each["name"] for each in shipped["samples"]]
    assert names == ["kept.png", "image 2", "image 3", "image 4", "image 5"]
    with layerscope.show(model, {"</script>": PIXELS[0]}) as explorer:
        _, shipped = page_of(explorer)
    assert [each["name"] for each in shipped["samples"]] == ["</script>"]


@pytest.mark.parametrize(
    ("images", "kind"),
    [
        (PIXELS / 255, TypeError),
        ([3], TypeError),
        (np.zeros((4, 4, 2, 1, 1), np.uint8), ValueError),
        (["no such file.png"], OSError),
    ],
)
def test_what_is_no_image_is_refused(images: Any, kind: type[Exception], model: keras.Model) -> None:
    with pytest.raises(kind):
        layerscope.show(model, images)


def test_what_cannot_be_traced_is_refused_and_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ModelRefused):
        layerscope.show(keras.Sequential([keras.layers.Dense(2)]), port=port)
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_names_that_no_model_can_have_are_refused(model: keras.Model) -> None:
    with pytest.raises(ValueError, match="'Before this'"):
        layerscope.show({"Before this": model})


def test_it_ends_with_close_and_when_nothing_refers_to_it(model: keras.Model) -> None:
    explorer = layerscope.show(model)
    address = explorer.address
    assert is_served(address)
    explorer.close()
    explorer.close()
    assert not is_served(address)
    explorer = layerscope.show(model)
    address, thread = explorer.address, explorer._thread
    del explorer
    gc.collect()
    thread.join(20)
    assert not is_served(address)


SCRIPT = """
import keras, layerscope
model = keras.Sequential([keras.Input((12, 12, 1)), keras.layers.Conv2D(2, 3)], name="scripted")
layerscope.show(model).wait()
explorer = layerscope.show(model)
"""


def test_a_script_prints_the_address_waits_for_an_interrupt_and_ends_whatever_is_open(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        (waits,) = re.findall(r"Layerscope shows scripted at (\S+)", process.stdout.readline())
        assert is_served(waits)
        process.send_signal(signal.SIGINT)
        (ends,) = re.findall(r"Layerscope shows scripted at (\S+)", process.stdout.readline())
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    assert not is_served(waits)
    assert not is_served(ends)
    assert list(tmp_path.iterdir()) == []
