"""Maps as Zarr arrays: row i is image i of the job, each part adds files of its own, and what failed is NaN."""

import numpy as np
import pytest
import zarr
from extraction_content import content, stopped_after
from fsspec.implementations.memory import MemoryFileSystem

from layerscope import demo
from layerscope.execution.inputs import ImageSource
from layerscope.extraction.extractor import query_of
from layerscope.extraction.running import run
from layerscope.tensors.options import TensorOptions

MAPS = {"format": "zarr", "layers": ("conv1", "probabilities"), "options": TensorOptions()}


@pytest.fixture
def whole(plan, here, digits):
    """A result without any interruption, of eleven images of which the fifth cannot be read."""
    (digits / "kaput.png").write_bytes(b"<html>")
    output = plan(digits, "whole", **MAPS)
    assert run(output, here).failed == 1
    return output


def test_a_row_is_an_image_and_a_chunk_and_a_part_is_a_shard(whole, engine):
    maps = zarr.open_group(f"{whole.address}/maps.zarr", mode="r")
    names = sorted([*demo.samples(), "kaput"])
    for column in whole.job.columns:
        array = maps[column.address]
        assert (array.shape, array.dtype) == ((11, *column.shape), column.dtype)
        assert (array.chunks, array.shards) == ((1, *column.shape), (4, *column.shape))
        assert np.isnan(array[names.index("kaput")]).all()
        for place, name in enumerate(names):
            if name != "kaput":
                single = engine.run(
                    query_of("digits", [column.address], ImageSource(demo.samples()[name].read_bytes()))
                )
                np.testing.assert_array_equal(array[place], single.activations[column.address].values[0])
    assert maps.attrs["layerscope"]["digest"] == whole.job.digest
    files = content(whole.address)
    assert len([name for name in files if name.startswith("maps.zarr/conv1/c/")]) == 3
    assert b'"row": 5' in files["parts/part-00001.jsonl"]
    assert b"kaput" not in files["parts/part-00001.jsonl"]


def test_stopped_shared_and_tried_again_it_ends_with_the_same_files(plan, here, digits, whole):
    to = "memory://results/maps"
    output = plan(digits, to, **MAPS)
    with stopped_after(1) as progress:
        run(output, here, progress=progress)
    for share in range(2):
        run(output, here, share=(share, 2))
    output.forget_failed()
    assert run(output, here).is_complete
    stored = {
        name.removeprefix("/results/maps/"): file.getvalue() for name, file in MemoryFileSystem.store.items()
    }
    assert stored == content(whole.address)
    MemoryFileSystem.store.clear()
