"""Data sets in Parquet files and .npz archives: every row is what was put in, and hostile files cost an error with a name only."""

import io
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pyarrow import parquet

from layerscope import demo
from layerscope.errors import BodyTooLarge, DataSetUnreadable, InputChanged, TooMany
from layerscope.extraction.data_sets import open_data_set
from layerscope.limits import MIB

DIGITS = {name: path.read_bytes() for name, path in demo.samples().items()}
IMAGES = list(DIGITS.values()) * 3


def rows_of(address, threads=1):
    """What every row holds, read by several threads."""
    data_set = open_data_set(str(address))
    rows = list(data_set.rows())
    with ThreadPoolExecutor(threads) as pool:
        return rows, list(pool.map(lambda row: data_set.read(row, MIB), rows))


def write_images(path, /, **columns):
    parquet.write_table(pa.table({"label": range(len(IMAGES)), **columns}), path, row_group_size=7)
    return path


@pytest.mark.parametrize("kind", ["bytes", "large", "hugging face"])
def test_the_bytes_of_images_are_found_in_a_parquet_file(kind, tmp_path):
    images = pa.array(IMAGES, pa.large_binary() if kind == "large" else pa.binary())
    if kind == "hugging face":
        images = pa.StructArray.from_arrays([images, pa.array(["x.png"] * len(IMAGES))], ["bytes", "path"])
    path = write_images(tmp_path / "all.parquet", image=images)
    rows, found = rows_of(path, threads=2)
    assert [row.path for row in rows] == list(map(str, range(len(IMAGES))))
    assert [each.data for each in found] == IMAGES


def test_the_paths_of_images_are_found_in_a_parquet_file(tmp_path):
    (tmp_path / "digits").mkdir()
    for name, data in DIGITS.items():
        (tmp_path / "digits" / f"{name}.png").write_bytes(data)
    paths = [f"digits/{name}.png" for name in DIGITS]
    write_images(tmp_path / "all.parquet", path=[*paths, None, "../digits/none.png", *["/etc/none.png"] * 18])
    data_set = open_data_set(str(tmp_path / "all.parquet"), tmp_path)
    rows = list(data_set.rows())
    assert [data_set.read(row, MIB).data for row in rows[:10]] == list(DIGITS.values())
    for row in rows[10:]:
        with pytest.raises(InputChanged):
            data_set.read(row, MIB)


def test_of_several_columns_one_is_named(tmp_path):
    path = write_images(tmp_path / "all.parquet", small=IMAGES, large=IMAGES[::-1], note=["a"] * len(IMAGES))
    with pytest.raises(DataSetUnreadable, match="several columns") as refused:
        open_data_set(str(path))
    assert refused.value.details["columns"] == ["small", "large", "note"]
    with pytest.raises(DataSetUnreadable, match="no column label"):
        open_data_set(f"{path}:label")
    assert [each.data for each in rows_of(f"{path}:large")[1]] == IMAGES[::-1]


def test_a_column_beside_the_images_has_their_labels(tmp_path):
    paths = [f"{number}.png" for number in range(len(IMAGES))]
    texts = [("cat", "dog", None, "")[number % 4] for number in range(len(IMAGES))]
    columns = {"text": texts, "kept": pa.array(texts).dictionary_encode(), "truth": [True, False, None] * 10}
    write_images(tmp_path / "bytes.parquet", image=IMAGES, score=[0.5] * len(IMAGES), **columns)
    write_images(tmp_path / "paths.parquet", path=paths, score=[0.5] * len(IMAGES), **columns)
    for address in (f"{tmp_path}/bytes.parquet", f"{tmp_path}/paths.parquet:path"):
        data_set = open_data_set(address)
        rows = [replace(row, label=text or None) for row, text in zip(data_set.rows(), texts, strict=True)]
        assert list(data_set.labelled("text", MIB)) == list(data_set.labelled("kept", MIB)) == rows
        assert [row.label for row in data_set.labelled("label", MIB)] == list(map(str, range(len(IMAGES))))
        assert [row.label for row in data_set.labelled("truth", MIB)] == ["True", "False", None] * 10
        for column in ("score", "image", "missing"):
            with pytest.raises(DataSetUnreadable, match="no column"):
                list(data_set.labelled(column, MIB))
        with pytest.raises(TooMany):
            list(data_set.labelled("text", 20))


def test_labels_of_a_table_that_changes_meanwhile_are_not_taken(tmp_path):
    path = write_images(tmp_path / "all.parquet", image=IMAGES)
    rows = open_data_set(str(path)).labelled("label", MIB)
    assert next(rows).label == "0"
    os.utime(path, ns=(0, 0))
    with pytest.raises(DataSetUnreadable, match="changed"):
        list(rows)
    shorter = open_data_set(str(path)).labelled("label", MIB)
    parquet.write_table(pa.table({"label": [1, 2], "image": IMAGES[:2]}), path)
    with pytest.raises(DataSetUnreadable):
        list(shorter)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_rows_of_an_array_in_an_archive_are_tensors(save, tmp_path):
    values = np.random.default_rng(0).random((40, 300, 200), np.float32)
    save(tmp_path / "all.npz", x_train=values, y_train=np.arange(40))
    with pytest.raises(DataSetUnreadable, match="2 arrays"):
        open_data_set(str(tmp_path / "all.npz"))
    rows, found = rows_of(tmp_path / "all.npz:x_train", threads=2)
    assert [row.path for row in rows] == list(map(str, range(40)))
    np.testing.assert_array_equal([each.values for each in found], values)
    data_set = open_data_set(str(tmp_path / "all.npz:x_train"))
    np.testing.assert_array_equal(data_set.read(rows[39], MIB).values, values[39])
    np.testing.assert_array_equal(data_set.read(rows[0], MIB).values, values[0])


