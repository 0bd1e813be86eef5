"""Attributions a token, against `GradientTape` by the vectors of the tokens, and against covered tokens."""

import json
import re
from pydoc_data.topics import topics

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from layerscope.attribution import METHODS
from layerscope.errors import NotDifferentiable, OptionInvalid
from layerscope.execution.inputs import TensorSource, TextSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from saved_models import engine_over, save_models

WORDS = np.array([[3, 1, 4, 1, 5, 0, 0], [2, 7, 1, 8, 2, 8, 1]], np.int32)
FEW = 5
OPTIONS = {"smoothgrad": {"samples": FEW}, "integrated-gradients": {"steps": FEW}}


def attended(relu="relu"):
    """Words of which zeros are padding, with attention."""
    start = keras.Input((7,), dtype="int32", name="words")
    hidden = layers.Embedding(9, 4, mask_zero=True, name="embedded")(start)
    hidden = layers.MultiHeadAttention(2, 3, name="attention")(hidden, hidden)
    hidden = layers.Dense(5, activation=relu, name="mixed")(hidden)
    return keras.Model(
        start, layers.Dense(3, name="kind")(layers.GlobalAveragePooling1D(name="pool")(hidden))
    )


def likely(relu=None):
    """Words of any number, recurrence, and a softmax."""
    start = keras.Input((None,), dtype="int32", name="words")
    hidden = layers.LSTM(5, name="steps")(layers.Embedding(9, 4, name="embedded")(start))
    return keras.Model(start, layers.Dense(3, activation="softmax", name="kind")(hidden))


def twice(relu=None):
    """Words that two layers embed."""
    start = keras.Input((7,), dtype="int32", name="words")
    both = [layers.Embedding(9, 4, name=name)(start) for name in ("first", "second")]
    return keras.Model(
        start, layers.Dense(3, name="kind")(layers.Flatten(name="flat")(layers.Add(name="sum")(both)))
    )


MODELS = {each.__name__: each for each in (attended, likely, twice)}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sentences")
    keras.utils.set_random_seed(5)
    models = {name: make() for name, make in MODELS.items()}
    save_models(directory, models)
    with engine_over(directory) as engine:
        yield engine, models


def explained(engine, name, method, **options):
    if METHODS[method].has_target:
        options["target"] = "1"
    query = Query(
        model=name,
        sources={"words": [TensorSource(WORDS)]},
        methods={method: METHODS[method].options(**options)},
    )
    return engine.run(query).attribution(method)


class Reference:
    """Every method from its paper, by the vectors of the tokens. What is behind these runs with the masks of the words."""

    def __init__(self, model):
        embedding = model.get_layer("embedded")
        self.model, self.vectors = model, embedding(WORDS).numpy()
        self.embedding = embedding

    def scores(self, vectors, row):
        """The logits of class 1 if one text had these vectors, (versions, tokens, features)."""
        words = tf.repeat(WORDS[row : row + 1], len(vectors), 0)
        original = self.embedding.call
        vars(self.embedding)["call"] = lambda _: vectors
        try:
            if self.model.layers[-1].activation is keras.activations.softmax:
                logits = keras.Model(self.model.input, self.model.layers[-1].input)(words, training=False)
                return (logits @ self.model.layers[-1].kernel + self.model.layers[-1].bias)[:, 1]
            return self.model(words, training=False)[:, 1]
        finally:
            vars(self.embedding)["call"] = original

    def slopes(self, vectors, row):
        with tf.GradientTape() as tape:
            given = tf.constant(vectors)
            tape.watch(given)
            score = self.scores(given, row)
        return tape.gradient(score, given).numpy().astype(np.float64)

    def each_text(self, explain):
        return np.stack([explain(self.vectors[row], row) for row in range(len(WORDS))])

    def saliency(self):
        return self.each_text(lambda own, row: np.linalg.norm(self.slopes(own[None], row)[0], axis=-1))

    def smoothgrad(self):
        noise = [
            np.random.default_rng((0, n)).standard_normal(self.vectors[0].shape, np.float32)
            for n in range(FEW)
        ]

        def explain(own, row):
            versions = np.stack([own + np.float32(0.15) * np.ptp(own) * each for each in noise])
            return np.linalg.norm(self.slopes(versions, row).mean(0), axis=-1)

        return self.each_text(explain)

    def integrated_gradients(self):
        def explain(own, row):
            versions = np.stack([np.float32((step + 0.5) / FEW) * own for step in range(FEW)])
            return (own * self.slopes(versions, row).mean(0)).sum(-1)

        return self.each_text(explain)

    def hirescam(self):
        """At the embedding: gradient times input."""
        return self.each_text(lambda own, row: (own * self.slopes(own[None], row)[0]).sum(-1))

    def scorecam(self):
        def explain(own, row):
            masks = [(each - each.min()) / np.ptp(each) for each in own.T]
            scores = self.scores(np.stack([own * mask[:, None] for mask in masks]), row)
            return np.maximum(own @ tf.nn.softmax(scores).numpy(), 0)

        return self.each_text(explain)


