"""Model files of others against Keras: every tap, from a model directory, and whether a check of the file agrees.

`python tests/service/compared_files.py FOLDER` compares the model files of a folder and writes the table into
docs/how-to/models.md. It fails if a value differs by more than `RELATIVE`, or if a directory opens what a check refuses, or the reverse.
"""

import json
import logging
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import h5py
import keras
import numpy as np

from eager_reference import EagerReference
from layerscope.errors import LayerscopeError
from layerscope.execution.inputs import TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.graph.loading.trial import try_file
from layerscope.graph.taps.addresses import parse_address
from layerscope.limits import Limits
from layerscope.models.keras2.versions import is_of_keras_2, parse_version

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "models.md"
TABLE = re.compile(r"(?<=<!-- compared files -->\n).*?(?=<!-- /compared files -->)", re.DOTALL)
KERAS_2 = Path(__file__).parent / "keras_2_reference.py"
SUFFIXES = (".keras", ".h5", ".hdf5")
RELATIVE = 1e-4
"""The largest difference that is allowed, as a part of the largest magnitude of a layer."""

NOT_CALLED = ("conv_lstm2d", "conv_lstm_cell")
"""Keras 2 runs the code of this cell in a loop, and does not call it as a layer."""

WORDS = {
    '"hard_sigmoid"': "`hard_sigmoid`",
    '"stateful": true': "states kept between batches",
    "mixed_float16": "mixed precision",
    "int4": "int4 weights",
    '"training": true': "called with `training=True`",
    '"mask_zero": true': "masks",
}
"""What is worth a word, by the text of the configuration that has it."""


@dataclass(frozen=True)
class Compared:
    """What a file gives, or the sentence that it is refused with.

    `taps` were compared; `difference` is the largest, as a part of the largest magnitude of its layer. `refusal` comes from a
    model directory, `checked` from a check; both are empty where the model opens.
    """

    path: Path
    taps: int = 0
    difference: float = 0.0
    refusal: str = ""
    checked: str = ""

    @property
    def is_right(self) -> bool:
        """Whether all values are those of Keras, and a directory and a check agree."""
        return self.difference <= RELATIVE and bool(self.refusal) == bool(self.checked)

    @property
    def line(self) -> str:
        """The row of the table."""
        version, config = stored(self.path)
        words = [word for text, word in WORDS.items() if text in json.dumps(config)]
        inside = ", ".join([*classes({"config": {"layers": [config]}}), *words])
        given = f"{self.taps} | {self.difference:.0e}" if self.difference else f"{self.taps} | none"
        if self.refusal:
            given = f"- | {self.refusal}"
        return f"| {package(version)}, `{self.path.suffix}` | {inside} | {given} |"


def stored(path):
    """The version of Keras that wrote a file, and the configuration of its model."""
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as file:
            return json.loads(file.read("metadata.json"))["keras_version"], json.loads(
                file.read("config.json")
            )
    with h5py.File(path, "r") as file:
        return file.attrs["keras_version"], json.loads(file.attrs["model_config"])


def package(version):
    """The name of the package that wrote a file: since 2.16, Keras 2 is called tf-keras."""
    return f"{'tf-keras' if (2, 16) <= parse_version(version) < (3, 0) else 'Keras'} {version}"


def classes(node):
    """The classes of layers in a configuration, with what is inside of models and wrappers."""
    config = node["config"]
    inside = config.get("layers", [config["layer"]] if isinstance(config.get("layer"), dict) else [])
    if not inside:
        yield node["class_name"]
    for each in inside:
        if each["class_name"] != "InputLayer":
            within = ", ".join(dict.fromkeys(classes(each)))
            yield each["class_name"] if within == each["class_name"] else f"{each['class_name']} ({within})"


def compared(path):
    """Compare one file."""
    checked = refusal_of(lambda: try_file(path, Limits()))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model" / "1" / f"model{path.suffix}"
        model.parent.mkdir(parents=True)
        shutil.copyfile(path, model)
        engine = LocalEngine(Path(folder))
        try:
            engine.load_all()
            (record,) = engine.catalogue()
            if record.description is None:
                return Compared(path, refusal=record.reason, checked=checked)
            differences = list(compared_taps(engine, record.description, model))
            return Compared(path, len(differences), float(np.max(differences)), checked=checked)
        finally:
            engine.close()


def compared_taps(engine, description, path):
    """The difference of every tap.

    Raises:
        AssertionError: Keras made a call that has no tap, or a value has another shape.
    """
    arrays = [example(each) for each in description.inputs]
    sources = {
        each.name: [TensorSource(array)] for each, array in zip(description.inputs, arrays, strict=True)
    }
    given = engine.run(Query(model="model", sources=sources, layers=("all",))).activations
    expected = (keras_2_values if is_of_keras_2(path) else keras_3_values)(path, arrays)
    hidden = {NOT_CALLED, *(parse_address(each).path for each in description.unreachable)}
    for address, value in expected.items():
        is_input = "@" in address or address.startswith("output ")
        if not is_input and parse_address(address).path not in hidden:
            yield difference(given[address].values, value)


def example(spec):
    """An array for an input: numbers from 0 to 1, or whole numbers."""
    random = np.random.default_rng(0)
    shape = [side or 8 for side in spec.shape]
    if np.dtype(spec.dtype).kind in "iub":
        return random.integers(0, 4, shape).astype(spec.dtype)
    return random.random(shape).astype(spec.dtype)


def difference(actual, expected):
    """The largest, as a part of the largest magnitude."""
    if expected.size != actual.size:
        # A batch of copies has rows that are all the same.
        expected = expected[: len(actual)]
    # What a `TimeDistributed` wraps has a row for each step.
    actual, expected = actual.reshape(expected.shape).astype(np.float64), expected.astype(np.float64)
    return float(np.abs(actual - expected).max(initial=0) / max(np.abs(expected).max(initial=0), 1e-12))


def keras_3_values(path, arrays):
    """What Keras 3 computes: from one image, or a batch of copies of it if the model takes no other."""
    model = keras.models.load_model(path, compile=False)
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
            layer.reset_states()
    batch = [np.repeat(each[None], model.inputs[0].shape[0] or 1, axis=0) for each in arrays]
    return EagerReference(model, batch if len(batch) > 1 else batch[0]).values


def keras_2_values(path, arrays):
    """What Keras 2 computes, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "values.npz"
        np.savez(target, *arrays)
        subprocess.run([sys.executable, "-W", "ignore", KERAS_2, path, target], check=True)
        with np.load(target) as file:
            return dict(file)


def refusal_of(action):
    try:
        action()
    except LayerscopeError as error:
        return error.message
    return ""


def write(rows):
    """Write the table into the page."""
    head = ("| written by | what is in it | taps | largest difference |", "|---|---|---|---|")
    text = "\n".join([*head, *sorted(row.line for row in rows)]) + "\n"
    PAGE.write_text(TABLE.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")


def main(folder):
    rows = [compared(path) for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    if not rows:
        sys.exit(f"There is no model file in {folder}.")
    write(rows)
    wrong = [str(row.path) for row in rows if not row.is_right]
    if wrong:
        sys.exit(f"Not what Keras computes, or refused by one only: {', '.join(wrong)}")


if __name__ == "__main__":
    logging.disable()
    main(Path(sys.argv[1]))
