"""Models that lie elsewhere: what is fetched of them when, and that nobody sees half of one."""

import hashlib
import json
import os
import time

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from mirrored_places import URL, Bucket, contents

from layerscope.errors import Draining, OptionInvalid, SourceUnreachable
from layerscope.limits import Limits
from layerscope.models.directory import find_models
from layerscope.models.mirrors import is_elsewhere, mirror_of
from layerscope.models.mirrors.filesystems import Filesystem
from layerscope.models.mirrors.mirror import KEPT_SECONDS, Mirror


@pytest.fixture
def bucket():
    yield Bucket()
    MemoryFileSystem.store.clear()


@pytest.fixture
def mirrored(bucket, tmp_path):
    return lambda **limits: Mirror(bucket, tmp_path / "mirror", Limits(**limits))


def test_versions_are_found_where_a_directory_has_them(bucket, mirrored):
    bucket.put("a/1/model.keras", b"a1")
    bucket.put("a/1/layerscope.json", b"{}")
    bucket.put("a/2/model.h5", b"a2")
    bucket.put("b.h5", b"older")
    bucket.put("b.keras", b"b1")
    bucket.put("b/plugin.py", b"pass")
    bucket.put("c/1/model.savedmodel/saved_model.pb", b"graph")
    bucket.put("c/1/model.savedmodel/variables/variables.index", b"values")
    mirror = mirrored()
    assert mirror.refresh() == {}
    assert contents(mirror.directory) == {
        "a@1": {"model.keras": b"a1", "layerscope.json": b"{}"},
        "a@2": {"model.h5": b"a2"},
        "b@1": {"model.keras": b"b1", "plugin.py": b"pass"},
        "c@1": {
            "model.savedmodel/saved_model.pb": b"graph",
            "model.savedmodel/variables/variables.index": b"values",
        },
    }


@pytest.mark.parametrize(
    "path",
    [
        "a/1/../../../../escaped",
        "../escaped/1/model.keras",
        "A/1/model.keras",
        "a/0/model.keras",
        "a/1/readme.md",
        "a/latest/model.keras",
        ".hidden/1/model.keras",
        "a/1/ledger.json",
        "deep/er/1/model.keras",
    ],
)
def test_what_does_not_lie_like_a_model_is_left_there(bucket, mirrored, tmp_path, path):
    bucket.put("good.keras")
    MemoryFileSystem.store[f"/bucket/models/{path}"] = MemoryFileSystem.store["/bucket/models/good.keras"]
    mirror = mirrored()
    mirror.refresh()
    assert bucket.taken() == ["good.keras"]
    assert list(contents(mirror.directory)) == ["good@1"]


def test_only_what_changed_is_fetched(bucket, mirrored):
    bucket.put("a/1/model.keras", b"a1")
    bucket.put("a/1/layerscope.json", b"{}")
    bucket.put("b/1/model.keras", b"b1")
    mirrored().refresh()
    assert sorted(bucket.taken()) == ["a/1/layerscope.json", "a/1/model.keras", "b/1/model.keras"]
    mirrored().refresh()
    assert bucket.taken() == []
    bucket.put("a/1/layerscope.json", b'{"classes": ["x"]}')
    bucket.put("b/2/model.keras", b"b2")
    bucket.remove("b/1/model.keras")
    mirror = mirrored()
    mirror.refresh()
    assert sorted(bucket.taken()) == ["a/1/layerscope.json", "b/2/model.keras"]
    assert contents(mirror.directory) == {
        "a@1": {"model.keras": b"a1", "layerscope.json": b'{"classes": ["x"]}'},
        "b@2": {"model.keras": b"b2"},
    }


def test_the_same_content_again_changes_nothing(bucket, mirrored):
    bucket.put("a/1/model.keras", b"same")
    mirror = mirrored()
    mirror.refresh()
    (before,) = find_models(mirror.directory)
    bucket.put("a/1/model.keras", b"same")
    mirror.refresh()
    assert bucket.taken() == ["a/1/model.keras"] * 2
    assert find_models(mirror.directory) == [before]
    mirror.refresh()
    assert bucket.taken() == []


