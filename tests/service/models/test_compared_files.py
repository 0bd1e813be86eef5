"""The comparison of files that others made with Keras, and the table of it in docs/how-to/models.md."""

from dataclasses import replace

import keras
import pytest
from compared_files import PAGE, RELATIVE, TABLE, compared
from keras import layers

from layerscope.demo import MODELS

pytestmark = pytest.mark.wide


@pytest.fixture(scope="module")
def of_keras_2(keras_2_files):
    return compared(keras_2_files / "stateful.h5")


def test_files_of_both_versions_are_compared(of_keras_2):
    of_keras_3 = compared(MODELS / "digits" / "1" / "model.keras")
    assert (of_keras_2.taps, of_keras_3.taps) == (2, 8)
    assert of_keras_2.is_right
    assert of_keras_3.is_right
    assert "| Functional (LSTM, Dense), states kept between batches | 2 |" in of_keras_2.line


def test_a_file_that_is_refused_has_its_sentence(tmp_path):
    start = keras.Input((4,))
    keras.Model(start, layers.Lambda(lambda x: x * 2, name="twice")(start)).save(tmp_path / "model.keras")
    found = compared(tmp_path / "model.keras")
    assert found.is_right
    assert "| - | The model has code in the Lambda layer 'twice'" in found.line


def test_other_values_are_not_right_and_neither_is_what_one_refuses_alone(of_keras_2):
    assert not replace(of_keras_2, difference=2 * RELATIVE).is_right
    assert not replace(of_keras_2, checked="It is refused.").is_right
    assert not replace(of_keras_2, refusal="It is refused.").is_right


def test_the_table_on_the_page_has_only_right_values_and_sentences():
    cells = [
        line.split(" | ")[-1].strip("| ")
        for line in TABLE.search(PAGE.read_text("utf-8"))[0].splitlines()[2:]
    ]
    assert len(cells) > 40
    assert all(cell == "none" or cell.endswith(".") or float(cell) <= RELATIVE for cell in cells)
