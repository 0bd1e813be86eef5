"""One service over the demo models, as a process of its own, for the commands of all pages."""

from collections.abc import Iterator

import pytest

from served_address import served_address


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where it is."""
    with served_address("--models", "layerscope:demo") as address:
        yield address
