"""BERT and GPT-2 of keras-hub by raw text over HTTP: tokens, every layer and every attention, against `tokenizers` and Keras."""

import json
import re
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from starlette.testclient import TestClient
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

import hub_models
from attention_reference import scores_of_keras
from eager_reference import EagerReference
from layerscope_api.context.settings import Settings
from layerscope_api.server.app import create_app

TEXTS = ["a cat 😀 sat", "the dog", "", "cats and dogs שלום"]


def word_pieces():
    """As BERT has them, with tokens at both ends."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    made.train_from_iterator(
        ["a cat sat", "the dog"], trainers.WordPieceTrainer(vocab_size=30, special_tokens=special)
    )
    ends = [("[CLS]", 2), ("[SEP]", 3)]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return made


def bytes_of_words():
    """As GPT-2 has them."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.train_from_iterator(
        ["a cat sat", "the dog"], trainers.BpeTrainer(vocab_size=30, special_tokens=["<|endoftext|>"])
    )
    made.add_special_tokens(["<|start|>"])
    ends = [("<|start|>", made.token_to_id("<|start|>"))]
    made.post_processor = processors.TemplateProcessing(single="<|start|> $A", special_tokens=ends)
    return made


@dataclass
class Asked:
    """A backbone, its tokenizer, and what the service answers to the texts."""

    model: keras.Model
    tokenizer: Tokenizer
    answer: dict
    alone: dict

    def __post_init__(self):
        self.wanted = self.tokenizer.encode_batch(TEXTS)
        self.length = max(len(each.ids) for each in self.wanted)
        self.values = {each["address"]: np.array(each["values"]) for each in self.answer["layers"]}
        self.is_token = np.array([np.arange(self.length) < len(each.ids) for each in self.wanted])

    def inputs(self):
        """The inputs of the backbone, made of the ids of `tokenizers` alone."""
        ids = np.zeros((len(TEXTS), self.length), np.int32)
        for row, each in zip(ids, self.wanted, strict=True):
            row[: len(each.ids)] = each.ids
        given = {
            "token_ids": ids,
            "padding_mask": self.is_token.astype(np.int32),
            "segment_ids": np.zeros_like(ids),
        }
        return {each.name: given[each.name] for each in self.model.inputs}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Of each backbone, with weights that are large enough for attention to prefer some tokens."""
    folder = tmp_path_factory.mktemp("models")
    made = {"bert": word_pieces(), "gpt2": bytes_of_words()}
    backbones = {name: write_model(folder, name, tokenizer) for name, tokenizer in made.items()}
    with TestClient(create_app(Settings(models=folder))) as http:

        def ask(name, texts):
            body = {"text": texts, "layers": ["all", "all@scores"]}
            answer = http.post(f"/v1/models/{name}/activations", json=body)
            assert answer.status_code == 200, answer.text
            return answer.json()

        yield {
            name: Asked(model, made[name], ask(name, TEXTS), ask(name, TEXTS[1:2]))
            for name, model in backbones.items()
        }


def write_model(folder, name, tokenizer):
    keras.utils.set_random_seed(1)
    model = hub_models.MODELS[name]()
    for weight in model.weights:
        weight.assign(weight * 20 if len(weight.shape) > 1 else weight)
    version = folder / name / "1"
    version.mkdir(parents=True)
    model.save(version / "model.keras")
    tokenizer.save(str(version / "tokenizer.json"))
    (version / "hub.py").write_text(hub_models.PLUGIN, "utf-8")
    declared = {"file": "tokenizer.json", "length": "longest", "truncation": "post"}
    (version / "layerscope.json").write_text(json.dumps({"plugins": ["hub.py"], "tokenizer": declared}))
    return model


both = pytest.mark.parametrize("name", ["bert", "gpt2"])


@both
def test_the_tokens_are_those_of_the_package(asked, name):
    answer = asked[name].answer
    for found, expected, text in zip(answer["tokens"], asked[name].wanted, TEXTS, strict=True):
        kept = found[: len(expected.ids)]
        assert [token["text"] for token in kept] == expected.tokens
        assert [token["id"] for token in kept] == expected.ids
        assert [(token["start"], token["end"]) for token in kept if token["start"] is not None] == [
            place
            for place, special in zip(expected.offsets, expected.special_tokens_mask, strict=True)
            if not special
        ]
        assert all(token["end"] <= len(text) for token in kept if token["end"] is not None)
        assert len(found) == asked[name].length


@both
def test_every_layer_is_that_of_keras_on_these_tokens(asked, name):
    expected = by_own_names(EagerReference(asked[name].model, asked[name].inputs()).values)
    found = by_own_names(asked[name].values)
    assert expected.keys() <= found.keys()
    for address, value in expected.items():
        error = np.abs(found[address] - value).max() / np.abs(value).max()
        assert error <= 1e-4, address


def by_own_names(values):
    """Outputs by addresses without the numbers that Keras gives to the nameless layers of a process."""
    outputs = {address: value for address, value in values.items() if "@" not in address}
    own = {
        re.sub(r"\b(softmax|dropout|get_item)_\d+$", r"\1", address): value
        for address, value in outputs.items()
    }
    assert len(own) == len(outputs)
    return own


@both
def test_every_attention_is_that_of_keras_on_these_tokens(asked, name):
    expected = scores_of_keras(asked[name].model, asked[name].inputs())
    found = {address: each for address, each in asked[name].values.items() if address.endswith("@scores")}
    assert found.keys() == expected.keys()
    assert len(found) == 2
    is_token = asked[name].is_token
    for address, scores in found.items():
        assert scores.shape == (len(TEXTS), 2, asked[name].length, asked[name].length)
        np.testing.assert_allclose(scores, expected[address], atol=1e-5, err_msg=address)
        np.testing.assert_allclose(scores.sum(-1), 1, atol=1e-5)
        by_key = np.moveaxis(scores, -1, 1)
        assert by_key[~is_token].max() == 0
        # Attention prefers some tokens: equal shares would be right for any text.
        assert scores[0, :, is_token[0].sum() - 1].max() > 1.5 / is_token[0].sum()


@both
def test_a_text_gives_what_it_gives_alone(asked, name):
    for each in asked[name].alone["layers"]:
        beside_others, own = asked[name].values[each["address"]][1], np.array(each["values"])[0]
        shared = beside_others[tuple(slice(size) for size in own.shape)]
        np.testing.assert_allclose(own, shared, rtol=0, atol=1e-4 * np.abs(shared).max())
