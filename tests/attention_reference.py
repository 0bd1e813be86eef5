"""Attention scores as Keras gives them for `return_attention_scores=True`, of every layer of attention in a model."""

from contextlib import ExitStack, contextmanager

import keras
import numpy as np


def scores_of_keras(model, inputs):
    """What every attention layer gives beside its output, by the address of the tap."""
    found = {}
    with ExitStack() as stack:
        for path, layer in attention_layers(model):
            stack.enter_context(asked_for_scores(layer, f"{path}@scores", found))
        model(inputs, training=False)
    return found


def attention_layers(model, path=""):
    """The layers that are named as Keras names those of attention, and where they are."""
    for layer in model._flatten_layers(include_self=False, recursive=False):
        own = f"{path}{layer.name}"
        if "Attention" in type(layer).__name__:
            yield own, layer
        else:
            yield from attention_layers(layer, f"{own}/")


@contextmanager
def asked_for_scores(layer, address, found):
    """The layer is called once more, as Keras attends to nothing in another way where it is asked for scores."""
    original = layer.call

    def call(*args, **kwargs):
        # The layer takes away the masks of what it is called with.
        masks = [(each, getattr(each, "_keras_mask", None)) for each in keras.tree.flatten((args, kwargs))]
        _, scores = original(*args, **{**kwargs, "return_attention_scores": True})
        found[address] = np.asarray(scores)
        for tensor, mask in masks:
            if mask is not None:
                tensor._keras_mask = mask
        return original(*args, **kwargs)

    # Past Keras' own __setattr__, which keeps track of what belongs to a layer.
    vars(layer)["call"] = call
    try:
        yield
    finally:
        del vars(layer)["call"]
