"""Refusals of models whose trace fails, or would not compute what the model is."""

import logging
from collections.abc import Collection
from typing import Any

from layerscope.errors import ModelRefused
from layerscope.graph.taps.addresses import encode_path
from layerscope.graph.tracing.call_recorder import Call
from layerscope.graph.tracing.signature import Signature
from layerscope.models.manifest import FILE_NAME

logger = logging.getLogger(__name__)


def cannot_run(signature: Signature, failed: Call | None, error: Exception) -> ModelRefused:
    """The refusal of a model that raised an error when it was called on tensors of its signature.

    Args:
        signature: what it was called on.
        failed: the innermost call that failed, as far as one was recorded.
        error: what was raised.
    """
    where = "The model"
    if failed is not None and failed.path:
        where = f"Layer {encode_path(failed.path)!r} ({type(failed.operation).__name__})"
    shapes = [list(each.shape) for each in signature.inputs]
    may_be_fixed = signature.batch_size is not None and not signature.is_batch_fixed
    level = logging.INFO if may_be_fixed else logging.WARNING
    logger.log(level, "%s cannot be traced on inputs of shape %s: %s", where, shapes, error)
    if "as a Python `bool`" in str(error):
        return ModelRefused(
            f"{where} decides in Python by the value of a tensor, such as in `if x > 0`, which no graph can follow: write"
            " it with keras.ops.cond or keras.ops.where, or save the parts of the model before and behind it as models of their own.",
            shapes=shapes,
            cause=type(error).__name__,
        )
    open_one = next((each for each in signature.inputs if None in each.shape), None)
    advice = "call the model on such inputs where it was made"
    if open_one is not None:
        sized = [8 if size is None else size for size in open_one.shape]
        advice = (
            f"if its code needs a certain size, declare it in {FILE_NAME}, such as"
            f' "shapes": {{"{open_one.name}": {sized}}}; otherwise {advice}'
        )
    return ModelRefused(
        f"{where} cannot be run on inputs of shape {', '.join(map(str, shapes))}, which the model says it takes:"
        f" {type(error).__name__}, see the log; {advice}.",
        shapes=shapes,
        cause=type(error).__name__,
    )


def require_weights(model: Any, known: Collection[int]) -> None:
    """Check that no layer made its weights while the model was traced: the file has none for it, they are random.

    Args:
        model: the Keras model.
        known: the identities of its weights before.

    Raises:
        ModelRefused: one did.
    """
    made = next((weight for weight in model.weights if id(weight) not in known), None)
    if made is not None:
        # A variable of Keras 2 has its path as its name.
        layer = getattr(made, "path", made.name).rpartition("/")[0]
        raise ModelRefused(
            f"The file has no weights for layer {layer!r}: it was saved before the model was called on data. Call it on data,"
            " train it, and save it again.",
            layer=layer,
        )
