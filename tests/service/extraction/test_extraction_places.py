"""Data sets and results at URLs: the same bytes as in directories, whole at every moment, and only errors with a name."""

import tarfile
import zipfile

import fsspec
import numpy as np
import pytest
from extraction_content import content, stopped_after
from fsspec.implementations.memory import MemoryFileSystem
from safetensors.numpy import load

from layerscope import demo
from layerscope.errors import (
    DataSetUnreadable,
    JobDiffers,
    LayerscopeError,
    OptionInvalid,
    SourceUnreachable,
)
from layerscope.extraction.data_sets import open_data_set
from layerscope.extraction.output import Output
from layerscope.extraction.places import place_at
from layerscope.extraction.runners.here import Here
from layerscope.extraction.running import run
from layerscope.limits import MIB

RESULT = "memory://results/out"


@pytest.fixture(autouse=True)
def memory():
    yield MemoryFileSystem()
    MemoryFileSystem.store.clear()


@pytest.fixture
def whole(plan, here, digits):
    """The result in a directory."""
    output = plan(digits, "whole")
    run(output, here)
    return output


def stored(url):
    """Every object below a URL by its name."""
    filesystem, root = fsspec.url_to_fs(url)
    filesystem.invalidate_cache()
    return {path.removeprefix(f"{root}/"): filesystem.cat_file(path) for path in filesystem.find(root)}


def test_a_store_gets_the_bytes_that_a_directory_gets_although_the_job_was_stopped(plan, here, digits, whole):
    output = plan(digits, RESULT)
    with stopped_after(1) as progress:
        run(output, here, progress=progress)
    assert Output(RESULT).status().parts == 1
    run(plan(digits, RESULT), here, share=(0, 2))
    found = run(Output(RESULT), here, share=(1, 2))
    assert (found.is_complete, found.done) == (True, 10)
    assert stored(RESULT) == content(whole.address)
    with pytest.raises(JobDiffers):
        plan(digits, RESULT, layers=("conv1",))


def test_a_part_of_several_objects_is_done_with_its_last_one(plan, here, digits, memory):
    output = plan(digits, RESULT, format="npy", layers=("conv1",))
    run(output, here)
    files = stored(RESULT)
    memory.rm_file("/results/out/parts/part-00001/rows.jsonl")
    assert output.left() == [1]
    run(output, here)
    assert stored(RESULT) == files


def test_failed_images_of_a_store_can_be_tried_again(plan, here, digits, memory):
    memory.put(f"{digits}/", "/photos", recursive=True)
    output = plan("memory://photos", RESULT)
    taken = memory.store.pop("/photos/two.png")
    memory.pipe("/photos/four.png", b"<html>")
    assert run(output, here).failed == 2
    codes = {each.path: each.code for shard in range(3) for each in output.failures(shard)}
    assert codes == {"two.png": "input_changed", "four.png": "input_changed"}
    memory.store["/photos/two.png"] = taken
    assert output.forget_failed() == 2
    found = run(output, here)
    assert (found.is_complete, found.failed) == (True, 1)


@pytest.mark.parametrize("kind", ["folder", "pattern", "tar", "zip", "txt", "npy"])
def test_every_kind_of_data_set_is_read_from_a_url(kind, digits, tmp_path, memory):
    names = sorted(path.name for path in digits.iterdir())
    if kind == "tar":
        with tarfile.open(tmp_path / "all.tar", "w") as archive:
            for name in names:
                archive.add(digits / name, name)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            for name in names:
                archive.write(digits / name, name)
    (tmp_path / "all.txt").write_text("".join(f"digits/{name}\n" for name in names), "utf-8")
    np.save(tmp_path / "all.npy", np.arange(24.0).reshape(2, 3, 4))
    memory.put(f"{tmp_path}/", "/bucket", recursive=True)
    address = {"folder": "digits", "pattern": "dig*/*.png"}.get(kind, f"all.{kind}")
    here, there = open_data_set(f"{tmp_path}/{address}"), open_data_set(f"memory://bucket/{address}")
    rows = list(there.rows())
    assert [row.path for row in rows] == [row.path for row in here.rows()]
    for row, same in zip(rows, here.rows(), strict=True):
        found, wanted = there.read(row, MIB), here.read(same, MIB)
        if kind == "npy":
            np.testing.assert_array_equal(found.values, wanted.values)
        else:
            assert found.data == wanted.data


