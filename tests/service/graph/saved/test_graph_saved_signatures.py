"""The signature of a SavedModel that is served: the declared one, the default, or the only one that can be."""

import json

import numpy as np
import pytest
import tensorflow as tf
from graph_models import made_ready, noise

from layerscope.errors import ModelRefused
from layerscope.graph.loading.prepare import prepare
from layerscope.graph.saved.model import trace_saved_model
from layerscope.models.directory import ModelSource

VECTORS = tf.TensorSpec([None, 3], name="vectors")


def times(factor):
    return tf.function(lambda vectors: {"result": vectors * factor}, input_signature=[VECTORS])


def of_texts():
    spec = tf.TensorSpec([None], tf.string, name="texts")
    return tf.function(lambda texts: {"length": tf.strings.length(texts)}, input_signature=[spec])


KINDS = {
    "default": {"serving_default": times(2), "other": times(3)},
    "only": {"predict-iris": times(3)},
    "usable": {"serving_default": of_texts(), "predict-iris": times(3)},
    "several": {"first": times(2), "second": times(3)},
    "texts": {"serving_default": of_texts(), "other": of_texts()},
    "none": {},
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {}
    for kind, signatures in KINDS.items():
        made[kind], module = tmp_path_factory.mktemp(kind), tf.Module()
        module.functions = list(signatures.values())
        tf.saved_model.save(module, made[kind], signatures=signatures)
    return made


@pytest.mark.parametrize(
    ("kind", "signature", "factor"),
    [
        ("default", None, 2),
        ("default", "other", 3),
        ("only", None, 3),
        ("usable", None, 3),
        ("several", "second", 3),
    ],
)
def test_which_signature_is_served(folders, kind, signature, factor):
    made = made_ready(None, trace_saved_model(folders[kind], signature))
    np.testing.assert_allclose(made.value("result", on=[noise(2, 3)]), noise(2, 3) * factor)


@pytest.mark.parametrize(
    ("kind", "signature", "words"),
    [
        (
            "several",
            None,
            'has the signatures first, second: declare which to serve in layerscope.json, such as "signature"',
        ),
        ("several", "third", "has no signature 'third'; it has first, second."),
        ("usable", "serving_default", "Input 'texts' takes text"),
        ("texts", None, "other: Input 'texts' takes text"),
        ("none", None, "has no signature: export the model again"),
    ],
)
def test_a_signature_that_cannot_be_served(folders, kind, signature, words):
    with pytest.raises(ModelRefused) as raised:
        trace_saved_model(folders[kind], signature)
    assert words in raised.value.message


def test_the_signature_is_declared(folders):
    folder = folders["several"]
    source = ModelSource("m", 1, folder, folder, trusted=True)
    (folder / "layerscope.json").write_text(json.dumps({"signature": "second"}), "utf-8")
    assert [each.name for each in prepare(source).metadata.inputs] == ["vectors"]
    (folder / "layerscope.json").write_text(json.dumps({"shapes": {"vectors": [3]}}), "utf-8")
    with pytest.raises(ModelRefused, match="declares shapes, but a SavedModel has all its sizes"):
        prepare(source)
