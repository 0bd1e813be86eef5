"""The OpenAPI document says what the service does, and what it answers is what the document says."""

import json
import re
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from requests_made import ACTIVATIONS, FEATURE_MAP, PNG, PREDICTIONS, SEVEN, SEVEN_ID
from served_models import WIRINGS, Gallery
from starlette.testclient import TestClient

from layerscope.encode import MEDIA_TYPES
from layerscope_api.context.settings import Settings
from layerscope_api.responses.errors import STATUSES
from layerscope_api.schemas import ablations, interventions, models, results, service
from layerscope_api.schemas.ablation_options import AblationPictureOptions, AblationTensorOptions
from layerscope_api.schemas.attribution_options import HeatMapOptions, HeatPictureOptions, options_of_all
from layerscope_api.schemas.comparison_options import (
    ComparisonOptions,
    ImageComparisonOptions,
    ImageComparisonPictureOptions,
)
from layerscope_api.schemas.intervention_options import InterventionOptions
from layerscope_api.schemas.options import (
    ActivationOptions,
    LayersOptions,
    PredictionOptions,
    StatisticsOptions,
)
from layerscope_api.schemas.picture_options import FeatureMapOptions, OverlayOptions
from layerscope_api.server.app import create_app

Operation = tuple[str, str, dict[str, Any]]

ERROR = {"$ref": "#/components/schemas/ErrorBody"}
OPTIONS = {
    "ablations": AblationTensorOptions,
    "ablations.png": AblationPictureOptions,
    "interventions": InterventionOptions,
    "activations": ActivationOptions,
    "{method}": options_of_all(HeatMapOptions),
    "{method}.png": options_of_all(HeatPictureOptions),
    "/v1/compare": ComparisonOptions,
    "/v1/compare.png": ComparisonOptions,
    "compare": ImageComparisonOptions,
    "compare.png": ImageComparisonPictureOptions,
    "feature-map.png": FeatureMapOptions,
    "overlay.png": OverlayOptions,
    "predictions": PredictionOptions,
    "statistics": StatisticsOptions,
    "statistics.png": LayersOptions,
}


def options_of(path: str) -> type[BaseModel] | None:
    """The options of a resource: by its whole path, or by the last part alone."""
    return OPTIONS.get(path) or OPTIONS.get(path.rpartition("/")[2])


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings(models=None))


@pytest.fixture(scope="module")
def document(app: FastAPI) -> dict[str, Any]:
    return app.openapi()


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> list[Operation]:
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_documented(app: FastAPI, operations: list[Operation]) -> None:
    served = {
        (path, method.lower())
        for path, methods in _routes(app)
        for method in methods
        if path != "/" and not path.startswith(("/docs", "/openapi", "/ui"))
    }

    assert served == {(path, method) for path, method, _ in operations}


def test_operation_ids_are_unique_and_speak(operations: list[Operation]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations]

    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", each) for each in ids), ids


def test_every_route_documents_its_errors(operations: list[Operation]) -> None:
    for path, method, operation in operations:
        responses = operation["responses"]
        where = f"{method} {path}"
        assert "500" in responses, where
        for status, response in responses.items():
            if int(status) >= 400 and not path.startswith("/v2/health"):
                assert response["content"]["application/json"]["schema"] == ERROR, (where, status)
                assert response["description"], (where, status)
        if "{model}" in path:
            assert {"404", "409", "503"} <= responses.keys(), where
        if "requestBody" in operation:
            assert {"413"} <= responses.keys(), where
            assert {"415", "422"} <= responses.keys() or path.startswith("/v2"), where
        assert "422" not in responses or not path.startswith("/v2"), where


def test_routes_that_run_models_document_every_cause(operations: list[Operation]) -> None:
    causes = {str(status) for status in STATUSES.values()} - {"507"}
    for path, method, operation in operations:
        if options_of(path) is not None:
            assert causes <= operation["responses"].keys(), path
            assert ("304" in operation["responses"]) is (method == "get")


def test_binary_routes_document_their_media_types(operations: list[Operation]) -> None:
    contents = {
        path: set(operation["responses"]["200"]["content"])
        for path, method, operation in operations
        if method == "get"
    }
    assert contents["/v1/models/{model}/activations"] == set(MEDIA_TYPES.values())
    pictures = {path: types for path, types in contents.items() if path.endswith(".png")}
    for thumbnail in ("/v1/images/{image_id}", "/v1/datasets/{name}/rows/{number}"):
        assert pictures.pop(f"{thumbnail}/thumbnail.png") == {"image/png"}
    assert len(pictures) == len([name for name in OPTIONS if name.endswith(".png") and name[0] != "/"])
    assert set(map(frozenset, pictures.values())) == {frozenset({"image/png", "image/webp"})}


def test_every_option_is_a_parameter_a_field_and_a_key(operations: list[Operation]) -> None:
    for path, method, operation in operations:
        kind = options_of(path)
        if kind is None:
            continue
        parameters = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
        assert parameters == set(kind.model_fields)
        assert all(each.get("description") for each in operation["parameters"])
        if method == "post":
            content = operation["requestBody"]["content"]
            for form in ("multipart/form-data", "application/json"):
                assert set(kind.model_fields) <= content[form]["schema"]["properties"].keys()
            assert {"image/png", "image/jpeg", "application/x-npy"} <= content.keys()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))

    assert references
    assert references <= document["components"]["schemas"].keys()
    assert document["openapi"].startswith("3.1")
    assert {"title", "version", "license"} <= document["info"].keys()


