"""Jobs in this process: what they write is what single requests give, whatever ends them, and bad images cost themselves only."""

import io
import json
import os
import sys
import tarfile
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import zarr
from extraction_content import content, stopped_after
from keras import layers
from PIL import Image
from pyarrow import parquet
from safetensors import safe_open

from layerscope import demo
from layerscope.errors import (
    DataSetUnreadable,
    InputMismatch,
    JobDiffers,
    LayerNotFound,
    LayerscopeError,
    ModelNotFound,
    OptionInvalid,
    TooManyFailed,
)
from layerscope.execution.inputs import ImageSource
from layerscope.extraction.extractor import query_of
from layerscope.extraction.output import Output
from layerscope.extraction.runners import runner_named
from layerscope.extraction.runners.here import Here
from layerscope.extraction.running import run
from layerscope.tensors.options import TensorOptions

SAMPLES = {name: path.read_bytes() for name, path in demo.samples().items()}
MEAN = TensorOptions(reduce="mean")


def requested(engine, data, options, layers=("conv1", "probabilities")):
    """What a single request gives for an image."""
    result = engine.run(query_of("digits", layers, ImageSource(data)))
    return {address: each.values[0] for address, each in result.activations.reduced(options).items()}


def read_parquet(part):
    table = parquet.read_table(part)
    columns = {
        field.name: np.stack(table[field.name].to_numpy()).reshape(-1, *json.loads(field.metadata[b"shape"]))
        for field in table.schema
        if field.metadata
    }
    return table["path"].to_pylist(), columns


def read_safetensors(part):
    with safe_open(part, "np") as file:
        return json.loads(file.metadata()["paths"]), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_npy(part):
    rows = [json.loads(line) for line in (part / "rows.jsonl").read_text("utf-8").splitlines()]
    return [row["path"] for row in rows], {
        path.stem: np.load(path, mmap_mode="r") for path in part.glob("*.npy")
    }


def read_zarr(part):
    rows = [json.loads(line) for line in part.read_text("utf-8").splitlines()]
    maps = zarr.open_group(part.parent.parent / "maps.zarr", mode="r")
    places = [row["row"] for row in rows]
    return [row["path"] for row in rows], {
        each.attrs["layer"]: np.stack([each[place] for place in places]) for _, each in maps.arrays()
    }


READERS = {"parquet": read_parquet, "safetensors": read_safetensors, "npy": read_npy, "zarr": read_zarr}


def rows(output):
    """All values of a result by path, and the paths in order."""
    paths, values = [], {}
    for part in sorted((Path(output.address) / "parts").iterdir()):
        names, columns = READERS[output.job.format](part)
        paths += names
        values |= {
            name: {address: column[place] for address, column in columns.items()}
            for place, name in enumerate(names)
        }
    return paths, values


@pytest.mark.parametrize(
    "options", [MEAN, TensorOptions(stride=3, channels="2,0"), TensorOptions(dtype="float16")]
)
@pytest.mark.parametrize("form", READERS)
def test_every_row_is_what_a_single_request_gives(plan, here, engine, digits, form, options):
    layers = ("conv1",)
    output = plan(digits, format=form, options=options, layers=layers)
    assert run(output, here, most_failed=0).is_complete
    paths, values = rows(output)
    assert paths == sorted(f"{name}.png" for name in SAMPLES)
    for name, data in SAMPLES.items():
        for address, wanted in requested(engine, data, options, layers).items():
            found = values[f"{name}.png"][address]
            assert found.dtype == wanted.dtype
            np.testing.assert_array_equal(found, wanted)


def test_a_job_that_was_stopped_ends_with_the_same_bytes(plan, here, digits):
    whole = plan(digits, "whole")
    run(whole, here)
    output = plan(digits)
    for count in (1, 1):
        with stopped_after(count) as progress:
            run(output, here, progress=progress)
        assert not output.status().is_complete
        output = plan(digits)
    assert run(output, here).is_complete
    assert content(output.address) == content(whole.address)


def test_a_job_that_is_done_runs_nothing(plan, here, digits):
    output = plan(digits)
    run(output, here)
    before = {path: path.stat().st_mtime_ns for path in Path(output.address).rglob("*")}
    seen = []
    run(output, here, progress=seen.append)
    assert len(seen) == 1
    assert before == {path: path.stat().st_mtime_ns for path in Path(output.address).rglob("*")}


def test_shares_make_the_whole(plan, here, digits):
    whole, output = plan(digits, "whole"), plan(digits)
    run(whole, here)
    assert [run(output, here, share=(k, 2)).parts for k in range(2)] == [2, 3]
    assert content(output.address) == content(whole.address)


