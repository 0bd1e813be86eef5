"""What is shipped for containers: files that their own checkers accept, and figures that the service really gives."""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import typer
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient
from typer.testing import CliRunner

from layerscope.demo import samples
from layerscope.limits import Limits
from layerscope_api.cli.app import app
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

DOCKER = Path(__file__).parents[2] / "docker"
FIGURE = re.compile(r"\b(?:layerscope|process)_\w+")
LABELS = re.compile(r"(\w+)=~?\"|(?:by|without) \(([^)]*)\)")
OF_PROMETHEUS = {"le", "job", "instance"}


def documents(path: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(path.read_text("utf-8")) if each]


@pytest.fixture(scope="module")
def scraped() -> Iterator[dict[str, set[str]]]:
    """The names of all figures after a few requests, each with its labels."""
    with TestClient(create_app(Settings(models=None, watch_layers=("digits:conv*",)))) as http:
        seven, headers = samples()["seven"].read_bytes(), {"Content-Type": "image/png"}
        for path in ("predictions", "predictions", "activations?layers=zzz"):
            http.post(f"/v1/models/digits/{path}", content=seven, headers=headers)
        found: dict[str, set[str]] = {}
        for family in text_string_to_metric_families(http.get("/metrics").text):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
        yield found


def queries() -> list[str]:
    dashboard = json.loads((DOCKER / "grafana" / "dashboards" / "layerscope.json").read_text("utf-8"))
    rules = documents(DOCKER / "prometheus" / "alerts.yml")[0]["groups"]
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    found += [variable["query"] for variable in dashboard["templating"]["list"]]
    return found + [rule["expr"] for group in rules for rule in group["rules"]]


@pytest.mark.parametrize("query", queries())
def test_every_query_asks_for_figures_that_there_are(query: str, scraped: dict[str, set[str]]) -> None:
    names = FIGURE.findall(query)
    assert names
    assert set(names) <= scraped.keys()
    known = OF_PROMETHEUS.union(*(scraped[name] for name in names))
    asked = {label.strip() for one, several in LABELS.findall(query) for label in (one or several).split(",")}
    assert asked <= known


@pytest.mark.parametrize("query", queries())
def test_every_query_is_one(query: str) -> None:
    of_grafana = re.fullmatch(r"label_values\((\w+), \w+\)", query)
    promql_parser.parse(of_grafana[1] if of_grafana else query)


def test_alerts_are_named_and_explained() -> None:
    for group in documents(DOCKER / "prometheus" / "alerts.yml")[0]["groups"]:
        for rule in group["rules"]:
            assert re.fullmatch(r"Layerscope[A-Z]\w+", rule["alert"])
            assert rule["annotations"]["summary"].endswith((".", "reason."))
            assert rule["labels"]["severity"] in {"warning", "critical"}


def test_the_dockerfile_passes_hadolint() -> None:
    command = [Path(sys.executable).with_name("hadolint"), DOCKER / "Dockerfile"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_copied_into_the_image_is_there() -> None:
    text = (DOCKER / "Dockerfile").read_text("utf-8")
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for name in line.split()
    ]
    assert copied
    for name in copied:
        assert (DOCKER.parent / name).exists()
    for requirements in ("runtime", "gpu"):
        assert (DOCKER.parent / "requirements" / f"{requirements}.txt").is_file()


MANIFESTS = sorted((DOCKER / "kubernetes").glob("*.yaml"))


