"""Layerscope as somebody sees it who knows Triton's client and nothing else: it is not told that layers are special."""

import asyncio
import shutil
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_asyncio
from PIL import Image
from sockets import served
from tritonclient.utils import InferenceServerException

from layerscope.demo import MODELS, samples
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

FILES = [samples()[name].read_bytes() for name in ("seven", "two", "one")]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models = tmp_path_factory.mktemp("models")
    shutil.copytree(MODELS, models, dirs_exist_ok=True)
    settings = Settings(models=models, control="explicit", load=("digits",))
    with served(create_app(settings), settings) as address:
        client = triton.InferenceServerClient(address)
        while not client.is_server_ready():
            pass
        client.close()
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(address) as client:
        yield client


def images(*files: bytes, name: str = "image") -> triton.InferInput:
    """Image files as an input: their preprocessing is the service's."""
    pictures = triton.InferInput(name, [len(files)], "BYTES")
    return pictures.set_data_from_numpy(np.array(files, np.object_))


def pixels(count: int, *, binary: bool = True) -> triton.InferInput:
    """Numbers as the model takes them."""
    values = np.random.default_rng(count).random((count, 28, 28, 1), np.float32)
    return triton.InferInput("input", list(values.shape), "FP32").set_data_from_numpy(
        values, binary_data=binary
    )


def test_what_there_is(client: triton.InferenceServerClient) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("digits")
    assert client.is_model_ready("digits", "1")
    assert not client.is_model_ready("letters")
    assert client.get_server_metadata()["name"] == "layerscope"
    assert "layer_outputs" in client.get_server_metadata()["extensions"]
    assert client.get_model_repository_index() == [
        {"name": "digits", "version": "1", "state": "READY", "reason": ""}
    ]


