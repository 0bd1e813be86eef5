"""Both forms of a resource give the same answer, and a new resource is its options, `admit` and `make`."""

import numpy as np
import orjson
import pytest
from fastapi import APIRouter
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.errors import AnswerTooLarge
from layerscope.execution.interface import Query, QueryPlan, Result
from layerscope_api.context.scopes import INFER
from layerscope_api.context.settings import Settings
from layerscope_api.responses.respond import ResponseBody, json_body
from layerscope_api.routes.endpoint import Endpoint
from layerscope_api.schemas.openapi import RUN_ERRORS
from layerscope_api.schemas.options import LayersOptions
from layerscope_api.server.app import create_app

DIGITS = "/v1/models/digits@1"
RESOURCES = [
    "activations?layers=dense&statistics=true",
    "activations?layers=conv1&format=npy",
    "predictions?top=3",
    "feature-map.png?layer=conv1",
    "feature-map.json?layer=conv1,conv2",
    "overlay.png?layer=conv1",
    "statistics?bins=4",
    "statistics.png",
    "attributions/gradcam",
    "attributions/saliency.png?alpha=1",
]


@pytest.mark.parametrize("resource", RESOURCES)
def test_get_and_post_give_the_same_bytes_and_only_get_can_be_kept(
    http: TestClient, seven: str, resource: str
) -> None:
    path = f"{DIGITS}/{resource}"

    got = http.get(path, params={**http_params(path), "image": seven})
    posted = http.post(path, content=SEVEN, headers=PNG)

    assert (got.status_code, posted.status_code) == (200, 200)
    assert got.content == posted.content
    for name in ("content-type", "x-model", "x-model-digest", "x-layer", "x-value-min", "x-value-max"):
        assert got.headers.get(name) == posted.headers.get(name)
    assert "etag" not in posted.headers
    assert "cache-control" not in posted.headers
    assert "immutable" in got.headers["cache-control"]
    again = http.get(
        path,
        params={**http_params(path), "image": seven},
        headers={"If-None-Match": f'"other", {got.headers["etag"]}'},
    )
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == got.headers["etag"]


def http_params(path: str) -> dict[str, str]:
    """The options in a path, which `params` would replace."""
    query = path.partition("?")[2]
    return dict(option.split("=") for option in query.split("&") if option)


def test_an_entity_tag_is_that_of_one_resource_with_its_options(http: TestClient, seven: str) -> None:
    paths = [f"{DIGITS}/{resource}" for resource in RESOURCES]
    tags = {http.get(path, params={**http_params(path), "image": seven}).headers["etag"] for path in paths}
    assert len(tags) == len(RESOURCES)


def test_what_has_only_one_form_says_so(http: TestClient, seven: str) -> None:
    answer = http.get(f"{DIGITS}/inspect", params={"image": seven})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


class Largest(Endpoint[LayersOptions]):
    """The largest value of each layer; as an example, at most eight layers are answered."""

    options_model = LayersOptions

    def query(self) -> Query:
        return Query(model=self.model, sources=self.sources, layers=self.options.layers)

    def admit(self, plan: QueryPlan) -> int:
        if len(plan.specs) > 8:
            raise AnswerTooLarge("More than 8 layers", ways=["name fewer"], layers=len(plan.specs), limit=8)
        return sum(spec.nbytes for spec in plan.specs)

    def make(self, result: Result) -> ResponseBody:
        largest = {address: float(each.values.max()) for address, each in result.activations.items()}
        return json_body(orjson.dumps(largest), result)


@pytest.fixture(scope="module")
def extended() -> TestClient:
    """The service with a resource more."""
    app = create_app(Settings(models=None))
    router = APIRouter(prefix="/v1/models", dependencies=[INFER])
    Largest.register(
        router,
        "/{model}/largest",
        "largest",
        get="The largest values for stored images.",
        post="The largest values for the images in the body.",
        responses=RUN_ERRORS,
    )
    app.include_router(router)
    with TestClient(app) as http:
        yield http


def test_a_new_resource_is_its_options_admit_and_make(extended: TestClient) -> None:
    path = f"{DIGITS}/largest"
    image = extended.post("/v1/images", content=SEVEN, headers=PNG).json()["id"]

    got = extended.get(path, params={"image": image, "layers": "dense"})
    posted = extended.post(path, params={"layers": "dense"}, content=SEVEN, headers=PNG)
    values = extended.get(f"{DIGITS}/activations", params={"image": image, "layers": "dense"}).json()
    assert got.json() == posted.json()
    assert list(got.json().values()) == [np.float32(max(values["layers"][0]["values"][0]))]

    etag = {"If-None-Match": got.headers["etag"]}
    assert extended.get(path, params={"image": image, "layers": "dense"}, headers=etag).status_code == 304
    assert got.headers["x-model"] == "digits@1"
    assert "encode" in got.headers["server-timing"]
    refused = extended.get(path, params={"image": image})
    assert (refused.status_code, refused.json()["details"]["limit"]) == (413, 8)
    unknown = extended.post(path, params={"layer": "dense"}, content=SEVEN, headers=PNG)
    assert (unknown.status_code, unknown.json()["code"]) == (422, "option_invalid")
    operations = extended.get("/openapi.json").json()["paths"]["/v1/models/{model}/largest"]
    assert {method: each["operationId"] for method, each in operations.items()} == {
        "get": "get_largest",
        "post": "post_largest",
    }
    names = {each["name"] for each in operations["get"]["parameters"]}
    assert {"model", "image", "layers", "preprocess", "edit", "seed"} == names
