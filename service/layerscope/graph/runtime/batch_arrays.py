"""Arrays that go into a graph and come out of it: checked against their places, and given an axis of images."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]


def batch_of(inputs: Sequence[Array]) -> int:
    """How many images there are."""
    return len(inputs[0]) if inputs and inputs[0].ndim else 0


def require_batched(taps: Iterable[Tap]) -> None:
    """Check that values can be put in place of those of `taps`.

    Raises:
        InputMismatch: they cannot: there is not one for each image.
    """
    for tap in taps:
        if not tap.tensor.batched:
            mixes, same = (
                "mixes the images of a batch",
                "is a constant of the model, the same for every image",
            )
            why = mixes if tap.tensor.mixed else same
            raise InputMismatch(f"{tap.address} {why}: it cannot be replaced.", layer=tap.address)


def fitted(name: str, shape: Shape, dtype: str, array: Array, batch: int) -> Array:
    """An array in the dtype of its place, checked against that: TensorFlow does not compare them.

    Raises:
        InputMismatch: its shape is not (batch, *shape).
    """
    wanted = (batch, *shape)
    if len(wanted) != array.ndim or any(w not in {None, n} for w, n in zip(wanted, array.shape, strict=True)):
        raise InputMismatch(
            f"{name} takes shape {list(wanted)}, not {list(array.shape)}.",
            expected=list(wanted),
            got=list(array.shape),
        )
    return np.asarray(array, np.dtype(dtype))


def needs_images_apart(tap: Tap, array: Array, batch: int) -> bool:
    """Whether what came of a batch does not tell what is of which image."""
    return tap.tensor.mixed or (tap.tensor.batched and len(array) != batch)


def delivered(tap: Tap, array: Array, batch: int) -> Array:
    """Values as they are handed out: in their dtype, with an axis of images."""
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def one_image(tap: Tap, array: Array) -> Array:
    """What came of a run of one image, without the axis of images."""
    values = delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values


def fitted_weights(target: Tap, weights: Array, batch: int) -> Array:
    """How much each value of a target counts, checked against it: (batch, *target shape).

    Raises:
        InputMismatch: they do not fit. Where a layer folds other axes into the batch axis, only their number counts.
    """
    if len(weights) != batch:
        raise InputMismatch(f"The weights of {target.address} are of {len(weights)} images, not {batch}.")
    if weights.ndim == 1 + len(target.shape):
        return fitted(target.address, target.shape, target.tensor.dtype, weights, batch)
    return np.asarray(weights, np.dtype(target.tensor.dtype))


def same_bits(found: Array, expected: Array) -> bool:
    """Whether two arrays are the same to the last bit."""
    return found.shape == expected.shape and found.tobytes() == expected.tobytes()


def same_but_for_rounding(found: Array, expected: Array) -> bool:
    """Whether two arrays differ by no more than computing them in another order makes of them."""
    if found.shape != expected.shape:
        return False
    scale = float(np.nanmax(np.abs(expected), initial=0))
    return np.allclose(found, expected, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)