def test_list_layers(client: triton.InferenceServerClient) -> None:
    model = client.get_model_metadata("digits")
    assert model["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 28, 28, 1]}]
    assert [output["shape"] for output in model["outputs"]] == [[-1, 10]]

    everything = client.get_model_metadata("digits", query_params={"outputs": "layers"})
    layers = {output["name"]: output["shape"] for output in everything["outputs"]}
    assert layers["conv1"] == [-1, 28, 28, 16]

    configuration = client.get_model_config("digits", "1")
    assert configuration["input"] == [{"name": "input", "data_type": "TYPE_FP32", "dims": [28, 28, 1]}]
    assert configuration["max_batch_size"] == 64


def test_two_layers_of_three_images_as_halves(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput("conv1"), triton.InferRequestedOutput("dense")]

    result = client.infer("digits", [images(*FILES)], outputs=wanted, parameters={"dtype": "FP16"})

    assert result.as_numpy("conv1").shape == (3, 28, 28, 16)
    assert result.as_numpy("conv1").dtype == result.as_numpy("dense").dtype == np.float16
    assert [each["name"] for each in result.get_response()["outputs"]] == ["conv1", "dense"]
    assert result.get_response()["model_name"] == "digits"


def test_the_model_itself(client: triton.InferenceServerClient) -> None:
    result = client.infer("digits", [images(*FILES)], request_id="mine")

    (output,) = client.get_model_metadata("digits")["outputs"]
    assert result.as_numpy(output["name"]).argmax(axis=1).tolist() == [7, 2, 1]
    assert result.get_response()["id"] == "mine"


def test_a_picture(client: triton.InferenceServerClient) -> None:
    wanted = [triton.InferRequestedOutput("conv1@png"), triton.InferRequestedOutput("conv1")]

    result = client.infer(
        "digits",
        [images(*FILES)],
        outputs=wanted,
        parameters={"channels": "0-3", "scale": 2, "colormap": "magma"},
    )

    pictures = [Image.open(BytesIO(data)) for data in result.as_numpy("conv1@png")]
    # Four channels in two columns, twice as large, with a pixel between them.
    assert [picture.size for picture in pictures] == [(56 + 1 + 56, 56 + 1 + 56)] * 3
    assert result.as_numpy("conv1").shape == (3, 28, 28, 4)


def test_smaller_answers(client: triton.InferenceServerClient) -> None:
    def asked(**parameters: str | int) -> triton.InferResult:
        return client.infer(
            "digits", [pixels(2)], outputs=[triton.InferRequestedOutput("conv1")], parameters=parameters
        )

    whole = asked().as_numpy("conv1")
    np.testing.assert_array_equal(asked(channels="0,3").as_numpy("conv1"), whole[..., [0, 3]])
    np.testing.assert_array_equal(
        asked(region="2,4,10,8", stride=2).as_numpy("conv1"), whole[:, 4:8:2, 2:10:2]
    )
    np.testing.assert_allclose(asked(reduce="mean").as_numpy("conv1"), whole.mean(axis=(1, 2)), rtol=1e-5)
    quantized = asked(dtype="UINT8")
    scale, offset = quantized.as_numpy("conv1@scale"), quantized.as_numpy("conv1@offset")
    np.testing.assert_allclose(quantized.as_numpy("conv1") * scale + offset, whole, atol=scale.max())


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("compression", [None, "gzip", "deflate"])
def test_binary_json_and_compressed(
    client: triton.InferenceServerClient, binary_in: bool, compression: str | None
) -> None:
    wanted = [
        triton.InferRequestedOutput("conv1", binary_data=True),
        triton.InferRequestedOutput("dense", binary_data=False),
    ]
    expected = client.infer("digits", [pixels(2)], outputs=wanted[:1]).as_numpy("conv1")

    result = client.infer(
        "digits",
        [pixels(2, binary=binary_in)],
        outputs=wanted,
        request_compression_algorithm=compression,
        response_compression_algorithm=compression,
    )

    np.testing.assert_array_equal(result.as_numpy("conv1"), expected)
    assert "data" in result.get_output("dense")
    assert result.as_numpy("dense").shape == (2, 32)


def test_statistics(client: triton.InferenceServerClient) -> None:
    def counted(stats: dict[str, Any]) -> tuple[int, int, int, int]:
        (model,) = stats["model_stats"]
        stages = model["inference_stats"]
        return (
            model["inference_count"],
            stages["success"]["count"],
            stages["fail"]["count"],
            stages["queue"]["count"],
        )

    before = counted(client.get_inference_statistics("digits", "1"))
    client.infer("digits", [images(*FILES)])
    with pytest.raises(InferenceServerException):
        client.infer("digits", [images(b"no image")])
    after = counted(client.get_inference_statistics())

    assert tuple(now - then for now, then in zip(after, before, strict=True)) == (3, 1, 1, 1)
    (model,) = client.get_inference_statistics("digits")["model_stats"]
    assert (
        model["execution_count"] == sum(each["compute_infer"]["count"] for each in model["batch_stats"]) > 0
    )
    assert model["inference_stats"]["compute_infer"]["ns"] > 0
    assert model["memory_usage"][0]["byte_size"] > 0


def test_with_asyncio(address: str) -> None:
    async def ask() -> list[np.ndarray]:
        async with triton_asyncio.InferenceServerClient(address) as client:
            wanted = [triton_asyncio.InferRequestedOutput("conv2")]
            asked = [client.infer("digits", [images(file)], "1", outputs=wanted) for file in FILES]
            return [result.as_numpy("conv2") for result in await asyncio.gather(*asked)]

    values = asyncio.run(ask())

    with triton.InferenceServerClient(address) as client:
        together = client.infer(
            "digits", [images(*FILES)], outputs=[triton.InferRequestedOutput("conv2")]
        ).as_numpy("conv2")
    np.testing.assert_array_equal(np.concatenate(values), together)


def test_errors(client: triton.InferenceServerClient) -> None:
    def refused(model: str = "digits", output: str = "dense", **parameters: str) -> str:
        with pytest.raises(InferenceServerException) as failed:
            client.infer(
                model,
                [images(FILES[0])],
                outputs=[triton.InferRequestedOutput(output)],
                parameters=parameters,
            )
        return str(failed.value)

    assert "unexpected inference output 'cnv1' for model 'digits'" in refused(output="cnv1")
    assert "Did you mean conv1" in refused(output="cnv1")
    assert "[404] Request for unknown model: 'letters' is not found" in refused(model="letters")
    assert refused(output="conv*").startswith("[400]")
    assert refused(channels="99").startswith("[400]")
    with pytest.raises(InferenceServerException, match=r"\[400\] Shared memory is not supported"):
        client.get_system_shared_memory_status()
    with pytest.raises(InferenceServerException, match=r"\[400\] .*logging.* is not supported"):
        client.get_log_settings()


def test_unload_and_load(client: triton.InferenceServerClient) -> None:
    client.unload_model("digits")
    assert not client.is_model_ready("digits")
    assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
    with pytest.raises(InferenceServerException, match="not loaded"):
        client.infer("digits", [images(FILES[0])])

    client.load_model("digits")
    assert client.is_model_ready("digits")
    assert client.get_model_repository_index()[0]["state"] == "READY"
    with pytest.raises(
        InferenceServerException, match=r"\[404\] Request for unknown model: 'letters' is not found"
    ):
        client.load_model("letters")
