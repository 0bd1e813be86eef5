"""Models of text: the one that ships, one with its vocabulary in a layer, and one with three inputs, as BERT has them."""

import json
import shutil
from pathlib import Path

import keras

from layerscope.demo import TEXT_MODEL

WORDS = ["the", "film", "good"]
IDS = {"the": 1, "film": 2, "good": 3, "bad": 4}


def write_text_models(folder: Path) -> dict[str, keras.Model]:
    """Write `sentences`, `words` and `segments` into a folder of models; the last two by name."""
    shutil.copytree(TEXT_MODEL, folder / "sentences" / "1")
    models = {"words": words(), "segments": segments()}
    for name, model in models.items():
        (folder / name / "1").mkdir(parents=True)
        model.save(folder / name / "1" / "model.keras")
    (folder / "segments" / "1" / "words.json").write_text(json.dumps(IDS))
    declaration = {"tokenizer": {"file": "words.json", "padding": "post", "oov_id": 5}}
    (folder / "segments" / "1" / "layerscope.json").write_text(json.dumps(declaration))
    return models


def words() -> keras.Model:
    """Takes texts: its first layer splits them and looks their words up."""
    text = keras.Input((1,), dtype="string", name="text")
    ids = keras.layers.TextVectorization(vocabulary=WORDS, name="vectorize")(text)
    x = keras.layers.Embedding(8, 4, mask_zero=True, name="embedding")(ids)
    return keras.Model(text, keras.layers.Dense(2, name="out")(keras.layers.GlobalAveragePooling1D()(x)))


def segments() -> keras.Model:
    """Takes ids, a mask and segments."""
    names = ("token_ids", "padding_mask", "segment_ids")
    ids, mask, segment = (keras.Input((6,), dtype="int32", name=name) for name in names)
    x = keras.layers.Embedding(8, 4, name="words")(ids)
    x = keras.layers.Add(name="sum")([x, keras.layers.Embedding(2, 4, name="segments")(segment)])
    kept = keras.ops.cast(keras.ops.expand_dims(mask, -1), "float32")
    return keras.Model([ids, mask, segment], keras.layers.Multiply(name="kept")([x, kept]))
