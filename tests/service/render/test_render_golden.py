"""Golden pictures, which a person has checked: the drawn files have the same bytes."""

import numpy as np
import pytest
from golden_pictures import FOLDER, decoded, pictures


@pytest.fixture(scope="module")
def drawn() -> dict[str, bytes]:
    return pictures()


def test_there_is_a_file_of_every_picture_and_no_other(drawn: dict[str, bytes]) -> None:
    assert {path.stem for path in FOLDER.iterdir()} == set(drawn)


@pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.png")))
def test_it_is_drawn_as_it_was_when_somebody_looked(name: str, drawn: dict[str, bytes]) -> None:
    np.testing.assert_array_equal(decoded(drawn[name]), decoded((FOLDER / f"{name}.png").read_bytes()))


def test_twice_is_the_same_to_the_byte(drawn: dict[str, bytes]) -> None:
    assert pictures() == drawn