def test_a_file_url_is_a_directory(plan, here, digits, whole, tmp_path):
    output = plan(digits, f"file://{tmp_path}/out")
    run(output, here, most_failed=0)
    assert content(tmp_path / "out") == content(whole.address)
    assert len(list(open_data_set(f"file://{digits}").rows())) == 10


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("memory://nothing/here", DataSetUnreadable),
        ("memory://nothing/*.png", DataSetUnreadable),
        ("nosuch://bucket/photos", OptionInvalid),
        ("s3://somebody:secret@bucket/photos", OptionInvalid),
        ("http://127.0.0.1:9/photos", LayerscopeError),
    ],
)
def test_a_url_with_no_data_set_is_refused_in_a_sentence_without_secrets(plan, address, error):
    with pytest.raises(error) as refused:
        plan(address)
    assert "secret" not in str(refused.value)


def test_results_go_only_where_nobody_sees_half_a_file(plan, digits):
    with pytest.raises(OptionInvalid, match="read only"):
        plan(digits, "http://127.0.0.1:9/out")


def test_a_store_that_fails_ends_the_job_which_goes_on_later(plan, here, digits, memory, monkeypatch):
    memory.put(f"{digits}/", "/photos", recursive=True)
    output = plan("memory://photos", RESULT)
    with monkeypatch.context() as patched:

        def fail(self, path, **options):
            raise TimeoutError("the network is away")

        patched.setattr(MemoryFileSystem, "cat_file", fail)
        with pytest.raises(SourceUnreachable, match=r"memory://photos cannot be read"):
            run(output, here)
        patched.undo()
        patched.setattr(MemoryFileSystem, "put_file", fail)
        with pytest.raises(SourceUnreachable, match=r"results/out cannot be written"):
            run(output, here)
    assert run(output, here, most_failed=0).is_complete


def test_a_folder_that_was_half_deleted_is_written_again(tmp_path):
    place = place_at(str(tmp_path), "to")

    def write(text):
        with place.writing("parts/part-00000", last="rows.jsonl") as path:
            path.mkdir()
            for name in ("a.npy", "rows.jsonl"):
                (path / name).write_text(text)

    write("first")
    (tmp_path / "parts/part-00000/rows.jsonl").unlink()
    write("second")
    write("third")
    assert set(content(tmp_path / "parts").values()) == {b"second"}


def test_a_bucket_in_and_a_bucket_out_stopped_between(plan, here, digits, whole, bucket):
    for path in digits.iterdir():
        bucket.upload_file(str(path), f"photos/{path.name}")
    output = plan("s3://house/photos", "s3://house/features")
    with stopped_after(1) as progress:
        run(output, here, progress=progress)
    bucket.put_object(Key="photos/two.png", Body=(digits / "three.png").read_bytes())
    found = run(Output(output.address), here)
    assert (found.is_complete, found.failed) == (True, 1)
    bucket.upload_file(str(digits / "two.png"), "photos/two.png")
    output.forget_failed()
    assert run(output, here).failed == 0
    assert values(stored("s3://house/features")) == values(content(whole.address))


def values(files):
    """The tensors of each part as bytes."""
    return {
        name: {address: each.tobytes() for address, each in load(data).items()}
        for name, data in files.items()
        if name.startswith("parts/")
    }


def test_a_model_is_fetched_from_a_url(plan, digits, whole, memory):
    memory.put(f"{demo.MODELS}/", "/models", recursive=True)
    output = plan(digits, models="memory://models")
    assert output.job.models == "memory://models"
    run(output, Here(), most_failed=0)
    assert values(content(output.address)) == values(content(whole.address))


@pytest.mark.parametrize("models", ["keras.applications:MobileNetV2", "nowhere", "nosuch://models"])
def test_models_that_are_not_there_or_have_no_weights_are_refused(plan, digits, models):
    with pytest.raises(OptionInvalid):
        plan(digits, models=models)