def archive_of(kind, folder, path, extra=()):
    members = [*((each.name, each.read_bytes()) for each in sorted(folder.iterdir())), *extra]
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in members:
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w") as archive:
            for name, data in members:
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "txt", "pattern"])
def test_every_kind_of_data_set_gives_the_same_rows(plan, here, digits, kind, tmp_path):
    folder = plan(digits, "folder")
    run(folder, here)
    if kind == "txt":
        data = tmp_path / "list.txt"
        data.write_text("".join(f"digits/{path.name}\n" for path in sorted(digits.iterdir())), "utf-8")
    elif kind == "pattern":
        data = digits / "*.png"
    else:
        data = archive_of(
            kind, digits, tmp_path / f"digits.{kind}", [("read me.md", b"no image"), (".hidden.png", b"")]
        )
    output = plan(data)
    run(output, here, most_failed=0)
    (paths, values), (_, wanted) = rows(output), rows(folder)
    assert [path.rpartition("/")[2] for path in paths] == sorted(wanted)
    for path, each in values.items():
        for address, found in each.items():
            assert found.tobytes() == wanted[path.rpartition("/")[2]][address].tobytes()


def test_rows_of_an_array_are_tensors(plan, here, tmp_path):
    values = np.random.default_rng(0).random((6, 28, 28, 1), np.float32)
    np.save(tmp_path / "values.npy", values)
    output = plan(tmp_path / "values.npy", layers=("input",), options=TensorOptions())
    run(output, here, most_failed=0)
    paths, found = rows(output)
    assert paths == list(map(str, range(6)))
    (address,) = [each.address for each in output.job.columns]
    for index, wanted in enumerate(values):
        np.testing.assert_array_equal(found[str(index)][address], wanted)


