"""The commands `layerscope datasets …`: a data set from its registration to its end, in the folder that a service reads."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from digit_images import write_digits
from layerscope_api.cli.app import app
from layerscope_api.context.data_sets import catalog_of
from layerscope_api.context.settings import Settings


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place with digits of two labels, and a folder of data sets."""
    for label in ("even", "odd"):
        write_digits(tmp_path / label)
    monkeypatch.setenv("LAYERSCOPE_PLACES", json.dumps({"photos": str(tmp_path)}))
    monkeypatch.setenv("LAYERSCOPE_DATASETS", str(tmp_path / "catalog"))
    return tmp_path


def datasets(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["datasets", *arguments], env={"COLUMNS": "160"})
    return result.exit_code, result.stdout, result.stderr


def test_a_data_set_is_added_shown_and_removed() -> None:
    assert datasets("list", "--json") == (0, "[]\n", "")
    assert datasets("add", "val", "photos:", "--labels", "folders") == (
        0,
        "",
        "val is now registered. Images: 20.\n",
    )
    assert (
        datasets("add", "val", "photos:", "--labels", "folders")[2]
        == "val was already registered. Images: 20.\n"
    )
    record = catalog_of(Settings()).get("val").record
    assert record.counts == {"even": 10, "odd": 10}
    (row,) = json.loads(datasets("list", "--json")[1])
    assert row == {
        "name": "val",
        "images": 20,
        "bytes": record.nbytes,
        "data": "photos:",
        "labels": "folders",
        "digest": record.digest[:12],
    }
    assert datasets("list")[1] == "\t".join(map(str, row.values())) + "\n"
    assert datasets("show", "val")[:2] == (0, "even\t10\nodd\t10\n")
    assert datasets("remove", "val") == (0, "", "")
    assert catalog_of(Settings()).names() == []


def test_images_without_a_label_are_counted(folder: Path) -> None:
    (folder / "labels.csv").write_text("path,label\nnine.png,square\n", "utf-8")
    assert datasets("add", "odd", "photos:odd", "--labels", "csv:photos:labels.csv")[0] == 0
    code, out, said = datasets("show", "odd", "--json")
    assert (code, json.loads(out)) == (0, [{"label": "square", "images": 1}, {"label": None, "images": 9}])
    assert said.startswith("Images of photos:odd: 10. Digest: ")


def test_a_table_of_paths_and_labels_is_a_list_of_images(folder: Path) -> None:
    columns = {
        "path": ["odd/two.png", "even/nine.png", "none.png"],
        "split": ["val"] * 3,
        "kind": [2, 9, None],
    }
    parquet.write_table(pa.table(columns), folder / "list.parquet")
    assert datasets("add", "listed", "photos:list.parquet", "--labels", "column:kind")[0] == 0
    assert datasets("show", "listed")[:2] == (0, "2\t1\n9\t1\n\t1\n")
    rows = catalog_of(Settings()).get("listed").rows(0, 3)
    assert [(row.path, row.label, row.nbytes > 0) for row in rows] == [
        ("odd/two.png", "2", True),
        ("even/nine.png", "9", True),
        ("none.png", None, False),
    ]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("add", "val", "photos:even"), "is there with other images or labels"),
        (("add", "new", "other:"), "There is no place other"),
        (("add", "new", "/etc"), "must name a place and a path below it"),
        (("add", "New", "photos:"), "The name of a data set has lower case letters"),
        (("show", "new"), "There is no data set 'new'"),
        (("remove", "new"), "There is no data set 'new'"),
    ],
)
def test_what_is_refused_is_told_in_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    assert datasets("add", "val", "photos:odd")[0] == 0
    code, out, error = datasets(*arguments)
    assert (code, out) == (1, "")
    assert sentence in error
    assert catalog_of(Settings()).names() == ["val"]


def test_a_folder_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LAYERSCOPE_DATASETS")
    code, _, error = datasets("list")
    assert code == 2
    assert "LAYERSCOPE_DATASETS" in error