def test_every_link_leads_somewhere(operations: list[Operation]) -> None:
    known = {each["operationId"]: each["parameters"] for _, _, each in operations if "parameters" in each}
    links = [
        link
        for _, _, operation in operations
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for link in links:
        names = {each["name"] for each in known[link["operationId"]]}
        assert link["parameters"].keys() <= names, link


def test_lists_of_numbers_are_one_text_and_what_repeats_is_not(operations: list[Operation]) -> None:
    declared = {
        each["name"]: each.get("explode", True)
        for _, _, operation in operations
        for each in operation.get("parameters", [])
    }
    names = ("region", "range", "percentile", "image", "layers")
    assert {name: declared[name] for name in names} == {
        "region": False,
        "range": False,
        "percentile": False,
        "image": True,
        "layers": True,
    }


def test_path_parameters_are_declared(operations: list[Operation]) -> None:
    for path, _, operation in operations:
        declared = {
            each["name"]
            for each in operation.get("parameters", [])
            if each["in"] == "path" and each["required"]
        }
        assert declared == set(re.findall(r"{(\w+)}", path))
        assert operation["summary"]
        assert operation["description"]


def test_the_document_is_served_as_it_is_printed(http: TestClient, document: dict[str, Any]) -> None:
    assert http.get("/openapi.json").json() == document


@pytest.mark.parametrize(
    ("url", "schema"),
    [
        ("/v1/models", models.ModelList),
        ("/v1/models/digits", models.ModelBody),
        ("/v1/models/digits/layers", models.LayerList),
        ("/v1/models/digits/graph", models.GraphBody),
        (f"/v1/images/{SEVEN_ID}", service.ImageBody),
        (f"{ACTIVATIONS}?image={SEVEN_ID}&layers=dense&statistics=true", results.ActivationsBody),
        (f"{ACTIVATIONS}?image={SEVEN_ID}&layers=all&dtype=uint8", results.ActivationsBody),
        (f"{ACTIVATIONS}?image={SEVEN_ID}&layers=all&channels=top:2", results.ActivationsBody),
        (f"{PREDICTIONS}?image={SEVEN_ID}", results.PredictionsBody),
        (f"/v1/models/digits/ablations?image={SEVEN_ID}&layer=conv2&by=place", ablations.AblationBody),
        (f"/v1/models/digits/ablations?image={SEVEN_ID}&layers=conv*", ablations.AblationBody),
        (
            f"/v1/models/digits/interventions?image={SEVEN_ID}&edit=conv2;set=0",
            interventions.InterventionBody,
        ),
        ("/v1/limits", service.LimitList),
        ("/v1/colormaps", service.ColormapList),
        ("/v1/version", service.VersionInfo),
        ("/v2/health/live", service.Liveness),
        ("/v2/health/ready", service.Readiness),
        ("/v1/models/none", service.ErrorBody),
        ("/v1/models/digits/layers?layers=zzz", service.ErrorBody),
        ("/nowhere", service.ErrorBody),
        (f"/v1/images/{SEVEN_ID}/thumbnail.png?side=x", service.ErrorBody),
    ],
)
@pytest.mark.usefixtures("seven")
def test_answers_follow_their_schema(http: TestClient, url: str, schema: type[BaseModel]) -> None:
    answer = http.get(url)

    assert answer.headers["content-type"] == "application/json"
    _check(schema, answer.json())


@pytest.mark.parametrize("name", WIRINGS)
def test_answers_about_every_wiring_follow_their_schema(gallery: Gallery, name: str) -> None:
    for suffix, schema in (
        ("", models.ModelBody),
        ("/layers", models.LayerList),
        ("/graph", models.GraphBody),
    ):
        _check(schema, gallery.http.get(f"/v1/models/{name}{suffix}").json())
    if name == "odd":
        send = {"content": SEVEN, "headers": PNG}
        for route, schema in (
            ("activations", results.ActivationsBody),
            ("predictions", results.PredictionsBody),
        ):
            _check(schema, gallery.http.post(f"/v1/models/{name}/{route}", **send).json())


def test_a_picture_is_what_it_says(http: TestClient, seven: str) -> None:
    for url in (f"{FEATURE_MAP}?image={seven}&layer=conv1", f"/v1/images/{seven}/thumbnail.png"):
        answer = http.get(url)
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")


def _check(schema: type[BaseModel], body: dict[str, Any]) -> None:
    """The body is valid, strictly, and has no key that the schema does not know."""
    parsed = schema.model_validate_json(json.dumps(body), strict=True)
    dumped = parsed.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert dumped.keys() == body.keys()
    assert _keys(dumped) == _keys(body)


def _keys(value: Any) -> Any:
    """The keys of nested objects, without the values."""
    if isinstance(value, dict):
        return {key: _keys(each) for key, each in value.items()}
    return [_keys(each) for each in value[:20]] if isinstance(value, list) else None


def _routes(app: FastAPI) -> list[tuple[str, set[str]]]:
    """Path and methods of every route, those of included routers too."""
    contexts = [
        context for route in app.routes for context in getattr(route, "effective_route_contexts", list)()
    ]
    return [
        (each.path, set(each.methods) - {"HEAD"})
        for each in (*app.routes, *contexts)
        if hasattr(each, "path")
    ]
