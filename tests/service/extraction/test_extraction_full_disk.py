"""Jobs on a full disk: an error with a name, nothing half, and the same job goes on when there is room."""

import resource
from contextlib import contextmanager

import pytest
from extraction_content import content

from layerscope.errors import StorageFull
from layerscope.extraction.running import run
from layerscope.tensors.options import TensorOptions


@contextmanager
def files_of_at_most(nbytes):
    """Lets no file of this process grow beyond a length: writing fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("form", ["parquet", "safetensors", "npy", "zarr"])
def test_a_full_disk_ends_a_job_which_goes_on_when_there_is_room(plan, here, digits, form):
    output = plan(digits, layers=("conv1",), options=TensorOptions(), format=form)
    before = content(output.address)
    with files_of_at_most(50_000), pytest.raises(StorageFull):
        run(output, here)
    assert content(output.address) == before
    assert run(output, here, most_failed=0).done == 10
