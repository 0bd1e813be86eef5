"""What other tools fell into when they drew: state that pictures share, shared layers, output lists, batches, dead maps."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import pytest
from answers_read import npy, tensors
from keras import layers
from PIL import Image
from requests_made import NPY, PNG
from starlette.testclient import TestClient

from layerscope.render import lookup_table
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

MODEL = "/v1/models/traps"
SIDE = 8


@pytest.fixture(scope="module")
def traps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A convolution that is called twice, a nested model with a list of outputs, a dead convolution, a map of one place."""
    keras.utils.set_random_seed(3)
    entrance = keras.Input((SIDE, SIDE, 3))
    twins = [layers.Conv2D(2, 3, padding="same", name=name)(entrance) for name in ("left", "right")]
    trunk = keras.Model(entrance, twins, name="trunk")
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    shared = layers.Conv2D(4, 3, padding="same", activation="relu", name="shared")
    seen = [shared(picture), shared(layers.Permute((2, 1, 3), name="turn")(picture))]
    dead = layers.Conv2D(
        2,
        3,
        padding="same",
        activation="relu",
        bias_initializer=keras.initializers.Constant(-99),
        name="dead",
    )(picture)
    joined = layers.Concatenate(name="joined")([*seen, dead, *trunk(picture)])
    point = layers.Conv2D(3, SIDE, activation="relu", name="point")(joined)
    output = layers.Dense(2, activation="softmax", name="kind")(layers.Flatten(name="flat")(point))
    folder = tmp_path_factory.mktemp("models") / "traps" / "1"
    folder.mkdir(parents=True)
    keras.Model(picture, output).save(folder / "model.keras")
    (folder / "layerscope.json").write_text('{"preprocessing": {"preset": "signed"}}', "utf-8")
    with TestClient(create_app(Settings(models=folder.parents[1]))) as http:
        yield http


def photos(count: int) -> list[bytes]:
    files = []
    for pixels in np.random.default_rng(8).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        files.append(file.getvalue())
    return files


@pytest.fixture(scope="module")
def stored(traps: TestClient) -> list[str]:
    return [traps.post("/v1/images", content=each, headers=PNG).json()["id"] for each in photos(3)]


def drawn(http: TestClient, resource: str, **options: Any) -> bytes:
    answer = http.get(f"{MODEL}/{resource}", params=options)
    assert answer.status_code == 200, answer.text
    return answer.content


def values(http: TestClient, image: str, layer: str) -> np.ndarray:
    answer = http.get(
        f"{MODEL}/activations", params={"image": image, "layers": layer, "format": "safetensors"}
    )
    return tensors(answer)[layer]


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_pictures_drawn_at_the_same_time_share_nothing(traps: TestClient, stored: list[str]) -> None:
    wanted = [
        (resource, {"image": image, "layer": layer, "channel": channel, "colormap": colormap})
        for resource in ("feature-map.png", "overlay.png")
        for image in stored
        for layer, channel in (("shared", 0), ("shared:1", 3), ("trunk:0.1", 1), ("dead", 0), ("point", 2))
        for colormap in ("magma", "vik")
    ]
    alone = [drawn(traps, resource, **options) for resource, options in wanted]

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda each: drawn(traps, each[0], **each[1]), wanted))

    assert together == alone
    assert len(set(alone)) > len(wanted) / 2


@pytest.mark.parametrize("resource", ["feature-map.png", "overlay.png"])
def test_drawing_twice_gives_the_same_bytes_and_leaves_values_as_they_are(
    traps: TestClient, stored: list[str], resource: str
) -> None:
    before = values(traps, stored[0], "shared")
    look = {"image": stored[0], "layer": "shared", "percentile": "5,95", "colorbar": "true"}

    assert drawn(traps, resource, **look) == drawn(traps, resource, **look)

    np.testing.assert_array_equal(values(traps, stored[0], "shared"), before)


@pytest.mark.parametrize("layer", ["shared", "shared:1", "trunk", "trunk:0.1", "trunk/left", "trunk/right"])
def test_each_call_and_each_output_of_a_layer_has_a_picture_of_its_own(
    traps: TestClient, stored: list[str], layer: str
) -> None:
    channel = values(traps, stored[0], layer)[0, ..., 1]

    picture = drawn(
        traps,
        "feature-map.png",
        image=stored[0],
        layer=layer,
        channel=1,
        colormap="gray",
        centered="false",
    )

    fraction = (channel - channel.min()) / (channel.max() - channel.min())
    expected = lookup_table("gray", 256)[np.minimum(fraction * 256, 255).astype(int)]
    # The second call sees the image turned, and its picture lies over the image as it was.
    is_turned = layer == "shared:1"
    np.testing.assert_array_equal(pixels(picture), expected.swapaxes(0, 1) if is_turned else expected)


def test_the_calls_of_a_shared_layer_are_explained_apart(traps: TestClient, stored: list[str]) -> None:
    def explained(layer: str) -> np.ndarray:
        answer = traps.get(
            f"{MODEL}/attributions/hirescam",
            params={"image": stored[0], "layer": layer, "target": 1, "format": "npy"},
        )
        assert answer.status_code == 200, answer.text
        return np.load(io.BytesIO(answer.content))

    maps = [explained(layer) for layer in ("shared", "shared:1", "trunk", "trunk:0.1")]

    assert len({each.tobytes() for each in maps}) == 4


def test_in_a_batch_each_image_is_drawn_as_if_it_were_alone(traps: TestClient, stored: list[str]) -> None:
    look = {"layer": "shared:1", "columns": 4, "gap": 0}

    together = pixels(drawn(traps, "feature-map.png", image=stored, **look))

    alone = [pixels(drawn(traps, "feature-map.png", image=each, **look)) for each in stored]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_a_dead_map_is_one_colour_and_its_overlay_too(traps: TestClient, stored: list[str]) -> None:
    look = {"image": stored[0], "layer": "dead", "channel": 0}

    for resource in ("feature-map.png", "overlay.png"):
        picture = pixels(drawn(traps, resource, **look, **({"alpha": 1} if "overlay" in resource else {})))
        assert (picture == lookup_table("viridis", 256)[0]).all()


def test_a_map_of_one_place_covers_the_picture(traps: TestClient, stored: list[str]) -> None:
    overlay = pixels(drawn(traps, "overlay.png", image=stored[0], layer="point", channel=0, alpha=1))

    assert overlay.shape == (SIDE, SIDE, 3)
    assert len(np.unique(overlay.reshape(-1, 3), axis=0)) == 1
    assert pixels(drawn(traps, "feature-map.png", image=stored[0], layer="point", channel=0)).shape == (
        1,
        1,
        3,
    )


def test_a_picture_of_nan_is_all_in_the_colour_of_nan(traps: TestClient) -> None:
    tensor = npy(np.full((SIDE, SIDE, 3), np.nan, np.float32))

    answer = traps.post(
        f"{MODEL}/feature-map.png", content=tensor, headers=NPY, params={"layer": "turn", "channel": 0}
    )

    assert (pixels(answer.content) == [255, 0, 255]).all()
    assert answer.headers["x-value-min"] == "nan"
