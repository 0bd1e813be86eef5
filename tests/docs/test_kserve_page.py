"""The page on KServe: its manifests are valid, and its requests get what it says."""

import json
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import numpy as np
import yaml
from PIL import Image

from layerscope.demo import samples
from layerscope_api.context.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "kserve.md").read_text("utf-8")
SEVEN = "service/layerscope/demo/samples/seven.png"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def here(text: str, address: str) -> str:
    return text.replace("127.0.0.1:8000", address.removeprefix("http://")).replace(
        SEVEN, str(samples()["seven"])
    )


def test_kubernetes_knows_the_manifests() -> None:
    documents = [each for text in blocks("yaml") for each in yaml.safe_load_all(text)]
    assert [each["kind"] for each in documents] == ["PersistentVolumeClaim", "Pod"]
    for document in documents:
        kubernetes_validate.validate(document, "1.37", strict=True)
    runtime = (ROOT / "docker" / "kubernetes" / "kserve.yaml").read_text("utf-8")
    assert f"pvc://{documents[0]['metadata']['name']}" in runtime


def test_what_is_copied_and_applied_is_there() -> None:
    commands = "\n".join(blocks("sh"))
    for path in re.findall(r"(?:docker|service/layerscope)/[\w./-]+", commands):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"LAYERSCOPE_(\w+)", TEXT):
        assert name.lower() in Settings.model_fields


def test_curl_gets_the_mean_of_each_channel(address: str) -> None:
    (command,) = [block for block in blocks("sh") if block.startswith("curl")]
    done = subprocess.run(["bash", "-c", here(command, address)], capture_output=True, text=True, check=True)
    (output,) = json.loads(done.stdout)["outputs"]
    assert (output["name"], output["shape"]) == ("conv1", [1, 16])
    assert np.isfinite(output["data"]).all()


def test_tritonclient_gets_the_layer_and_its_picture(address: str, tmp_path: Path) -> None:
    (snippet,) = blocks("python")
    command = [sys.executable, "-c", here(snippet, address)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 28, 28, 16)"
    assert Image.open(tmp_path / "conv1.png").format == "PNG"
