"""How near the taps of each kind of model are to what Keras computes eagerly: a table in docs/how-to/models.md.

Tests of these kinds hold each to its row (`within`). Run as a script, it compares all of them and writes the table.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import kinds_of_models
from graph_models import traced
from keras_2_values import opened, relative_errors_to_keras_2

from eager_reference import relative_errors

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "models.md"
TABLE = re.compile(r"(?<=<!-- kinds of models -->\n).*?(?=<!-- /kinds of models -->)", re.DOTALL)

KERAS_3 = {
    "masked_recurrence": "LSTM, GRU, SimpleRNN, Bidirectional and TimeDistributed over words, some of them padding",
    "masked_attention": "MultiHeadAttention, GroupQueryAttention, Attention and AdditiveAttention over such words",
    "recurrence_given_a_state": "an LSTM that begins with the state of another",
    "unrolled_recurrence": "a GRU that is unrolled",
    "recurrence_over_images": "ConvLSTM2D, with any number of steps",
    "vision_transformer": "a vision transformer with a class token and attention scores",
    "channels_first": "convolutions, pooling and normalization with `channels_first`",
    "channels_first_of_other_ranks": "the same with one and three axes of places",
    "integers": "inputs of bytes, booleans and whole numbers",
    "nests_of_inputs": "inputs and outputs in lists and dictionaries",
    "models_in_models": "models in models, three deep, called several times",
    "shared_with_several_outputs": "a shared layer with several outputs",
    "plain_operations": "operations of `keras.ops` between layers",
    "images_mixed": "a layer that mixes the images of a batch",
    "images_mixed_out_of_sight": "the same inside of one layer",
    "time_first": "a layer that works with time before the batch",
    "three_in_front": "queries, keys and values in one tensor",
    "windows_in_the_batch": "windows of an image as rows of the batch",
    "four_bits": "Dense and Embedding quantized to int4",
    "eight_bits": "Dense, EinsumDense and Embedding quantized to int8",
}
"""The kinds in `kinds_of_models`, in words."""

KERAS_2 = {
    "steps": "LSTM, GRU, SimpleRNN, Bidirectional, TimeDistributed and SpatialDropout, with `hard_sigmoid`",
    "videos": "ConvLSTM2D and Conv3D, with `hard_sigmoid`",
    "images": "SeparableConv2D, nested models of both kinds, BatchNormalization with `training=True`, functions of TensorFlow",
    "chain": "a functional model in a sequential one, names with slashes",
    "words": "Embedding and Concatenate with masks",
    "mixed": "mixed precision",
    "cudnn": "CuDNNLSTM and CuDNNGRU",
    "attended": "Attention, AdditiveAttention and MultiHeadAttention",
    "pictures": "Rescaling, Resizing, CenterCrop, random flips and rotations, noise, DepthwiseConv2D, Conv2DTranspose",
    "stateful": "a recurrent layer that keeps its state between batches of two",
}
"""The models in `keras_2_models`, in words."""


def within(name):
    """The largest difference that the page allows a kind of model, as a part of the largest magnitude of a layer."""
    label = {**KERAS_3, **KERAS_2}[name]
    row = next(
        line for line in TABLE.search(PAGE.read_text("utf-8"))[0].splitlines() if f"| {label} |" in line
    )
    return float(row.split("|")[-2])


def page_lines():
    yield "| kind | written by | at most |"
    yield "|---|---|---|"
    for name, label in KERAS_3.items():
        keras.utils.set_random_seed(1)
        model, inputs = getattr(kinds_of_models, name)()
        yield f"| {label} | Keras 3 | {bound(name, relative_errors(traced(model), inputs))} |"
    with tempfile.TemporaryDirectory() as folder:
        program = Path(__file__).parent / "keras_2_models.py"
        subprocess.run([sys.executable, "-W", "ignore", program, folder], check=True)
        for name, label in KERAS_2.items():
            errors = relative_errors_to_keras_2(opened(Path(folder) / f"{name}.h5"), Path(folder), name)
            yield f"| {label} | Keras 2 | {bound(name, errors)} |"


def bound(name, errors):
    """The power of ten above the largest. Processors round differently, so that no less is promised than half precision has."""
    smallest = "1e-3" if name == "mixed" else "1e-5"
    return next(text for text in (smallest, "1e-4", "1e-3", "1e-2") if max(errors.values()) <= float(text))


if __name__ == "__main__":
    text = "\n".join(page_lines()) + "\n"
    PAGE.write_text(TABLE.sub(lambda _: text, PAGE.read_text("utf-8")), "utf-8")
