import pytest

from layerscope.models.directory import find_models, is_model_name


def place(directory, *paths):
    for path in paths:
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(b"")


def found(directory):
    return [
        (each.name, each.version, each.path.relative_to(directory).as_posix())
        for each in find_models(directory)
    ]


def test_bare_files_and_versions_by_name_and_number(tmp_path):
    place(tmp_path, "b/10/model.keras", "b/9/model.h5", "a.hdf5", "c/1/model.keras")
    assert found(tmp_path) == [
        ("a", 1, "a.hdf5"),
        ("b", 9, "b/9/model.h5"),
        ("b", 10, "b/10/model.keras"),
        ("c", 1, "c/1/model.keras"),
    ]


def test_what_does_not_look_like_a_model_is_passed_over(tmp_path):
    place(
        tmp_path,
        "README.md",
        "A.keras",
        ".hidden.keras",
        "m/0/model.keras",
        "m/01/model.keras",
        "m/x/model.keras",
    )
    place(tmp_path, "m/2/weights.keras", "stats.keras", "a..b.keras", "n/model.keras")
    assert found(tmp_path) == []


def test_a_version_has_one_file(tmp_path):
    place(tmp_path, "m.h5", "m.keras", "m.hdf5", "n.keras", "n/1/model.h5", "n/1/model.keras")
    assert found(tmp_path) == [("m", 1, "m.keras"), ("n", 1, "n/1/model.keras")]


def test_saved_models_are_folders_in_a_version_or_the_version_itself(tmp_path):
    place(tmp_path, "a/1/model.savedmodel/saved_model.pb", "a/1/layerscope.json", "b/7/saved_model.pb")
    place(tmp_path, "b/7/variables/variables.index", "b/7/layerscope.json", "c/1/saved_model.pbtxt")
    place(tmp_path, "incomplete/1/model.savedmodel/variables/variables.index")
    place(tmp_path, "bare/saved_model.pb", "weights/1/variables/variables.index")
    assert found(tmp_path) == [
        ("a", 1, "a/1/model.savedmodel"),
        ("b", 7, "b/7"),
        ("c", 1, "c/1"),
        ("incomplete", 1, "incomplete/1/model.savedmodel"),
    ]
    assert [each.folder.name for each in find_models(tmp_path)] == ["1", "7", "1", "1"]


def test_a_model_file_counts_before_a_saved_model_and_that_before_a_declaration(tmp_path):
    place(tmp_path, "m/1/model.h5", "m/1/model.savedmodel/saved_model.pb", "m/1/layerscope.json")
    place(tmp_path, "n/1/model.savedmodel/saved_model.pb", "n/1/saved_model.pb", "o/1/layerscope.json")
    assert found(tmp_path) == [
        ("m", 1, "m/1/model.h5"),
        ("n", 1, "n/1/model.savedmodel"),
        ("o", 1, "o/1/layerscope.json"),
    ]


@pytest.mark.parametrize("trusted", [True, False])
def test_trust_holds_for_every_model(tmp_path, trusted):
    place(tmp_path, "a/1/saved_model.pb", "m.keras")
    assert [each.trusted for each in find_models(tmp_path, trusted=trusted)] == [trusted, trusted]


def test_the_declaration_of_a_bare_file_is_in_the_folder_of_its_name(tmp_path):
    place(tmp_path, "m.keras")
    (source,) = find_models(tmp_path)
    assert source.folder == tmp_path / "m"


@pytest.mark.parametrize("name", ["a", "0", "a.b-c_d", "a" * 64])
def test_names(name):
    assert is_model_name(name)


@pytest.mark.parametrize("name", ["", "A", "-a", ".a", "a..b", "a" * 65, "a/b", "a b", "stats", "a\n", "é"])
def test_what_is_no_name(name):
    assert not is_model_name(name)
