"""Results whose size is a number in the input of a model: they are found in the graph, and uploads with them refused."""

import keras
import pytest
from graph_models import gru_model, nested_model, residual_model
from keras import layers, ops

from layerscope.graph.analysis.data_sizes import data_sized_nodes
from layerscope.graph.tracing.signature import signature_of
from layerscope.graph.tracing.trace import trace


def found(model):
    return ["/".join(node.path) for node in data_sized_nodes(trace(model, signature_of(model)).graph_def)]


def numbers(size=6):
    return keras.Input((size,), dtype="int32", name="numbers")


class Repeated(layers.Layer):
    """As many ones as the first number says."""

    def call(self, values):
        return ops.expand_dims(ops.cast(ops.arange(values[0, 0]), "float32"), 0)


class Stepped(layers.Layer):
    """A table whose size comes out of a loop."""

    def call(self, values):
        def step(number, size):
            return number + 1, size + values[0, 0]

        _, size = ops.while_loop(lambda number, _: number < 3, step, (0, 0))
        return ops.expand_dims(ops.cast(ops.arange(size), "float32"), 0)


def bins(**options):
    start = numbers()
    return keras.Model(start, ops.bincount(start, **options))


def built(layer):
    start = numbers()
    return keras.Model(start, layer(start))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (bins, "Bincount"),
        (lambda: bins(minlength=9), "Bincount"),
        (lambda: built(Repeated()), "range"),
        (lambda: built(Stepped()), "range"),
    ],
    ids=["bins", "at least nine bins", "range", "range behind a loop"],
)
def test_a_size_that_is_a_number_in_the_input_is_found(make, word):
    names = found(make())
    assert names
    assert all(word.lower() in name.lower() for name in names)


@pytest.mark.parametrize(
    "make",
    [
        gru_model,
        nested_model,
        residual_model,
        lambda: built(layers.CategoryEncoding(5, output_mode="multi_hot")),
        lambda: built(layers.CategoryEncoding(5, output_mode="one_hot")),
        lambda: built(layers.Embedding(9, 4, mask_zero=True)),
        lambda: keras.Model(start := keras.Input((None, None, 3)), layers.Conv2DTranspose(2, 3)(start)),
    ],
)
def test_sizes_that_depend_on_shapes_or_constants_are_not(make):
    assert found(make()) == []
