"""Train the text classifier that ships with Layerscope, and write it with its tokenizer.

    python examples/train_text_model.py [FOLDER]

The data are the sentences of Python's own documentation, which is part of Python (`pydoc_data.topics`, PSF licence). The model
tells what a sentence is about: numbers, strings, classes or control flow. Every tenth sentence is held out: it is never trained
on, and gives the accuracy that is printed.

It takes less than a minute on two cores. FOLDER is the root the files are written under; by default this repository, whose files
are replaced.
"""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from train_demo_model import make_portable

REPOSITORY = Path(__file__).resolve().parents[1]
FOLDER = Path("service", "layerscope", "demo", "text_model")
SUBJECTS = {
    "numbers": [
        "numbers",
        "integers",
        "floating",
        "imaginary",
        "numeric-types",
        "bitwise",
        "binary",
        "shifting",
        "power",
        "typesnumeric",
    ],
    "strings": ["strings", "string-methods", "formatstrings"],
    "classes": [
        "class",
        "customization",
        "attribute-access",
        "id-classes",
        "types",
        "specialattrs",
        "typesmethods",
    ],
    "control flow": [
        "if",
        "while",
        "for",
        "try",
        "with",
        "break",
        "continue",
        "raise",
        "return",
        "exceptions",
        "context-managers",
        "async",
        "yield",
    ],
}
"""The topics of Python's documentation that each class is trained on."""

VOCABULARY = 1_500
LENGTH = 32
WIDTH = 32
HEADS = 2
BLOCKS = 2
SEED = 1
EPOCHS = 30
BATCH_SIZE = 64
LEARNING_RATE = 2e-3
LEAST_ACCURACY = 0.7


def main() -> None:
    """Read, train, measure and write."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY
    sentences, labels = read()
    tokenizer = train_tokenizer(sentences)
    ids = np.array([each.ids for each in tokenizer.encode_batch(sentences)], np.int32)
    is_held_out = np.arange(len(ids)) % 10 == 0
    model = build(tokenizer.get_vocab_size())
    train(model, ids[~is_held_out], labels[~is_held_out])
    found = model.predict(ids[is_held_out], verbose=0).argmax(axis=1)
    accuracy = float(np.mean(found == labels[is_held_out]))
    print(f"{accuracy:.1%} of {is_held_out.sum()} held-out sentences, {model.count_params():,} parameters")
    if accuracy < LEAST_ACCURACY:
        sys.exit(f"Nothing was written: the accuracy is below {LEAST_ACCURACY:.0%}.")
    write(model, tokenizer, root / FOLDER)


def read() -> tuple[list[str], NDArray[np.int32]]:
    """The sentences, each once, and the number of the subject of each."""
    found: dict[str, int] = {}
    for number, names in enumerate(SUBJECTS.values()):
        for name in names:
            for sentence in sentences_of(topics.get(name, "")):
                found.setdefault(sentence, number)
    every = sorted(found)
    np.random.default_rng(SEED).shuffle(every)
    return every, np.array([found[sentence] for sentence in every], np.int32)


def sentences_of(text: str) -> Iterator[str]:
    """The sentences of prose: at least four words, and no code."""
    prose = (
        part for part in text.split("\n\n") if not re.search(r"^   |::=|>>>|\*\*\*|===", part, re.MULTILINE)
    )
    for part in prose:
        for sentence in re.split(r"(?<=[.;:])\s+", " ".join(part.split())):
            if len(sentence.split()) >= 4:
                yield sentence


def train_tokenizer(sentences: list[str]) -> Tokenizer:
    """Pieces of words, as BERT has them, in texts that are cut or padded to one length."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 (no password)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train_from_iterator(
        sentences,
        trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(each, tokenizer.token_to_id(each)) for each in special[2:]]
    )
    tokenizer.enable_truncation(LENGTH)
    tokenizer.enable_padding(length=LENGTH)
    return tokenizer


def build(vocabulary: int) -> keras.Model:
    """The network, untrained: embeddings of words and places, two blocks of attention, and the mean of the tokens."""
    keras.utils.set_random_seed(SEED)
    tokens = keras.Input((LENGTH,), dtype="int32", name="tokens")
    # Places count from 1, and padding has place 0: both embeddings give the same mask.
    is_token = ops.cast(ops.not_equal(tokens, 0), "int32")
    places = ops.multiply(ops.cumsum(ops.ones_like(tokens), axis=1), is_token)
    words = layers.Embedding(vocabulary, WIDTH, mask_zero=True, name="words")(tokens)
    order = layers.Embedding(LENGTH + 1, WIDTH, mask_zero=True, name="places")(places)
    x = layers.Add(name="embedding")([words, order])
    for number in range(1, BLOCKS + 1):
        attended = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, dropout=0.2, name=f"attention{number}")(
            x, x
        )
        x = layers.LayerNormalization(name=f"norm{number}a")(layers.Add(name=f"add{number}a")([x, attended]))
        hidden = layers.Dense(2 * WIDTH, activation="relu", name=f"hidden{number}")(x)
        hidden = layers.Dropout(0.2, name=f"dropout{number}")(hidden)
        hidden = layers.Dense(WIDTH, name=f"mlp{number}")(hidden)
        x = layers.LayerNormalization(name=f"norm{number}b")(layers.Add(name=f"add{number}b")([x, hidden]))
    x = layers.GlobalAveragePooling1D(name="sentence")(x)
    probabilities = layers.Dense(len(SUBJECTS), activation="softmax", name="probabilities")(x)
    return keras.Model(tokens, probabilities, name="sentences")


def train(model: keras.Model, ids: NDArray[np.int32], labels: NDArray[np.int32]) -> None:
    """Fit the weights of `model`, which itself stays uncompiled and so is saved without optimizer state."""
    tf.config.experimental.enable_op_determinism()
    steps = EPOCHS * -(-len(labels) // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    trainee = keras.Model(model.inputs, model.outputs)
    trainee.compile(
        keras.optimizers.AdamW(schedule, weight_decay=0.05),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    counts = np.bincount(labels)
    weights = {number: len(labels) / len(counts) / count for number, count in enumerate(counts)}
    trainee.fit(ids, labels, batch_size=BATCH_SIZE, epochs=EPOCHS, verbose=2, class_weight=weights)


def write(model: keras.Model, tokenizer: Tokenizer, folder: Path) -> None:
    """Write the model version as a model directory holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "model.keras")
    make_portable(folder / "model.keras")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    declaration = {"tokenizer": {"file": "tokenizer.json"}, "classes": list(SUBJECTS)}
    (folder / "layerscope.json").write_text(json.dumps(declaration, indent=2) + "\n")


if __name__ == "__main__":
    main()