def test_both_are_read_from_a_url(tmp_path):
    write_images(tmp_path / "all.parquet", image=IMAGES)
    np.savez_compressed(tmp_path / "all.npz", np.eye(3))
    MemoryFileSystem().put(f"{tmp_path}/", "/tables", recursive=True)
    try:
        assert [each.data for each in rows_of("memory://tables/all.parquet")[1]] == IMAGES
        np.testing.assert_array_equal(
            [each.values for each in rows_of("memory://tables/all.npz")[1]], np.eye(3)
        )
    finally:
        MemoryFileSystem.store.clear()


def test_a_table_that_changed_meanwhile_is_not_read(tmp_path):
    for path in (write_images(tmp_path / "all.parquet", image=IMAGES), tmp_path / "all.npz"):
        if path.suffix == ".npz":
            np.savez(path, np.eye(3))
        rows, _ = rows_of(path)
        os.utime(path, ns=(0, 0))
        with pytest.raises(InputChanged):
            open_data_set(str(path)).read(rows[0], MIB)


def cut(data):
    return data[: len(data) // 2]


@pytest.mark.parametrize("harm", [cut, lambda data: b"", lambda data: b"<html>404</html>"])
@pytest.mark.parametrize("suffix", ["parquet", "npz", "npy", "zip", "tar"])
def test_a_file_that_is_cut_empty_or_a_page_is_refused(harm, suffix, tmp_path):
    path = tmp_path / f"all.{suffix}"
    if suffix == "parquet":
        write_images(path, image=IMAGES)
    elif suffix == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.png", IMAGES[0])
    elif suffix == "tar":
        path.write_bytes(b"not a header" * 100)
    else:
        (np.savez if suffix == "npz" else np.save)(path, np.arange(1000.0))
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(DataSetUnreadable):
        list(open_data_set(str(path)).rows())


def test_a_parquet_file_with_damage_inside_costs_the_images_there(tmp_path):
    path = write_images(tmp_path / "all.parquet", image=IMAGES)
    header = parquet.read_metadata(path).row_group(1).column(1).dictionary_page_offset
    data = bytearray(path.read_bytes())
    data[header : header + 20] = bytes(20)
    path.write_bytes(data)
    data_set = open_data_set(str(path))
    for row, wanted in zip(data_set.rows(), IMAGES, strict=True):
        if 7 <= row.position < 14:
            with pytest.raises(InputChanged):
                data_set.read(row, MIB)
        else:
            assert data_set.read(row, MIB).data == wanted


def test_a_table_that_would_fill_the_memory_is_not_unpacked(tmp_path):
    parquet.write_table(
        pa.table({"image": [bytes(2 * MIB), b"x"]}), tmp_path / "bomb.parquet", compression="zstd"
    )
    data_set = open_data_set(str(tmp_path / "bomb.parquet"))
    for row in data_set.rows():
        with pytest.raises(BodyTooLarge, match="times its length"):
            data_set.read(row, MIB)
    np.savez_compressed(tmp_path / "bomb.npz", np.zeros((2, 2 * MIB), np.uint8))
    data_set = open_data_set(str(tmp_path / "bomb.npz"))
    for row in data_set.rows():
        with pytest.raises(BodyTooLarge):
            data_set.read(row, MIB)


def test_a_value_that_is_there_many_times_is_in_memory_once(tmp_path):
    parquet.write_table(pa.table({"image": [IMAGES[0] * 100] * 3_000}), tmp_path / "same.parquet")
    data_set = open_data_set(str(tmp_path / "same.parquet"))
    before = pa.total_allocated_bytes()
    assert data_set.read(next(iter(data_set.rows())), MIB).data == IMAGES[0] * 100
    assert pa.total_allocated_bytes() - before < 16 * MIB


@pytest.mark.parametrize("lie", ["longer", "objects", "columns"])
def test_an_array_that_lies_or_holds_objects_is_refused(lie, tmp_path):
    file = io.BytesIO()
    values = {
        "longer": np.eye(3),
        "objects": np.array([{}], object),
        "columns": np.asfortranarray(np.ones((3, 2))),
    }
    np.save(file, values[lie])
    data = file.getvalue().replace(b"(3, 3)", b"(9, 9)")
    (tmp_path / "all.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "all.npz", "w") as archive:
        archive.writestr("x.npy", data)
    for name in ("all.npy", "all.npz"):
        with pytest.raises(DataSetUnreadable):
            list(open_data_set(str(tmp_path / name)).rows())
