"""Files that are no models, or cannot be opened: the table in docs/how-to/models.md has what each is told."""

from pathlib import Path

import pytest
from refused_files import FILES, KERAS_FILE, PAGE, TABLE, opened, row

from layerscope.errors import LayerscopeError, ModelRefused
from layerscope.execution.local_engine import LocalEngine
from layerscope.models.control import Control
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


@pytest.fixture(scope="module")
def uploads(tmp_path_factory):
    engine = LocalEngine(tmp_path_factory.mktemp("models"), control=Control(uploads=True))
    yield engine.models
    engine.close()


FILES_ALONE = [name for name, files in FILES.items() if files.keys() <= {KERAS_FILE, "m/1/model.h5"}]


@pytest.mark.parametrize("name", FILES_ALONE)
def test_what_a_directory_and_a_check_refuse_is_refused_as_an_upload_too(tmp_path, uploads, name):
    """The table has the sentences of the others."""
    ((path, content),) = FILES[name].items()
    sent = tmp_path / Path(path).name
    sent.write_bytes(content)
    with pytest.raises(LayerscopeError) as raised:
        uploads.add(sent, "sent", None, load=False)
    line = next(line for line in LINES if line.startswith(f"| {name}: "))
    assert line.endswith(f"| {raised.value.message} |")


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
