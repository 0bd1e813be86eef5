"""The errors of the client are those of the service, by name and by code."""

import pickle

import httpx2
import pytest

import layerscope_client
from layerscope import errors
from layerscope_client import errors as mirrored
from layerscope_client._error_mapping import failure

PATH = "http://localhost/v1/models"


def leaves(kind: type[errors.LayerscopeError]) -> list[type[errors.LayerscopeError]]:
    below = kind.__subclasses__()
    return [leaf for child in below for leaf in leaves(child)] if below else [kind]


def answer(status: int, body: object, **headers: str) -> httpx2.Response:
    return httpx2.Response(status, json=body, headers=headers, request=httpx2.Request("GET", PATH))


@pytest.mark.parametrize("cause", leaves(errors.LayerscopeError), ids=lambda cause: cause.code)
def test_every_cause_of_the_service_has_a_class_of_the_same_name_and_family(
    cause: type[errors.LayerscopeError],
) -> None:
    error = failure(answer(400, {"error": "No.", "code": cause.code}))

    assert [kind.__name__ for kind in type(error).__mro__] == [kind.__name__ for kind in cause.__mro__]


def test_an_error_carries_all_the_service_says() -> None:
    body = {
        "error": "No layer.",
        "code": "layer_not_found",
        "details": {"near": ["conv1"]},
        "request_id": "r1",
    }
    error = failure(answer(422, body))

    assert isinstance(error, mirrored.LayerNotFound)
    assert str(error) == error.message == "No layer."
    assert (error.code, error.status, error.request_id) == ("layer_not_found", 422, "r1")
    assert error.details == {"near": ["conv1"]}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, mirrored.Malformed),
        (401, mirrored.Denied),
        (403, mirrored.Denied),
        (404, mirrored.NotFound),
        (409, mirrored.Conflict),
        (413, mirrored.TooLarge),
        (415, mirrored.Unsupported),
        (422, mirrored.Impossible),
        (429, mirrored.Overloaded),
        (500, mirrored.ServiceFault),
        (503, mirrored.Unavailable),
        (504, mirrored.DeadlineExceeded),
        (507, mirrored.StorageFull),
        (418, mirrored.LayerscopeError),
    ],
)
def test_an_unknown_code_falls_back_to_the_status(status: int, kind: type[mirrored.LayerscopeError]) -> None:
    assert type(failure(answer(status, {"error": "New.", "code": "of_tomorrow"}))) is kind


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b'{"error": 1, "details": 2}', b"\xff", b"[" * 100_000]
)
def test_an_error_of_something_else_still_has_a_message(content: bytes) -> None:
    error = failure(httpx2.Response(502, content=content))

    assert error.status == 502
    assert error.message
    assert error.details == {}


def test_errors_survive_pickling() -> None:
    error = mirrored.TooMany("too_many", "65 images; at most 64.", 413, {"limit": 64}, "r1")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301

    assert type(copy) is mirrored.TooMany
    assert vars(copy) == vars(error)


def test_everything_public_is_documented() -> None:
    public = [getattr(layerscope_client, name) for name in layerscope_client.__all__]

    assert all(value.__doc__ for value in public)
