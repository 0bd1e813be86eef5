"""Files of Keras 2: opened by Keras 2, every layer computes what Keras 2 computes in a process of its own."""

import keras
import pytest
from graph_models import assert_close, noise
from keras_2_values import opened, relative_errors_to_keras_2
from kinds_table import KERAS_2, within

from layerscope.graph.loading.loader import SHARED_LOADER
from layerscope.graph.receptive.field import ReceptiveFields
from layerscope.models.directory import ModelSource

pytestmark = pytest.mark.wide

ARCHIVES = ("steps", "chain", "words", "mixed")
CELLS = {"lstm/lstm_cell", "gru/gru_cell", "both/forward_lstm/lstm_cell", "both/backward_lstm/lstm_cell"}


def assert_as_keras_2(made, folder, name):
    errors = relative_errors_to_keras_2(made, folder, name)
    assert {address: error for address, error in errors.items() if not error <= within(name)} == {}


@pytest.mark.parametrize(
    "file", [*(f"{name}.h5" for name in KERAS_2), *(f"{name}.keras" for name in ARCHIVES)]
)
def test_every_layer_computes_what_keras_2_computes(keras_2_files, file):
    made = opened(keras_2_files / file)
    assert made.trace.opened_with.startswith("tf-keras 2.")
    assert_as_keras_2(made, keras_2_files, file.partition(".")[0])


def test_cells_in_loops_are_listed_and_layers_have_their_facts(keras_2_files):
    made = opened(keras_2_files / "steps.h5")
    assert set(made.trace.unreachable) >= CELLS
    taps = {tap.address: tap for tap in made.index.outputs()}
    assert taps["steps"].layer.type == "InputLayer"
    assert taps["both"].layer.is_group
    assert (taps["lstm"].layer.type, taps["lstm"].layer.index, taps["lstm"].layer.parameters) == (
        "LSTM",
        1,
        128,
    )
    assert taps["steps_of/each"].layer.type == "Dense"


def test_names_with_slashes_are_names(keras_2_files):
    made = opened(keras_2_files / "chain.h5")
    assert {"inner/b%2Fexpand", "inner/b%2Fexpand%2FBatchNorm", "inner/b%2Fexpand%2Frelu"} <= set(
        made.addresses
    )


def test_functions_of_tensorflow_and_shared_models_are_calls(keras_2_files):
    made = opened(keras_2_files / "images.h5")
    assert {
        "tf.math.truediv",
        "tf.math.subtract",
        "tf.nn.relu6",
        "block",
        "block:1",
        "block/tail/separable:1",
    } <= set(made.addresses)
    assert made.index["block/tail/separable@preactivation"].shape == (6, 6, 4)


def test_a_unit_over_words_sees_its_own_word(keras_2_files):
    made = opened(keras_2_files / "words.h5")
    seen = ReceptiveFields(made.prepared).of(made.index["joined"], {"x": 4}, [(6,)])
    assert (seen.is_exact, seen.inputs[0].box) == (True, {"x": (4, 5)})


def test_both_versions_of_keras_live_in_one_process(keras_2_files, tmp_path):
    start = keras.Input((4,), name="start")
    model = keras.Model(start, keras.layers.Dense(2, activation="hard_sigmoid", name="hard")(start))
    model.save(tmp_path / "model.keras")
    model.save(tmp_path / "model.h5")
    for file in ("model.keras", "model.h5"):
        assert_as_keras_2(opened(keras_2_files / "chain.h5"), keras_2_files, "chain")
        made = opened(tmp_path / file)
        assert made.trace.opened_with.startswith("keras 3.")
        assert_close(made.value("hard", on=[noise(2, 4)]), model(noise(2, 4)))


PROBE = """
import sys, pathlib, keras
class Probe(keras.layers.Layer):
    def call(self, inputs):
        pathlib.Path(__file__).with_name("imported").write_text(str("tf_keras" in sys.modules))
        return inputs
"""


def test_keras_2_is_imported_only_for_files_that_need_it(keras_2_files, tmp_path):
    (tmp_path / "probe.py").write_text(PROBE)
    (tmp_path / "layerscope.json").write_text('{"plugins": ["probe.py"]}')
    scope = {"__file__": str(tmp_path / "elsewhere")}
    exec(PROBE, scope)  # noqa: S102
    start = keras.Input((4,), name="start")
    keras.Model(start, scope["Probe"](name="probe")(start)).save(tmp_path / "model.keras")
    of_2 = ModelSource("old", 1, keras_2_files / "chain.h5", tmp_path / "nowhere")
    assert SHARED_LOADER.load(of_2).metadata.opened_with.startswith("tf-keras 2.")
    of_3 = ModelSource("new", 1, tmp_path / "model.keras", tmp_path)
    assert SHARED_LOADER.load(of_3).metadata.opened_with.startswith("keras 3.")
    assert (tmp_path / "imported").read_text("utf-8") == "False"
