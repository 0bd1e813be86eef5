"""Models with a tokenizer: which are opened, which are refused, and with what reason."""

import json

import keras
import pytest
import tensorflow as tf

from layerscope.errors import ModelRefused
from layerscope.graph.loading.prepare import prepare
from layerscope.models.directory import find_models
from layerscope.models.manifest import Manifest
from layerscope.models.text_layers import without_text_layer


def opened(folder, model=None, declaration=None, **files):
    """The tokenizer of a model with a declaration and files beside it."""
    version = folder / "m" / "1"
    version.mkdir(parents=True)
    if model is None:
        model = keras.Sequential([keras.Input((32,), dtype="int32"), keras.layers.Embedding(9, 2)])
    model.save(version / "model.keras")
    if declaration is not None:
        (version / "layerscope.json").write_text(json.dumps({"tokenizer": declaration}))
    for name, content in files.items():
        (version / f"{name}.json").write_bytes(content)
    (source,) = find_models(folder)
    return prepare(source).metadata


def of_texts(layer, *, shape=(1,)):
    text = keras.Input(shape, dtype="string", name="text")
    return keras.Model(text, keras.layers.Embedding(9, 2, name="embedding")(layer(text)))


def test_another_tokenizer_file_is_another_model(tmp_path):
    words = {"file": "words.json"}
    first, second = (
        opened(tmp_path / str(number), None, words, words=json.dumps({"the": number}).encode()).digest
        for number in (1, 2)
    )
    assert first != second


@pytest.mark.parametrize(
    ("declaration", "files", "message"),
    [
        ({}, {}, "must name the file of the tokenizer"),
        ({"file": "other.json"}, {}, "there is no file 'other.json' beside it"),
        ({"file": "../words.json"}, {}, "there is no file"),
        ({"file": "words.json"}, {"words": b"{"}, "must be JSON in UTF-8"),
        ({"file": "words.json"}, {"words": b"[" * 100_000}, "must be JSON in UTF-8"),
        ({"file": "words.json"}, {"words": b'{"a": 1}' + b" " * (16 << 20)}, "no longer than 16 MiB"),
        ({"file": "words.json"}, {"words": b'{"model": {}}'}, "cannot read the file"),
        ({"file": "words.json", "length": 9}, {"words": b'{"a": 1}'}, "length 9, and the model takes 32"),
        ({"file": "words.json", "inputs": {"x": "ids"}}, {"words": b'{"a": 1}'}, "declared for input 'x'"),
        ({"file": "words.json", "side": "left"}, {"words": b'{"a": 1}'}, "Extra inputs are not permitted"),
    ],
)
def test_a_tokenizer_that_cannot_be_used_is_refused_with_its_model(tmp_path, declaration, files, message):
    with pytest.raises(ModelRefused, match=message):
        opened(tmp_path, None, declaration, **files)


def test_a_lookup_splits_at_spaces_or_takes_the_whole_text(tmp_path):
    lookup = keras.layers.StringLookup(vocabulary=["red", "light green"])
    several = opened(tmp_path / "several", of_texts(lookup, shape=(None,))).tokenizer
    assert [each.id for each in several.vocabulary.tokens("red blue red")] == [1, 0, 1]
    one = opened(tmp_path / "one", of_texts(lookup)).tokenizer
    assert [each.id for each in one.vocabulary.tokens("light green")] == [2]


def test_a_sequential_model_with_a_text_layer_is_opened(tmp_path):
    layer = keras.layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=3)
    model = keras.Sequential([keras.Input((), dtype="string"), layer, keras.layers.Embedding(4, 2)])
    found = opened(tmp_path, model)
    assert (found.inputs[0].shape, found.inputs[0].dtype) == ((3,), "int64")
    assert [each.id for each in found.tokenizer.vocabulary.tokens("a, c B")] == [2, 1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"output_mode": "multi_hot"}, "counts words"), ({"split": tf.strings.split}, "code of its own")],
)
def test_text_layers_that_give_no_ids_are_refused(options, message):
    layer = keras.layers.TextVectorization(vocabulary=["a"], **options)
    text = keras.Input((1,), dtype="string")
    with pytest.raises(ModelRefused, match=message):
        without_text_layer(keras.Model(text, layer(text)))


def test_an_upload_declares_no_tokenizer():
    with pytest.raises(ModelRefused, match="Only an operator can declare tokenizer"):
        Manifest.of_untrusted('{"tokenizer": {"file": "words.json"}}')
