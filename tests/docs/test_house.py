"""The picture of the house shows every room of both packages, on the floors of the import contracts."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "house.svg"
PACKAGES = {"layerscope": ROOT / "service", "layerscope_api": ROOT / "api"}
Heights = dict[str, int]


def names(element: ElementTree.Element, y: int = 0) -> Iterator[tuple[str, int]]:
    """The dotted name of each room, and the pixels from the top of the picture to the top of the room."""
    for each in element:
        if each.tag.endswith("}g"):
            _, down = each.attrib["transform"].removeprefix("translate(").rstrip(")").split()
            yield from names(each, y + int(down))
        elif each.attrib.get("class") == "name":
            yield each.attrib["id"], y


@pytest.fixture(scope="module")
def heights() -> Heights:
    return dict(names(ElementTree.parse(PICTURE).getroot()))  # noqa: S314 - the picture is ours


def contracts() -> dict[str, list[list[str]]]:
    """The floors of each package that has some, from the top."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {
        container: [[f"{container}.{room.strip()}" for room in layer.split("|")] for layer in each["layers"]]
        for each in project["tool"]["importlinter"]["contracts"]
        if each["type"] == "layers"
        for container in each["containers"]
    }


@pytest.mark.parametrize("package", [*PACKAGES, "layerscope.graph"])
def test_every_room_is_shown(package: str, heights: Heights) -> None:
    folder = PACKAGES[package.partition(".")[0]].joinpath(*package.split("."))
    rooms = {f"{package}.{each.parent.name}" for each in folder.glob("*/__init__.py")}
    assert rooms
    assert rooms <= heights.keys()


@pytest.mark.parametrize("package", contracts())
def test_floors_are_those_of_the_contract(package: str, heights: Heights) -> None:
    floors = [[heights[room] for room in floor if room in heights] for floor in contracts()[package]]
    tops = [floor[0] for floor in floors if floor]
    assert len(tops) > 1
    assert all(len(set(floor)) <= 1 for floor in floors)
    assert tops == sorted(set(tops))
