"""The service as a deployment of Ray Serve, and the manifests for Ray on Kubernetes."""

import io
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from clusters import BIN, ray_cluster
from free_ports import free_ports
from layerscope import demo

pytestmark = pytest.mark.cluster

APPLICATION = "layerscope_api.server.ray_serve:application"
MANIFEST = Path(__file__).parents[2] / "docker" / "kubernetes" / "rayservice.yaml"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the application with one replica, behind Ray's own proxy: HAProxy would listen on all interfaces."""
    (port,) = free_ports(1)
    surroundings = {
        "LAYERSCOPE_INSECURE_NO_AUTH": "true",
        "LAYERSCOPE_MODELS": str(demo.MODELS),
    }
    config = tmp_path_factory.mktemp("serve") / "config.yaml"
    where = {"host": "127.0.0.1", "port": port}
    config.write_text(json.dumps({"http_options": where, "applications": [{"import_path": APPLICATION}]}))
    with ray_cluster(surroundings) as cluster:
        everything = os.environ | cluster.surroundings | surroundings
        subprocess.run(
            [BIN / "serve", "run", "--non-blocking", config], env=everything, check=True, timeout=300
        )
        yield f"http://127.0.0.1:{port}"


def answer(request: urllib.request.Request) -> bytes:
    """The answer, as soon as the replica that is being made gives one."""
    last = time.monotonic() + 300
    while True:
        try:
            with urllib.request.urlopen(request, timeout=300) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            # Ray's proxy hears of the replica a moment later than who asked for it.
            if time.monotonic() > last:
                raise AssertionError(error.read()) from error
        time.sleep(0.2)


def test_it_answers_a_prediction_and_a_layer(address: str) -> None:
    image, headers = demo.samples()["seven"].read_bytes(), {"Content-Type": "image/png"}
    model = f"{address}/v1/models/digits"
    found = json.loads(answer(urllib.request.Request(f"{model}/predictions", image, headers)))
    assert found["outputs"][0]["predictions"][0][0]["name"] == "7"
    layer = urllib.request.Request(
        f"{model}/activations?layers=conv1&reduce=mean", image, headers | {"Accept": "application/x-npy"}
    )
    assert np.load(io.BytesIO(answer(layer))).shape == (1, 16)


def test_it_is_not_open_to_everybody_unless_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from layerscope_api.server.ray_serve import build

    monkeypatch.delenv("LAYERSCOPE_INSECURE_NO_AUTH", raising=False)
    with pytest.raises(ValueError, match="LAYERSCOPE_API_KEYS"):
        build()


def test_ray_reads_the_serve_config_of_the_manifest() -> None:
    from ray.serve.schema import ServeDeploySchema

    (manifest,) = yaml.safe_load_all(MANIFEST.read_text("utf-8"))
    config = yaml.safe_load(manifest["spec"]["serveConfigV2"])
    (application,) = ServeDeploySchema.model_validate(config).applications
    assert application.import_path == APPLICATION
    assert [each.name for each in application.deployments] == ["layerscope"]
