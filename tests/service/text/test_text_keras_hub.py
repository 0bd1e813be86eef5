"""BERT and GPT-2 of keras-hub by raw text: the tokens, and the values of layers, against Keras on the ids of `tokenizers`."""

import json

import hub_models
import keras
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from layerscope.execution.inputs import ANY_INPUT, TextSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine

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


@pytest.mark.soak
@pytest.mark.parametrize(
    ("name", "make", "output"), [("bert", word_pieces, "sequence_output"), ("gpt2", bytes_of_words, None)]
)
def test_a_text_gives_what_keras_gives_for_its_ids(tmp_path, name, make, output):
    folder = tmp_path / name / "1"
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(1)
    model = hub_models.MODELS[name]()
    model.save(folder / "model.keras")
    tokenizer = make()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "hub.py").write_text("import keras_hub\n")
    declared = {"file": "tokenizer.json", "length": "longest", "truncation": "post"}
    (folder / "layerscope.json").write_text(json.dumps({"plugins": ["hub.py"], "tokenizer": declared}))
    engine = LocalEngine(tmp_path)
    engine.load_all()
    try:

        def run(*texts):
            return engine.run(
                Query(
                    model=name,
                    sources={ANY_INPUT: [TextSource(text) for text in texts]},
                    layers=["outputs", "token_ids"],
                )
            ).activations

        together = run(*TEXTS)
        wanted = tokenizer.encode_batch(TEXTS)
        length = max(len(each.ids) for each in wanted)
        for found, expected, text in zip(together.tokens, wanted, TEXTS, strict=True):
            kept = found[: len(expected.ids)]
            assert [token.text for token in kept] == expected.tokens
            assert [(token.start, token.end) for token in kept if token.start is not None] == [
                place
                for place, special in zip(expected.offsets, expected.special_tokens_mask, strict=True)
                if not special
            ]
            assert all(token.end <= len(text) for token in kept if token.end is not None)
            assert len(found) == length
        ids = together["token_ids"].values
        mask = np.array([[1] * len(each.ids) + [0] * (length - len(each.ids)) for each in wanted])
        inputs = {"token_ids": ids, "padding_mask": mask, "segment_ids": np.zeros_like(ids)}
        eager = model({each.name: keras.ops.cast(inputs[each.name], "int32") for each in model.inputs})
        eager = eager[output].numpy() if output else eager.numpy()
        values = next(each.values for each in together.values() if each.values.shape == eager.shape)
        np.testing.assert_allclose(values, eager, rtol=1e-4, atol=1e-5)
        for number, text in enumerate(TEXTS):
            alone = next(
                each.values for each in run(text).values() if each.values.shape[2:] == eager.shape[2:]
            )
            np.testing.assert_allclose(alone[0], values[number, : alone.shape[1]], rtol=1e-4, atol=1e-5)
    finally:
        engine.close()
