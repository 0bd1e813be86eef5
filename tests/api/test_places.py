"""Places: what a request can name of the machine of the service, and what it cannot."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from layerscope.errors import ControlRefused, OptionInvalid, PlaceNotFound
from layerscope_api.context.places import Places
from layerscope_api.context.settings import Settings


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("photos", "features"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "out").symlink_to("/etc")
    (tmp_path / "photos" / "in").symlink_to(tmp_path / "photos")
    where = {name: str(tmp_path / name) for name in ("photos", "features")} | {"bucket": "s3://bucket/all/"}
    return Places(where, ("features",))


def test_a_reference_names_what_is_below_a_place(places: Places, tmp_path: Path) -> None:
    assert places.data("photos:") == str(tmp_path / "photos")
    assert places.data("photos:2026/**/*.jpg") == str(tmp_path / "photos/2026/**/*.jpg")
    assert places.data("photos:in/a") == str(tmp_path / "photos/in/a")
    assert places.data("bucket:2026/") == "s3://bucket/all/2026/"
    assert places.output("features:a b") == str(tmp_path / "features/a b")


@pytest.mark.parametrize(
    "reference",
    [
        "photos:../features", "photos:a/../../b", "photos:/etc", "photos:out", "photos:out/passwd", "bucket:../other",
        "photos", "", "/etc", "s3://bucket/all", "photos:s3://bucket", "photos:a\\b", "photos:a\x00", "photos:\n",
        "PHOTOS:a", "photos:" + "a" * 1001,
    ],
)  # fmt: skip
def test_nothing_else_can_be_named(places: Places, reference: str) -> None:
    with pytest.raises((OptionInvalid, PlaceNotFound)):
        places.data(reference)


def test_a_place_is_read_only_unless_the_operator_says_otherwise(places: Places) -> None:
    with pytest.raises(ControlRefused):
        places.output("photos:new")
    with pytest.raises(PlaceNotFound) as raised:
        places.output("elsewhere:new")
    assert raised.value.details == {"places": ["bucket", "features", "photos"]}


@pytest.mark.parametrize(
    "given",
    [
        {"places": {"photos": "/nowhere/at/all"}},
        {"places": {"Photos": "/"}},
        {"places": {"dataset": "/"}},
        {"places": {"photos": "/"}, "writable_places": ["features"]},
    ],
)
def test_a_wrong_setting_is_refused_at_the_start(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**given)  # type: ignore[arg-type]


def test_callers_read_the_names_of_places_instead_of_their_folders(places: Places, tmp_path: Path) -> None:
    text = f"There is no data set at {tmp_path}/photos/2026, nor in {tmp_path}/features, s3://bucket/all/x."
    assert places.named(text) == "There is no data set at photos:2026, nor in features:, bucket:x."