def test_digests_are_kept_beside_the_files(bucket, mirrored):
    bucket.put("a/1/model.keras", b"content")
    mirror = mirrored()
    mirror.refresh()
    (source,) = find_models(mirror.directory)
    noted = json.loads((source.folder / "fetched.json").read_text())["files"]["model.keras"]
    assert noted["digest"] == f"sha256-{hashlib.sha256(b'content').hexdigest()}"
    assert noted["size"] == 7


def test_a_place_that_tells_nothing_of_its_files_is_fetched_again_and_changes_nothing(bucket, mirrored):
    bucket.tells_sizes = False
    bucket.put("a.keras", b"a1")
    mirror = mirrored()
    mirror.refresh()
    (before,) = find_models(mirror.directory)
    mirror.refresh()
    assert bucket.taken() == ["a.keras", "a.keras"]
    assert find_models(mirror.directory) == [before]


def test_a_mirror_that_lost_a_file_gets_it_again(bucket, mirrored):
    bucket.put("a.keras", b"whole")
    mirror = mirrored()
    mirror.refresh()
    (source,) = find_models(mirror.directory)
    source.path.write_bytes(b"who")
    mirror.refresh()
    assert contents(mirror.directory) == {"a@1": {"model.keras": b"whole"}}


def test_nobody_sees_a_version_before_it_is_there_whole(bucket, mirrored):
    seen = []
    bucket.put("a/1/model.keras", b"first of all")
    bucket.put("a/1/layerscope.json", b'{"one": 1}')
    mirror = mirrored()
    bucket.meanwhile = lambda: seen.append(contents(mirror.directory))
    mirror.refresh()
    first = {"a@1": {"model.keras": b"first of all", "layerscope.json": b'{"one": 1}'}}
    assert seen[0] == seen[-1] == {}
    assert contents(mirror.directory) == first
    bucket.put("a/1/model.keras", b"second of all")
    bucket.put("a/1/layerscope.json", b'{"two": 2}')
    seen.clear()
    mirror.refresh()
    assert len(seen) > 2
    assert all(each == first for each in seen)
    assert contents(mirror.directory) == {
        "a@1": {"model.keras": b"second of all", "layerscope.json": b'{"two": 2}'}
    }


def test_who_is_opening_a_version_has_its_files_for_a_while(bucket, mirrored):
    bucket.put("a.keras", b"old")
    mirror = mirrored()
    mirror.refresh()
    (opened,) = find_models(mirror.directory)
    bucket.put("a.keras", b"new")
    mirror.refresh()
    mirror.refresh()
    assert opened.path.read_bytes() == b"old"
    then = time.time() - KEPT_SECONDS - 1
    os.utime(opened.folder, (then, then))
    mirror.refresh()
    assert not opened.folder.exists()
    assert contents(mirror.directory) == {"a@1": {"model.keras": b"new"}}


def test_what_breaks_off_leaves_what_was_there(bucket, mirrored):
    bucket.put("a.keras", b"old content")
    mirror = mirrored()
    mirror.refresh()
    bucket.put("a.keras", b"new content")
    bucket.meanwhile = lambda: setattr(bucket, "is_away", True)
    with pytest.raises(SourceUnreachable):
        mirror.refresh()
    assert contents(mirror.directory) == {"a@1": {"model.keras": b"old content"}}
    bucket.is_away, bucket.meanwhile = False, lambda: None
    mirror.refresh()
    assert contents(mirror.directory) == {"a@1": {"model.keras": b"new content"}}
    assert list((mirror.directory / ".incoming").iterdir()) == []


def test_who_ends_waits_for_nothing_more(bucket, mirrored):
    bucket.put("a.keras", b"content")
    mirror = mirrored()
    with pytest.raises(Draining):
        mirror.refresh(lambda: len(bucket.read_paths) == 0)
    assert contents(mirror.directory) == {}


