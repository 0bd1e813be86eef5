"""Texts as tokens: what each kind of vocabulary makes of them, against Keras and the package `tokenizers`."""

import json
import pickle

import keras
import numpy as np
import pytest
import tf_keras
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from layerscope.errors import InputMismatch, ModelRefused, TextTooLong, TextUnreadable
from layerscope.limits import Limits
from layerscope.text import Tokenizer, TokenizerDeclaration, decoded, encoded, kind_of
from layerscope.text.vectorization import Vectorization
from layerscope.text.word_index import WordIndex

WORDS = ["the", "a", "film", "was", "good", "bad", "don't", "straße", "über", "好", "😀", "of", "in", "it"]
TEXTS = st.text(
    # A greek word ends in another letter, whose lower case depends on its place.
    st.one_of(
        st.sampled_from(" \t\n.,!?'-_ABCé好😀\u200f\u05d0İ\u03a3\u017f\x1c\u2003"),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
) | st.lists(st.sampled_from([*WORDS, "The", "FILM!", "(good)", "don't,"])).map(" ".join)
NOTHING = TokenizerDeclaration()


def of_words(takes=None, **declared):
    """A tokenizer of ids by word for an input of a length, or of any."""
    content = json.dumps({word: number for number, word in enumerate(WORDS, 1)})
    return Tokenizer.of("word_index", content, TokenizerDeclaration(**declared), {"ids": (takes,)})


def ids(tokenizer, *texts, **limits):
    return [found.arrays["ids"].tolist() for found in tokenizer.tokenize(texts, Limits(**limits))]


@pytest.fixture(scope="module", params=["default", "characters", "phrases", "as_it_is"])
def layer(request):
    """A text layer of Keras, and the vocabulary that is to do the same."""
    options = {
        "default": {},
        "characters": {"split": "character", "standardize": "lower"},
        "phrases": {"ngrams": 2},
        "as_it_is": {"standardize": None},
    }[request.param]
    made = keras.layers.TextVectorization(vocabulary=[*WORDS, "the film", "f", "i"], **options)
    config = made.get_config()
    return made, Vectorization(
        words=tuple(made.get_vocabulary()),
        oov_id=1,
        lower=config["standardize"] in {"lower", "lower_and_strip_punctuation"},
        strip=config["standardize"] == "lower_and_strip_punctuation",
        split=config["split"],
        ngrams=(1, 2) if config["ngrams"] == 2 or config["ngrams"] == (1, 2) else (1,),
    )


@settings(max_examples=50)
@given(text=TEXTS)
def test_a_text_layer_is_followed_exactly(layer, text):
    made, vocabulary = layer
    wanted = made(np.array([text], object)).numpy()[0].tolist()
    tokens = vocabulary.tokens(text)
    assert [token.id for token in tokens] == wanted
    for token in tokens:
        assert 0 <= token.start < token.end <= len(text)
        if token.id != vocabulary.oov_id and vocabulary.split == "whitespace":
            kept = "".join(
                each for each in text[token.start : token.end].lower() if each.isalnum() or each > "~"
            )
            assert (
                kept == "".join(each for each in token.text if each.isalnum() or each > "~")
                or " " in token.text
            )


@settings(max_examples=50)
@given(text=TEXTS)
@pytest.mark.parametrize(
    "options", [{}, {"num_words": 6, "oov_token": "<OOV>"}, {"char_level": True}, {"lower": False}]
)
def test_a_tokenizer_of_keras_2_is_followed_exactly(options, text):
    old = tf_keras.preprocessing.text.Tokenizer(**options)
    old.fit_on_texts(["the film was good", "the bad film", "don't über ß İ"])
    wanted = old.texts_to_sequences([text])[0]
    document = json.loads(old.to_json())
    tokens = WordIndex.of(document, NOTHING).tokens(text)
    assert [token.id for token in tokens] == wanted
    if "oov_token" not in options:
        assert all(token.text == text[token.start : token.end].lower() for token in tokens if text.isascii())


def test_a_plain_word_index_is_shifted_padded_and_cut_as_imdb_is():
    declared = {"index_from": 3, "start_id": 1, "oov_id": 2, "num_words": 9}
    tokenizer = of_words(6, **declared)
    short, long = tokenizer.tokenize(["A film, unseen!", "the a film was good bad of in"], Limits())
    # the is 1 + 3, a 2 + 3, film 3 + 3; ids from 9 on count as unknown
    assert short.arrays["ids"].tolist() == [0, 0, 1, 5, 6, 2]
    assert [(each.text, each.start, each.end) for each in short.tokens] == [
        ("", None, None),
        ("", None, None),
        ("[START]", None, None),
        ("a", 0, 1),
        ("film", 2, 6),
        ("[UNK]", 8, 14),
    ]
    # As pad_sequences does by default, the beginning is cut.
    assert (long.arrays["ids"].tolist(), long.left_out) == ([6, 7, 8, 2, 2, 2], 3)
    after = of_words(6, padding="post", truncation="post", **declared)
    assert ids(after, "A film, unseen!") == [[1, 5, 6, 2, 0, 0]]


def test_texts_of_different_length_are_padded_as_declared_or_refused():
    texts = ["the film", "the film was good", ""]
    assert ids(of_words(3, padding="post", truncation="post"), *texts) == [[1, 3, 0], [1, 3, 4], [0, 0, 0]]
    assert ids(of_words(length="longest"), *texts) == [[0, 0, 1, 3], [1, 3, 4, 5], [0, 0, 0, 0]]
    assert ids(of_words(length=5), "the film") == [[0, 0, 0, 1, 3]]
    assert ids(of_words(), "the film", "a good") == [[1, 3], [2, 5]]
    with pytest.raises(InputMismatch, match="declares no padding"):
        of_words().tokenize(texts[:2], Limits())
    with pytest.raises(InputMismatch, match="Text 0 has no tokens"):
        of_words().tokenize([""], Limits())
    with pytest.raises(TextTooLong, match=r"Text 1 has 4 tokens; at most 3 are taken"):
        of_words(3, truncation="none").tokenize(texts, Limits())


def test_tokens_that_are_given_as_ids_are_padded_and_named():
    tokenizer = of_words(4, padding="post")
    (found,) = tokenizer.tokenize([(3, 1)], Limits())
    assert found.arrays["ids"].tolist() == [3, 1, 0, 0]
    assert [(each.text, each.start) for each in found.tokens] == [
        ("film", None),
        ("the", None),
        ("", None),
        ("", None),
    ]
    with pytest.raises(InputMismatch, match="no token 99"):
        tokenizer.tokenize([(99,)], Limits())
    # What was chosen by id is never cut.
    with pytest.raises(TextTooLong):
        tokenizer.tokenize([(1, 1, 1, 1, 1)], Limits())


def test_texts_are_bounded_in_bytes_and_in_tokens():
    tokenizer = of_words(10)
    assert ids(tokenizer, "é" * 5, text_bytes=10)
    with pytest.raises(TextTooLong, match="12 bytes in UTF-8; one request may have 10"):
        tokenizer.tokenize(["é" * 5, "ab"], Limits(text_bytes=10))
    with pytest.raises(TextTooLong, match="20 tokens with padding; at most 19"):
        tokenizer.tokenize(["a", "a"], Limits(text_tokens=19))


def test_several_inputs_take_ids_mask_and_segments():
    inputs = {"token_ids": (4,), "padding_mask": (4,), "segment_ids": (4,)}
    content = json.dumps({"the": 1, "film": 2})
    tokenizer = Tokenizer.of("word_index", content, TokenizerDeclaration(padding="post"), inputs)
    (found,) = tokenizer.tokenize(["the film"], Limits())
    assert {name: each.tolist() for name, each in found.arrays.items()} == {
        "token_ids": [1, 2, 0, 0],
        "padding_mask": [1, 1, 0, 0],
        "segment_ids": [0, 0, 0, 0],
    }
    before = Tokenizer.of("word_index", content, NOTHING, inputs)
    assert before.tokenize(["the film"], Limits())[0].arrays["padding_mask"].tolist() == [0, 0, 1, 1]
    with pytest.raises(ModelRefused, match="inputs other take is not known"):
        Tokenizer.of("word_index", content, NOTHING, {"token_ids": (4,), "other": (4,)})
    with pytest.raises(ModelRefused, match="vectors of one length"):
        Tokenizer.of("word_index", content, NOTHING, {"token_ids": (4, 3)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], "must be a JSON object"),
        ({}, "must be a JSON object of ids by word"),
        ({"the": "one"}, "must be a JSON object of ids by word"),
        ({"the": -1}, "must be a JSON object of ids by word"),
        ({"class_name": "Tokenizer", "config": {}}, "not as Keras 2 wrote it"),
        (
            {"class_name": "Tokenizer", "config": {"word_index": "{", "oov_token": None}},
            "not as Keras 2 wrote it",
        ),
        ({"model": {"type": "Evil"}}, "cannot read the file"),
    ],
)
def test_files_that_are_no_tokenizers_are_refused(content, message):
    with pytest.raises(ModelRefused, match=message):
        Tokenizer.of(kind_of(content), json.dumps(content), NOTHING, {"ids": (4,)})


def test_a_pattern_that_never_ends_is_given_up():
    bomb = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))  # noqa: S106
    bomb.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex("(a+)+$"), "isolated")
    tokenizer = Tokenizer.of("tokenizers", bomb.to_str(), NOTHING, {"ids": (4,)})
    with pytest.raises(TextUnreadable, match="cannot split the text"):
        tokenizer.tokenize(["a" * 1_000 + "b"], Limits())


def test_a_tokenizer_is_data_that_can_be_sent_to_another_process():
    tokenizer = of_words(4)
    tokenizer.tokenize(["the film"], Limits())
    sent = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301
    assert sent == tokenizer
    assert ids(sent, "the film") == [[0, 0, 1, 3]]


@given(text=TEXTS | st.lists(st.integers(0, 2**31 - 1)).map(tuple))
def test_texts_and_ids_come_back_from_their_bytes(text):
    assert decoded(encoded(text)) == text
