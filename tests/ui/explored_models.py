"""Models for the explorer: one of each kind that needs special treatment by the page."""

import json
import shutil
from pathlib import Path

import numpy as np
from keras import Input, Model, Sequential, layers, ops

from layerscope.demo import MODELS
from models_of_axes import CASES

HOSTILE = "<img src=x onerror=alert(1)>"
"""The name of a class."""

BLOCKS = 14
"""Blocks of four layers of the model `residual`."""

ARRAYS = ("series", "volume", "film")
"""Models that read arrays, see `models_of_axes`."""

HOSTILE_LAYERS = (
    """f")and(__import__("pathlib").Path("ran").touch())#""",
    """f")+process.getBuiltinModule("fs").writeFileSync("ran"+"")+(f""",
    """f'$(echo>ran)`echo>ran`;echo>ran;'""",
    "f\u202e\u200b\x9b31m",
)
"""Names of layers that run as code, or show other code than there is, if they are written into code unquoted."""


def write_models(directory: Path) -> None:
    """Write a directory of models."""
    shutil.copytree(MODELS / "digits", directory / "digits")
    served = {
        "nested": nested(),
        "wide": wide(),
        "photos": photos(),
        "pair": pair(),
        "hostile": hostile(),
        "siamese": siamese(),
        "vector": vector(),
        "leads": leads(),
        "patches": patches(),
        "residual": residual(),
        **{name: CASES[name].build() for name in ARRAYS},
    }
    for name, model in served.items():
        shapes = [weights.shape for weights in model.get_weights()]
        model.set_weights([np.random.default_rng(n).normal(0, 0.3, shape) for n, shape in enumerate(shapes)])
        model.save(write_folder(directory / name, None) / "model.keras")
    again = write_folder(directory / "digits_again", {"classes": [HOSTILE, *"123456789"]})
    shutil.copy(MODELS / "digits" / "1" / "model.keras", again)


def write_folder(model: Path, declaration: dict[str, object] | None) -> Path:
    folder = model / "1"
    folder.mkdir(parents=True)
    if declaration is not None:
        (folder / "layerscope.json").write_text(json.dumps(declaration))
    return folder


def nested() -> Model:
    entrance = Input((16, 16, 4))
    inner = layers.Conv2D(4, 3, padding="same", name="conv")(entrance)
    block = Model(entrance, layers.Add(name="add")([entrance, inner]), name="block")
    image = Input((16, 16, 3), name="image")
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    steps = [layers.Conv2D(4, 3, padding="same", name=f"conv_{number}") for number in range(6)]
    values = block(stem)
    for step in steps:
        values = step(values)
    skipped = layers.Concatenate(name="skip")([stem, values])
    pooled = layers.GlobalAveragePooling2D(name="pool")(skipped)
    rows = layers.Reshape((2, 4), name="rows")(pooled)
    return Model(image, layers.Dense(3, name="classes")(layers.Flatten(name="flat")(rows)), name="nested")


def wide() -> Model:
    return Sequential([Input((8, 8, 1), name="image"), layers.Conv2D(2_048, 1, name="wide")])


def photos() -> Model:
    convolution = layers.Conv2D(64, 3, strides=2, padding="same", activation="relu", name="maps")
    return Sequential(
        [Input((224, 224, 3), name="image"), convolution, layers.GlobalMaxPooling2D(name="pool")]
    )


def patches() -> Model:
    """Its tokens are a map of 4 x 6 patches, and one before it."""
    image = Input((16, 24, 3), name="image")
    tokens = layers.Reshape((24, 4), name="tokens")(layers.Conv2D(4, 4, 4, name="cut")(image))
    return Model(image, layers.Dense(5, name="mixed")(ops.pad(tokens, [[0, 0], [1, 0], [0, 0]])))


def pair() -> Model:
    left, right = Input((8, 8, 1), name="left"), Input((8, 8, 1), name="right")
    return Model([left, right], layers.Concatenate(name="both")([left, right]))


def siamese() -> Model:
    """Three calls of one tower, which calls one block twice."""
    maps = Input((8, 8, 4), name="maps")
    convolved = layers.Conv2D(4, 3, padding="same", name="conv")(maps)
    resblock = Model(maps, layers.Add(name="add")([maps, convolved]), name="resblock")
    image = Input((8, 8, 1), name="image")
    stem = layers.Conv2D(4, 3, padding="same", name="stem")(image)
    tower = Model(image, layers.GlobalAveragePooling2D(name="pool")(resblock(resblock(stem))), name="tower")
    images = [Input((8, 8, 1), name=name) for name in ("anchor", "positive", "negative")]
    both = layers.Concatenate(name="both")([tower(each) for each in images])
    return Model(images, layers.Dense(2, name="out")(both), name="siamese")


def residual() -> Model:
    """Residual blocks without models of their own: only the names of their layers tell them apart."""
    image = Input((8, 8, 3), name="image")
    values = layers.Conv2D(2, 1, name="stem")(image)
    for number in range(1, BLOCKS + 1):
        inner = layers.Conv2D(4, 1, name=f"block_{number}_expand")(values)
        inner = layers.ReLU(name=f"block_{number}_relu")(inner)
        inner = layers.Conv2D(2, 1, name=f"block_{number}_project")(inner)
        values = layers.Add(name=f"block_{number}_add")([values, inner])
    pooled = layers.GlobalAveragePooling2D(name="pool")(values)
    return Model(image, layers.Dense(3, activation="softmax", name="classes")(pooled), name="residual")


def leads() -> Model:
    """Two signals of different length."""
    long, short = Input((24, 1), name="long"), Input((12, 2), name="short")
    ends = [layers.GlobalAveragePooling1D()(layers.Conv1D(3, 3)(each)) for each in (long, short)]
    return Model([long, short], layers.Concatenate(name="both")(ends), name="leads")


def vector() -> Model:
    """A model that takes no images."""
    return Sequential([Input((4,), name="features"), layers.Dense(3, name="dense")])


def hostile() -> Model:
    convolutions = [layers.Conv2D(2, 1, name=name) for name in HOSTILE_LAYERS]
    return Sequential([Input((8, 8, 1), name="image"), *convolutions])