@pytest.mark.parametrize("tells_sizes", [True, False])
def test_a_version_that_is_too_large_costs_only_itself(bucket, mirrored, tells_sizes):
    bucket.tells_sizes = tells_sizes
    bucket.put("a.keras", bytes(100))
    bucket.put("b/1/layerscope.json", bytes(30))
    bucket.put("b/1/model.keras", bytes(30))
    bucket.put("c.keras", b"small")
    mirror = mirrored(model_file_bytes=50)
    refused = mirror.refresh()
    assert {key: error.code for key, error in refused.items()} == {
        ("a", 1): "model_too_large",
        ("b", 1): "model_too_large",
    }
    assert list(contents(mirror.directory)) == ["c@1"]
    assert ("a.keras" in bucket.taken()) is not tells_sizes


def test_all_versions_together_take_no_more_than_they_may(bucket, mirrored):
    for name in "abc":
        bucket.put(f"{name}.keras", bytes(40))
    mirror = mirrored(model_store_bytes=100)
    assert {key: error.code for key, error in mirror.refresh().items()} == {("c", 1): "storage_full"}
    assert list(contents(mirror.directory)) == ["a@1", "b@1"]


def test_a_file_that_changes_while_it_is_fetched_is_fetched_the_next_time(bucket, mirrored):
    bucket.put("a.keras", b"the first")
    bucket.put("b.keras", b"b")
    there = bucket.versions()
    bucket.versions = lambda: there
    bucket.put("a.keras", b"longer than before")
    mirror = mirrored()
    assert "at the next look" in mirror.refresh()["a", 1].message
    assert list(contents(mirror.directory)) == ["b@1"]
    bucket.remove("b.keras")
    del bucket.versions
    assert mirror.refresh() == {}
    assert contents(mirror.directory) == {"a@1": {"model.keras": b"longer than before"}}


def test_a_name_that_no_disk_takes_costs_only_its_version(bucket, mirrored):
    bucket.put("a/1/model.keras")
    bucket.put(f"a/1/{'x' * 300}")
    bucket.put("b/1/model.keras")
    stored = MemoryFileSystem.store
    stored["/bucket/models/b/1/model.keras/inside"] = stored["/bucket/models/b/1/model.keras"]
    bucket.put("c/1/model.keras")
    mirror = mirrored()
    assert {key: error.code for key, error in mirror.refresh().items()} == {
        ("a", 1): "model_refused",
        ("b", 1): "model_refused",
    }
    assert list(contents(mirror.directory)) == ["c@1"]


def test_nothing_at_a_url_is_no_empty_directory(tmp_path):
    mirror = mirror_of("memory://nowhere/at/all", tmp_path, Limits())
    with pytest.raises(SourceUnreachable, match="nothing at memory://nowhere/at/all"):
        mirror.refresh()


def test_urls_have_mirrors_of_their_own_and_show_no_secrets(tmp_path):
    first, second = (mirror_of(f"memory://{name}", tmp_path, Limits()) for name in ("one", "two"))
    assert first.directory != second.directory
    assert mirror_of("memory://one", tmp_path, Limits()).directory == first.directory
    assert mirror_of("memory://user:secret@one/x", tmp_path, Limits()).place.name == "memory://one/x"


@pytest.mark.parametrize("url", ["nonsense://bucket", "oci://bucket/models"])
def test_what_nobody_can_reach_is_told_at_once(tmp_path, url):
    with pytest.raises(OptionInvalid, match=r"layerscope\[remote\]"):
        mirror_of(url, tmp_path, Limits())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("s3://bucket/models", True),
        (URL, True),
        ("simplecache::s3://bucket", True),
        ("models", False),
        ("/models", False),
        ("C:/models", False),
        ("./a:b", False),
    ],
)
def test_what_is_a_url(source, expected):
    assert is_elsewhere(source) is expected


@pytest.mark.parametrize(
    "make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"]
)
def test_files_of_this_machine_that_never_end_are_not_fetched(tmp_path, make):
    place = tmp_path / "place"
    for name in ("bad", "good"):
        (place / name / "1").mkdir(parents=True)
    make(place / "bad" / "1" / "model.keras")
    (place / "good" / "1" / "model.keras").write_bytes(b"model")
    mirror = Mirror(Filesystem(f"file://{place}"), tmp_path / "mirror", Limits(model_file_bytes=100))
    (failure,) = mirror.refresh().values()
    assert "model.keras is no regular file" in failure.message
    assert contents(mirror.directory) == {"good@1": {"model.keras": b"model"}}
