"""Arrays of batches: checked before they go into a graph, and given a batch axis where they come out without one."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from layerscope.errors import InputMismatch
from layerscope.graph.edits import Edit
from layerscope.graph.taps.tap import Shape, Tap

Array = np.ndarray[Any, np.dtype[Any]]


def batch_of(inputs: Sequence[Array]) -> int:
    """The number of images."""
    return len(inputs[0]) if inputs and inputs[0].ndim else 0


def require_batched(taps: Iterable[Tap]) -> None:
    """Check that the values of `taps` can be replaced or edited.

    Raises:
        InputMismatch: a tap has no value for each image.
    """
    for tap in taps:
        if not tap.tensor.batched:
            mixes, same = (
                "mixes the images of a batch",
                "is a constant of the model, the same for every image",
            )
            why = mixes if tap.tensor.mixed else same
            raise InputMismatch(f"{tap.address} {why}: it cannot be changed.", layer=tap.address)


def require_editable(taps: Sequence[Tap]) -> None:
    """Check that the values of `taps` can be edited together.

    Raises:
        InputMismatch: a tap has no value for each image, or no floating-point ones; or two taps are one tensor.
    """
    require_batched(taps)
    by_tensor: dict[str, Tap] = {}
    for tap in taps:
        if not np.issubdtype(tap.dtype, np.floating):
            raise InputMismatch(
                f"{tap.address} has values of type {tap.tensor.dtype}: only floating-point numbers can be edited.",
                layer=tap.address,
            )
        first = by_tensor.setdefault(tap.tensor.name, tap)
        if first is not tap:
            raise InputMismatch(
                f"{first.address} and {tap.address} are the same values: edit one of them.", layer=tap.address
            )


def in_order(edits: Mapping[Tap, Edit]) -> dict[Tap, Edit]:
    """Edits in the order of their tensors' names, so that one plan serves them in any order. Raises as `require_editable`."""
    require_editable(tuple(edits))
    return dict(sorted(edits.items(), key=lambda item: item[0].tensor.name))


def edit_arrays(edits: Mapping[Tap, Edit], batch: int) -> list[Array]:
    """What a plan with edits takes behind all that is fed: four arrays an edited tap.

    Raises:
        InputMismatch: an edit does not fit its tap.
    """
    return [
        array
        for tap, edit in edits.items()
        for array in edit.arrays(tap.address, tap.shape, tap.tensor.dtype, batch)
    ]


def fitted(name: str, shape: Shape, dtype: str, array: Array, batch: int) -> Array:
    """An array in the dtype of the input or tap it is for, with its shape checked: TensorFlow does not check it.

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
    """Whether the values of a batch cannot be assigned to its images, so that each image must run alone."""
    return tap.tensor.mixed or (tap.tensor.batched and len(array) != batch)


def delivered(tap: Tap, array: Array, batch: int) -> Array:
    """Values in the dtype that is delivered, with a batch axis: a constant is repeated for each image."""
    values = array if array.dtype == tap.dtype else array.astype(tap.dtype)
    return values if tap.tensor.batched else np.broadcast_to(values, (batch, *values.shape))


def one_image(tap: Tap, array: Array) -> Array:
    """The values of a run of one image, without the batch axis; with it, if the image has several rows."""
    values = delivered(tap, array, 1)
    return values[0] if len(values) == 1 else values


def fitted_weights(target: Tap, weights: Array, batch: int) -> Array:
    """The weights of the values of a gradient's target, checked: (batch, *target shape).

    Raises:
        InputMismatch: they do not fit. Where a layer folds other axes into the batch axis, only their number counts.
    """
    if len(weights) != batch:
        raise InputMismatch(f"The weights of {target.address} are of {len(weights)} images, not {batch}.")
    if weights.ndim == 1 + len(target.shape):
        return fitted(target.address, target.shape, target.tensor.dtype, weights, batch)
    return np.asarray(weights, np.dtype(target.tensor.dtype))


def same_but_for_rounding(found: Array, expected: Array) -> bool:
    """Whether two arrays differ only as the same sums in another order do."""
    if found.shape != expected.shape:
        return False
    scale = float(np.nanmax(np.abs(expected), initial=0))
    return np.allclose(found, expected, rtol=1e-3, atol=1e-4 * scale, equal_nan=True)