def bad_images(folder):
    """Files that cannot be images, and the code of each."""
    seven = SAMPLES["seven"]
    made = {
        "cut.png": (seven[: len(seven) // 2], "image_unreadable"),
        "empty.png": (b"", "unsupported_image"),
        "page.png": (b"<html><body>404</body></html>", "unsupported_image"),
        "header.png": (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "image_unreadable"),
        "huge.bmp": (
            b"BM" + b"\0" * 12 + b"\x28\0\0\0" + b"\xff\xff\xff\x7f" * 2 + b"\0" * 40,
            "image_too_large",
        ),
        "no.npy": (b"\x93NUMPY\1\0", "tensor_unreadable"),
        "shape.npy": (npy(np.zeros((3, 3), np.float32)), "input_mismatch"),
        "pickled.npy": (npy(np.array([{}], object)), "tensor_unreadable"),
    }
    for name, (data, _) in made.items():
        (folder / name).write_bytes(data)
    return {name: code for name, (_, code) in made.items()}


def npy(values):
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def failed(output):
    return {each.path: each.code for shard in range(output.job.shards) for each in output.failures(shard)}


def test_bad_images_are_listed_and_the_rest_is_whole(plan, here, digits):
    clean = plan(digits, "clean")
    run(clean, here)
    wanted = bad_images(digits)
    (digits / "link.png").symlink_to("nowhere")
    output = plan(digits)
    found = run(output, here)
    assert failed(output) == wanted
    assert (found.done, found.failed) == (10, len(wanted))
    (_, values), (_, right) = rows(output), rows(clean)
    for path, each in right.items():
        for address, value in each.items():
            assert values[path][address].tobytes() == value.tobytes()
    sentences = [each.message for shard in range(output.job.shards) for each in output.failures(shard)]
    assert all(each.endswith(".") or ": " in each for each in sentences)


def test_what_changes_meanwhile_is_listed(plan, here, digits):
    (digits / "gone.png").write_bytes(SAMPLES["one"])
    output = plan(digits)
    (digits / "gone.png").unlink()
    (digits / "two.png").write_bytes(SAMPLES["three"])
    (digits / "late.png").write_bytes(SAMPLES["four"])
    run(output, here)
    assert failed(output) == {"gone.png": "input_changed", "two.png": "input_changed"}
    with pytest.raises(JobDiffers, match="not as it was"):
        plan(digits)


def test_archives_are_never_unpacked_to_the_disk(plan, here, digits, tmp_path):
    outside = [("../evil.png", SAMPLES["one"]), ("/tmp/evil.png", SAMPLES["two"])]  # noqa: S108
    output = plan(archive_of("zip", digits, tmp_path / "a.zip", outside))
    before = set(tmp_path.rglob("*.png"))
    run(output, here, most_failed=0)
    assert output.status().done == 12
    assert set(tmp_path.rglob("*.png")) == before


def test_a_member_that_unpacks_to_more_than_may_be_read_is_not_unpacked(plan, here, digits, tmp_path):
    path = archive_of("zip", digits, tmp_path / "bomb.zip", [("bomb.png", bytes(80 << 20))])
    output = plan(path)
    run(output, here)
    assert failed(output) == {"bomb.png": "body_too_large"}


def test_a_member_that_lies_about_its_length_is_listed(plan, here, digits, tmp_path):
    path = archive_of("zip", digits, tmp_path / "lie.zip", [("lie.png", bytes(100_000))])
    data = path.read_bytes()
    place = data.rindex(b"PK\1\2")
    path.write_bytes(data[: place + 24] + (50).to_bytes(4, "little") + data[place + 28 :])
    output = plan(path)
    run(output, here)
    assert failed(output) == {"lie.png": "input_changed"}


def test_failed_images_can_be_tried_again(plan, here, digits):
    seven = digits / "seven.png"
    status = seven.stat()
    output = plan(digits)
    seven.unlink()
    assert run(output, here).failed == 1
    seven.write_bytes(SAMPLES["seven"])
    os.utime(seven, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert output.forget_failed() == 1
    found = run(output, here)
    assert (found.failed, found.done) == (0, 10)
    clean = plan(digits, "clean")
    run(clean, here)
    assert content(output.address) == content(clean.address)


def test_a_job_that_is_wrong_as_a_whole_ends(plan, here, digits):
    for name in list(SAMPLES)[:5]:
        (digits / f"{name}.png").write_bytes(b"no image")
    output = plan(digits)
    with pytest.raises(TooManyFailed, match=r"more than 0\.2"):
        run(output, here, most_failed=0.2)
    assert 0 < output.status().parts < output.job.shards


def test_another_job_does_not_write_into_the_folder(plan, digits):
    output = plan(digits)
    others = ({"layers": ("conv2",)}, {"options": TensorOptions()}, {"shard_images": 5}, {"format": "npy"})
    for changed in others:
        with pytest.raises(JobDiffers, match="another job"):
            plan(digits, **changed)
    assert Output(output.address).job == output.job


def test_a_folder_with_something_else_is_left_alone(plan, digits, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("all of it")
    with pytest.raises(JobDiffers, match="not empty"):
        plan(digits)
    assert content(tmp_path / "out") == {"thesis.tex": b"all of it"}


def test_a_model_that_was_replaced_ends_the_job(plan, digits, tmp_path):
    version = tmp_path / "models" / "digits" / "1"
    version.mkdir(parents=True)
    for path in (demo.MODELS / "digits" / "1").iterdir():
        (version / path.name).write_bytes(path.read_bytes())
    output = plan(digits, models=tmp_path / "models")
    declared = json.loads((version / "layerscope.json").read_text("utf-8"))
    (version / "layerscope.json").write_text(json.dumps(declared | {"labels": ["new"]}), "utf-8")
    with pytest.raises(JobDiffers, match="another model"):
        run(output, Here())
    assert output.status().parts == 0


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"model": "digit"}, ModelNotFound),
        ({"layers": ("conv7",)}, LayerNotFound),
        ({"options": TensorOptions(dtype="uint8")}, OptionInvalid),
        ({"options": TensorOptions(channels="top:2")}, OptionInvalid),
        ({"options": TensorOptions(channels="99")}, LayerscopeError),
        ({"data": "nowhere"}, DataSetUnreadable),
        ({"data": "nothing/*.png"}, DataSetUnreadable),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is(plan, digits, changed, error, tmp_path):
    data = changed.pop("data", None)
    with pytest.raises(error):
        plan(digits if data is None else tmp_path / data, **changed)
    assert not (tmp_path / "out" / "job.json").exists()


def test_images_of_other_sizes_fail_where_their_maps_differ(plan, tmp_path):
    """With a model of free size, and no reduction to one size."""
    models = tmp_path / "models"
    models.mkdir()
    start, other = keras.Input((None, None, 3)), keras.Input((4,))
    maps = layers.Conv2D(4, 3, name="conv")(start)
    pooled = layers.GlobalAveragePooling2D()(maps)
    keras.Model(start, pooled).save(models / "free.keras")
    keras.Model([start, other], layers.Concatenate(name="both")([pooled, other])).save(models / "pair.keras")
    folder = tmp_path / "images"
    folder.mkdir()
    for name, side in (("a", 16), ("b", 16), ("c", 20)):
        Image.new("RGB", (side, side), (side, 1, 2)).save(folder / f"{name}.png")
    asked = {"models": models, "model": "free", "layers": ("conv",)}
    output = plan(folder, options=TensorOptions(), **asked)
    assert run(output, Here()).done == 2
    assert failed(output) == {"c.png": "input_mismatch"}
    assert run(plan(folder, "mean", options=MEAN, **asked), Here()).failed == 0
    with pytest.raises(InputMismatch):
        plan(folder, "pair", models=models, model="pair", layers=("both",))


def test_an_unknown_runner_is_refused():
    for text in ("there", "processes:0", "processes:x", "ray://", "ray:2", "dask", "dask://", ""):
        with pytest.raises(OptionInvalid):
            runner_named(text)


@pytest.mark.parametrize("text", ["ray", "dask://head:8786"])
def test_a_runner_that_is_not_installed_is_refused_with_what_installs_it(text, monkeypatch):
    for name in ("ray", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(
            sys.modules, f"layerscope.extraction.runners.{text[:4].strip(':')}", raising=False
        )
    with pytest.raises(OptionInvalid, match=r"pip install 'layerscope\[(ray|dask)\]'"):
        runner_named(text)
