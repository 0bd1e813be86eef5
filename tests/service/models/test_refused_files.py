"""Files that are no models, or cannot be opened: the table in docs/how-to/models.md has what each is told."""

import pytest
from refused_files import FILES, PAGE, TABLE, opened, row

from layerscope.errors import ModelRefused
from layerscope.models.directory import find_models
from layerscope.models.misplaced import find_misplaced

LINES = TABLE.search(PAGE.read_text("utf-8"))[0].splitlines()[2:]


def test_the_table_has_all_files():
    assert [line.split(": ")[0] for line in LINES] == [f"| {name}" for name in FILES]


@pytest.mark.parametrize("number", range(len(FILES)), ids=FILES)
def test_what_a_refused_file_is_told(tmp_path, number):
    cells = [cell.replace("|", "\\|") for cell in row(tmp_path, list(FILES)[number])]
    assert f"| {' | '.join(cells)} |" == LINES[number], "run python tests/service/models/refused_files.py"
    with pytest.raises(ModelRefused) as raised:
        opened(tmp_path)
    assert str(tmp_path) not in raised.value.message


def misplaced(directory):
    return {
        key: error.message
        for key, error in find_misplaced(directory, [each.key for each in find_models(directory)]).items()
    }


def test_what_is_beside_models_and_no_model(tmp_path):
    for folder in ("a/1", "a/2", "a/notes", ".hidden", "b", "Upper/1"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a" / "1" / "model.keras").touch()
    (tmp_path / "b.keras").touch()
    (tmp_path / "b" / "layerscope.json").write_text("{}")
    (tmp_path / "README.md").touch()
    assert misplaced(tmp_path).keys() == {("a", 2)}


def test_a_saved_model_of_another_name_in_a_version_is_found(tmp_path):
    (tmp_path / "x" / "1" / "model").mkdir(parents=True)
    (tmp_path / "x" / "1" / "model" / "saved_model.pb").touch()
    (source,) = find_models(tmp_path)
    assert source.path == tmp_path / "x" / "1" / "model"
    assert misplaced(tmp_path) == {}
    (tmp_path / "x" / "1" / "other").mkdir()
    (tmp_path / "x" / "1" / "other" / "saved_model.pb").touch()
    assert "holds model, other: expected is" in misplaced(tmp_path)["x", 1]