def near(found, expected):
    assert found.shape == expected.shape
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["attended", "likely"])
def test_a_number_a_token_is_that_of_the_papers(served, name):
    engine, models = served
    reference = Reference(models[name])
    for method in ("saliency", "smoothgrad", "integrated-gradients"):
        found = explained(engine, name, method, **OPTIONS.get(method, {}))
        assert found.target_layer.address == "embedded"
        assert found.axes == ("batch", "tokens")
        near(found.maps, getattr(reference, method.replace("-", "_"))())
    for method in ("hirescam", "scorecam"):
        found = explained(engine, name, method, layer="embedded")
        assert found.axes == ("batch", "tokens")
        near(found.maps, getattr(reference, method)())


def test_shares_of_tokens_sum_up_to_the_difference_to_no_vectors(served):
    engine, models = served
    reference = Reference(models["attended"])
    found = explained(engine, "attended", "integrated-gradients", steps=300)
    for row, vectors in enumerate(reference.vectors):
        ends = reference.scores(np.stack([vectors, np.zeros_like(vectors)]), row).numpy()
        assert found.maps[row].sum() == pytest.approx(ends[0] - ends[1], rel=1e-3, abs=1e-3)


def test_words_of_several_embeddings_are_refused_with_what_can_be_done(served):
    engine, _ = served
    with pytest.raises(NotDifferentiable, match=r"first, second.*hirescam.*occlusion"):
        explained(engine, "twice", "saliency")
    near_one = explained(engine, "twice", "hirescam", layer="first")
    assert near_one.maps.shape == WORDS.shape


def test_words_are_covered_one_by_one_by_the_word_that_is_named(served):
    engine, models = served
    words, model = WORDS, models["likely"]
    whole = model(words, training=False).numpy()[:, 1]
    expected = np.zeros(words.shape)
    for place in range(words.shape[1]):
        covered = words.copy()
        covered[:, place] = 0
        expected[:, place] = whole - model(covered, training=False).numpy()[:, 1]
    found = explained(engine, "likely", "occlusion", baseline="zero")
    assert (found.axes, found.target_layer.address) == (("batch", "tokens"), "words")
    near(found.maps, expected)


@pytest.mark.parametrize("baseline", [None, "mask", "grey"])
def test_what_stands_for_no_word_must_be_known(served, baseline):
    engine, _ = served
    with pytest.raises(OptionInvalid, match="use zero, the token with id 0"):
        explained(engine, "likely", "occlusion", baseline=baseline)


LENGTH = 24
PLANTED = ("marvellous", "dreadful")


def planted_sentences():
    """Sentences of Python's documentation, each with one of two words at some place, by which their class is told alone."""
    random = np.random.default_rng(3)
    prose = " ".join(
        " ".join(topics[name].split()) for name in ("attribute-access", "compound", "typesmapping")
    )
    kept = [each.lower() for each in re.split(r"[.;:]\s+", prose) if 6 <= len(each.split()) < LENGTH - 2]
    sentences, kinds = [], []
    for number, sentence in enumerate(kept):
        words = re.findall("[a-z]+", sentence)
        words.insert(int(random.integers(len(words))), PLANTED[number % 2])
        sentences.append(" ".join(words))
        kinds.append(number % 2)
    return sentences, np.array(kinds)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A classifier of such sentences with attention, and ten that it has not seen."""
    keras.utils.set_random_seed(4)
    sentences, kinds = planted_sentences()
    words = sorted({word for sentence in sentences[10:] for word in sentence.split()})
    index = {word: 2 + number for number, word in enumerate(words)}
    rows = [[index.get(word, 1) for word in sentence.split()][:LENGTH] for sentence in sentences]
    ids = np.array([[0] * (LENGTH - len(row)) + row for row in rows], np.int32)
    start = keras.Input((LENGTH,), dtype="int32", name="words")
    hidden = layers.Embedding(2 + len(words), 8, mask_zero=True, name="embedded")(start)
    hidden = layers.Add(name="add")(
        [hidden, layers.MultiHeadAttention(2, 4, name="attention")(hidden, hidden)]
    )
    pooled = layers.GlobalAveragePooling1D(name="pool")(hidden)
    model = keras.Model(start, layers.Dense(2, activation="softmax", name="kind")(pooled))
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    model.fit(ids[10:], kinds[10:], batch_size=32, epochs=12, verbose=0)
    folder = tmp_path_factory.mktemp("planted") / "planted" / "1"
    folder.mkdir(parents=True)
    keras.Model(model.inputs, model.outputs).save(folder / "model.keras")
    (folder / "words.json").write_text(json.dumps(index), "utf-8")
    declaration = {"tokenizer": {"file": "words.json", "oov_id": 1}, "classes": list(PLANTED)}
    (folder / "layerscope.json").write_text(json.dumps(declaration), "utf-8")
    engine = LocalEngine(folder.parents[1])
    engine.load_all()
    yield engine, sentences[:10], kinds[:10]
    engine.close()


@pytest.mark.parametrize("method", ["occlusion", "integrated-gradients"])
def test_the_most_important_word_is_the_planted_one(planted, method):
    engine, sentences, kinds = planted
    sources = {"image": [TextSource(each) for each in sentences]}
    query = Query(model="planted", sources=sources, methods={method: METHODS[method].options()})
    found = engine.run(query).attribution(method)
    assert [target.index for target in found.targets] == kinds.tolist()
    most = [row[place].text for row, place in zip(found.tokens, found.maps.argmax(axis=1), strict=True)]
    assert sum(word == PLANTED[kind] for word, kind in zip(most, kinds, strict=True)) >= 9
    padding = np.array([[not each.text for each in row] for row in found.tokens])
    assert padding.any()
    assert not found.maps[padding].any()