def pods_of(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The pods that Kubernetes, KServe or KubeRay make of a manifest."""
    spec = document["spec"]
    if document["apiVersion"].startswith("ray.io/"):
        cluster = ray_cluster_of(document)
        groups = (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
        return [pod(each["template"]["spec"]) for each in groups]
    if "template" in spec:
        return [pod(spec["template"]["spec"])]
    if document["kind"] == "InferenceService":
        predictor = spec["predictor"]
        container = {name: predictor["model"].get(name, []) for name in ("env", "volumeMounts")}
        spec = {"containers": [{"name": "kserve-container", **container}]}
        spec |= {
            name: predictor[name]
            for name in ("volumes", "terminationGracePeriodSeconds")
            if name in predictor
        }
    known = {"containers", "volumes", "terminationGracePeriodSeconds"}
    return [pod({name: value for name, value in spec.items() if name in known})]


def pod(spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "made"}, "spec": spec}


def ray_cluster_of(document: dict[str, Any]) -> dict[str, Any]:
    """The cluster of a `RayJob` or `RayService`."""
    spec = document["spec"]
    cluster: dict[str, Any] = spec.get("rayClusterSpec") or spec["rayClusterConfig"]
    return cluster


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda each: each.name)
def test_kubernetes_knows_every_field(path: Path) -> None:
    for document in documents(path):
        is_of_others = document["apiVersion"].startswith(("serving.kserve.io/", "ray.io/"))
        for each in pods_of(document) if is_of_others else [document]:
            kubernetes_validate.validate(each, "1.37", strict=True)


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda each: each.name)
def test_what_is_mounted_is_a_volume_of_the_pod(path: Path) -> None:
    for pod in (each["spec"] for document in documents(path) for each in pods_of(document)):
        volumes = {each["name"] for each in pod.get("volumes", [])}
        for container in pod.get("containers", []):
            assert {each["name"] for each in container.get("volumeMounts", [])} <= volumes
            points = [each["mountPath"] for each in container.get("volumeMounts", [])]
            assert len(points) == len(set(points))


def test_kserve_scales_on_figures_that_there_are(scraped: dict[str, set[str]]) -> None:
    (service,) = documents(DOCKER / "kubernetes" / "kserve-autoscaled.yaml")
    (metric,) = service["spec"]["predictor"]["autoScaling"]["metrics"]
    query = metric["external"]["metric"]["query"]
    promql_parser.parse(query)
    assert set(FIGURE.findall(query)) <= scraped.keys()


def test_the_job_does_all_shares_by_a_command_that_there_is() -> None:
    (job,) = documents(DOCKER / "kubernetes" / "extract.yaml")
    (text,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    command, _, index = text.partition(' "$JOB_COMPLETION_INDEX')
    assert index.startswith(f'/{job["spec"]["completions"]}"')
    assert command.startswith("layerscope extract run ")
    known = CliRunner().invoke(app, ["extract", "run", "--help"]).output
    assert set(re.findall(r"--\w+", command)) <= set(re.findall(r"--\w+", known))


@pytest.mark.parametrize("name", ["rayjob", "rayservice"])
def test_nobody_uses_a_cluster_of_ray_without_a_token(name: str) -> None:
    (document,) = documents(DOCKER / "kubernetes" / f"{name}.yaml")
    assert ray_cluster_of(document)["authOptions"] == {"mode": "token"}


def test_the_entrypoint_of_a_ray_job_is_a_command() -> None:
    (document,) = documents(DOCKER / "kubernetes" / "rayjob.yaml")
    program, *arguments = shlex.split(document["spec"]["entrypoint"])
    assert (program, *arguments[:4]) == ("layerscope", "extract", "run", "--on", "ray")
    command = typer.main.get_command(app)
    for name in arguments[:2]:
        command = command.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {each for each in arguments if each.startswith("--")} <= known


def test_every_setting_in_an_environment_is_one() -> None:
    texts = [path.read_text("utf-8") for path in sorted(DOCKER.rglob("*")) if path.is_file()]
    named = {name for text in texts for name in re.findall(r"LAYERSCOPE_(\w+)", text)}
    assert named
    limits = {f"limits__{each.name}" for each in dataclasses.fields(Limits)}
    assert {name.lower() for name in named} <= Settings.model_fields.keys() | limits


def test_ports_and_probes_are_those_of_the_service() -> None:
    with TestClient(create_app(Settings(models=None))) as http:
        for path in sorted(DOCKER.rglob("*.yaml")):
            for probe in re.findall(r"path: (/v2/[\w/]+|/metrics)", path.read_text("utf-8")):
                assert http.get(probe).status_code == 200
    runtime, service = documents(DOCKER / "kubernetes" / "kserve.yaml")
    assert (runtime["kind"], service["kind"]) == ("ClusterServingRuntime", "InferenceService")
    assert service["spec"]["predictor"]["model"]["runtime"] == runtime["metadata"]["name"]


def test_compose_mounts_what_there_is() -> None:
    (compose,) = documents(DOCKER / "compose.yaml")
    mounted = [volume for each in compose["services"].values() for volume in each.get("volumes", [])]
    assert mounted
    for volume in mounted:
        assert (DOCKER / volume.split(":")[0]).exists()
    assert compose["services"]["layerscope"]["read_only"] is True
