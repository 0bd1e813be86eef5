"""What edits change: the summary, and the option `change` of tensors and pictures."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image
from requests_made import PNG, SEVEN
from starlette.testclient import TestClient

from layerscope.demo import samples

EARLY = "conv2;channels=1;set=0"
EDITS = [EARLY, "dense;channels=3,26,2;set=0"]
MODEL = "/v1/models/digits"


def ask(http: TestClient, resource: str, image: object, **options: object) -> Any:
    answer = http.get(f"{MODEL}/{resource}", params={"image": image, **options})
    assert answer.status_code == 200, answer.text
    return answer


def values(http: TestClient, image: str, layers: str, **options: object) -> Any:
    answer = ask(http, "activations", image, layers=layers, format="npy", **options)
    return np.load(io.BytesIO(answer.content))


def test_the_summary_has_what_the_single_requests_have(http: TestClient, seven: str) -> None:
    body = ask(http, "interventions", seven, edit=EDITS).json()
    (output,) = body["outputs"]
    for name, edit in (("clean", []), ("edited", EDITS)):
        alone = ask(http, "predictions", seven, edit=edit).json()["outputs"][0]["predictions"]
        assert [row["class"] for row in output[name][0]] == [row["class"] for row in alone[0]]
        np.testing.assert_allclose(
            [row["value"] for row in output[name][0]], [row["value"] for row in alone[0]], atol=1e-5
        )
    assert output["flipped"] == [True]
    assert body["edits"] == EDITS
    assert [each["address"] for each in body["layers"]] == [
        "conv2", "pool2", "conv3", "flatten", "dense", "probabilities"
    ]  # fmt: skip
    logits = [values(http, seven, "probabilities@preactivation", edit=edit)[0, 7] for edit in ([], EDITS)]
    assert body["effects"][0]["score"] == pytest.approx(float(logits[0] - logits[1]), abs=1e-4)
    assert body["effects"][0]["output"] == pytest.approx(
        body["targets"][0]["value"] - output["edited"][0][1]["value"], abs=1e-5
    )


def test_the_recovery_is_the_share_of_the_way_to_the_score_of_the_other_image(
    http: TestClient, seven: str
) -> None:
    other = http.post("/v1/images", content=samples()["zero"].read_bytes(), headers=PNG).json()["id"]

    def recovery(edit: str | list[str]) -> float | None:
        return ask(http, "interventions", seven, edit=edit).json()["effects"][0]["recovery"]

    edit = f"conv2;channels=0-7;patch={other}"
    logits = [
        values(http, image, "probabilities@preactivation", edit=given)[0, 7]
        for image, given in ((seven, []), (other, []), (seven, edit))
    ]
    assert recovery(edit) == pytest.approx((logits[2] - logits[0]) / (logits[1] - logits[0]), abs=1e-4)
    assert recovery(f"conv2;patch={other}") == pytest.approx(1, abs=1e-5)
    assert recovery(f"conv2;patch={seven}") is None
    assert recovery([f"conv2;patch={other}", f"dense;patch={seven}"]) is None
    assert recovery("conv2;set=0") is None


def test_the_change_of_a_layer_is_the_distance_of_its_values(http: TestClient, seven: str) -> None:
    (layer,) = ask(http, "interventions", seven, edit=EARLY, layers="conv3").json()["layers"]
    clean, edited = (values(http, seven, "conv3", edit=edit) for edit in ([], [EARLY]))
    assert layer["relative_l2"] == pytest.approx(
        float(np.linalg.norm(edited - clean) / np.linalg.norm(clean)), rel=1e-4
    )
    assert layer["max"] == pytest.approx(float(np.abs(edited - clean).max()), rel=1e-4)


def test_layers_before_the_edit_do_not_change_at_all(http: TestClient, seven: str) -> None:
    body = ask(http, "interventions", seven, edit=EDITS, layers="all").json()
    changes = {each["address"]: each["relative_l2"] for each in body["layers"]}
    assert changes["input"] == changes["conv1"] == changes["pool1"] == 0
    assert all(changes[address] > 0 for address in ("conv2", "conv3", "probabilities"))


def test_an_edit_that_changes_nothing_has_an_effect_of_exactly_zero(http: TestClient, seven: str) -> None:
    body = ask(http, "interventions", [seven, seven], edit="conv2;scale=1").json()
    assert body["effects"] == [{"score": 0, "output": 0, "recovery": None}] * 2
    assert {each["max"] for each in body["layers"]} == {0}
    assert body["outputs"][0]["clean"] == body["outputs"][0]["edited"]
    assert body["outputs"][0]["flipped"] == [False, False]


def test_several_images_have_an_effect_each(http: TestClient, seven: str) -> None:
    files = [("image", ("digit.png", each, "image/png")) for each in (SEVEN, samples()["one"].read_bytes())]
    body = http.post(f"{MODEL}/interventions", files=files, data={"edit": EDITS}).json()
    assert [target["class"] for target in body["targets"]] == [7, 1]
    alone = ask(http, "interventions", seven, edit=EDITS).json()
    assert body["effects"][0]["score"] == pytest.approx(alone["effects"][0]["score"], abs=1e-4)
    assert len(body["effects"]) == len(body["outputs"][0]["flipped"]) == 2


def test_a_change_is_the_edited_values_minus_those_without(http: TestClient, seven: str) -> None:
    clean, edited = (values(http, seven, "conv3", edit=edit) for edit in ([], [EARLY]))
    change = values(http, seven, "conv3", edit=EARLY, change=True)
    np.testing.assert_allclose(change, edited - clean, atol=1e-5)
    again = values(http, seven, "conv3", edit=EARLY, change=True)
    np.testing.assert_array_equal(change, again)
    np.testing.assert_array_equal(values(http, seven, "conv3"), clean)
    same = values(http, seven, "conv3", edit="conv2;scale=1", change=True)
    assert not same.any()


@pytest.mark.parametrize("resource", ["feature-map.png", "overlay.png"])
def test_a_picture_of_a_change_has_zero_in_the_middle_of_its_colours(
    http: TestClient, seven: str, resource: str
) -> None:
    options = {"layer": "conv3", "channel": 6, "edit": EARLY}
    answer = ask(http, resource, seven, change=True, **options)
    low, high = (float(answer.headers[f"X-Value-{end}"]) for end in ("Min", "Max"))
    change = values(http, seven, "conv3", edit=EARLY, change=True, channels=6)
    assert (low, high) == pytest.approx((-np.abs(change).max(), np.abs(change).max()))
    assert Image.open(io.BytesIO(answer.content)).size
    assert answer.content != ask(http, resource, seven, **options).content


def test_statistics_of_a_change(http: TestClient, seven: str) -> None:
    body = ask(http, "statistics", seven, layers="conv3", edit=EARLY, change=True).json()
    change = values(http, seven, "conv3", edit=EARLY, change=True)
    assert body["layers"][0]["min"] == pytest.approx(float(change.min()))


@pytest.mark.parametrize(
    ("resource", "options"),
    [
        ("interventions", {}),
        ("interventions", {"edit": "conv3;set=0", "layers": "conv1", "target": "99"}),
        ("activations", {"layers": "conv3", "change": True}),
        ("activations", {"layers": "conv1", "edit": EDITS, "change": True}),
        ("feature-map.png", {"layer": "conv3", "change": True}),
    ],
)
def test_what_shows_no_change_is_refused(
    http: TestClient, seven: str, resource: str, options: dict[str, Any]
) -> None:
    answer = http.get(f"{MODEL}/{resource}", params={"image": seven, **options})
    assert (answer.status_code, answer.json()["code"]) == (422, "option_invalid")


@pytest.mark.parametrize("body", [{}, {"content": b"", "headers": PNG}])
def test_the_plan_of_a_change_counts_both_runs(http: TestClient, body: dict[str, Any]) -> None:
    def plan(**options: object) -> Any:
        params: Any = {"layers": "conv3", "edit": EARLY, **options}
        sent = {**body, "content": SEVEN} if body else {}
        return http.request("POST" if body else "GET", f"{MODEL}/plan", params=params, **sent).json()

    one, both = plan(), plan(change=True)
    assert one["layers"] == both["layers"]
    assert both["computation"] == {name: 2 * nbytes for name, nbytes in one["computation"].items()}


def test_the_inference_protocol_takes_edits(http: TestClient, seven: str) -> None:
    def infer(output: dict[str, Any] | None = None, **parameters: object) -> Any:
        image = base64.b64encode(SEVEN).decode()
        return http.post(
            "/v2/models/digits/infer",
            json={
                "inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [image]}],
                "outputs": [{"name": "conv3", **(output or {})}],
                "parameters": parameters,
            },
        )

    answer = infer(edit=EARLY)
    found = np.reshape(answer.json()["outputs"][0]["data"], (1, 7, 7, 16))
    np.testing.assert_allclose(found, values(http, seven, "conv3", edit=EARLY), atol=1e-6)
    assert answer.json()["parameters"] == {"edit": EARLY}
    several = ["conv1;scale=2", EARLY]
    assert infer(edit="\n".join(several)).json() == infer(edit=several).json()
    change = infer(edit=EARLY, change=True).json()["outputs"][0]["data"]
    np.testing.assert_allclose(
        np.ravel(change), values(http, seven, "conv3", edit=EARLY, change=True).ravel(), atol=1e-6
    )
    for refused in (infer(edit="conv2"), infer(edit=7), infer({"parameters": {"edit": EARLY}})):
        assert refused.status_code == 400
