"""Compare the activations of two versions of a model for the same images, and fail if a layer drifted.

    python examples/compare_versions.py digits@1 digits@2 images/*.png --layers 'type:Conv2D' --most 0.01

A layer's change is the norm of the difference divided by the norm of the old values, over all images together: 0 means the
same, 1 means as different as all zeros. The status is 0 if no layer changed by more than `--most`, 1 if one did, is in one version only, has
another shape, or gives NaN or infinite values in other places, and 2 if they could not be compared. The table is Markdown.

It needs the Python client and a running service that has both versions: see docs/ci.md. A key is read from the environment
variable LAYERSCOPE_API_KEY.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerscope_client import Activations, Client, LayerscopeError

_IMAGES_AT_ONCE = 8

Array = NDArray[Any]


@dataclass
class Comparison:
    """Comparison of one layer so far; a channel is `active` in a version if it was not zero somewhere."""

    squared_difference: float = 0.0
    squared_before: float = 0.0
    reason: str = ""
    active: tuple[Array, Array] | None = None

    @property
    def change(self) -> float:
        """Norm of the difference divided by the norm of the old values."""
        if self.squared_difference == 0:
            return 0.0
        return (
            float(np.sqrt(self.squared_difference / self.squared_before)) if self.squared_before else np.inf
        )

    def add(self, before: Array, after: Array, channel_axis: int | None) -> None:
        """Take the values of some more images, (images, ...), into account."""
        if before.shape != after.shape:
            self.reason = f"{_sizes(before)} became {_sizes(after)}"
            return
        finite = np.isfinite(before) & np.isfinite(after)
        if not np.array_equal(np.isfinite(before), np.isfinite(after)):
            self.reason = "NaN or infinite values in other places"
        one, other = before[finite].astype(np.float64), after[finite].astype(np.float64)
        self.squared_difference += float(np.square(other - one).sum())
        self.squared_before += float(np.square(one).sum())
        axes = tuple(axis for axis in range(before.ndim) if axis != channel_axis)
        seen = (before != 0).any(axis=axes), (after != 0).any(axis=axes)
        self.active = seen if self.active is None else (self.active[0] | seen[0], self.active[1] | seen[1])

    def row(self, address: str, most: float) -> str:
        """A row of the table."""
        silent = " → ".join(str(np.size(each) - np.count_nonzero(each)) for each in self.active or ())
        verdict = self.reason or ("**drifted**" if self.change > most else "same")
        change = f"{self.change:.3g}" if self.active else ""
        return f"| {address} | {change} | {silent} | {verdict} |"


def main() -> int:
    """Compare, print, and return the status."""
    options = _arguments()
    try:
        with Client(options.service, api_key=os.environ.get("LAYERSCOPE_API_KEY")) as scope:
            layers = compare(scope, options.before, options.after, options.images, options.layers)
    except (LayerscopeError, OSError) as error:
        print(f"They cannot be compared: {error}", file=sys.stderr)
        return 2
    drifted = [address for address, layer in layers.items() if layer.reason or layer.change > options.most]
    print(
        f"| layer | change | silent channels | {options.before} → {options.after}, {len(options.images)} images |"
    )
    print("|---|---|---|---|")
    for address, layer in layers.items():
        print(layer.row(address, options.most))
    print(f"\n{len(drifted)} of {len(layers)} layers changed by more than {options.most:g}.")
    return 1 if drifted else 0


def compare(
    scope: Client, before: str, after: str, images: Sequence[str], selectors: Sequence[str]
) -> dict[str, Comparison]:
    """Every layer of either version that the selectors select, in the order of the graph.

    Raises:
        LayerscopeError: The service does not have one of them, or cannot run it on these images.
        OSError: An image cannot be read.
    """
    found: dict[str, Comparison] = {}
    for one, other in _activations(scope, (before, after), images, selectors):
        for address in dict.fromkeys([*one, *other]):
            layer = found.setdefault(address, Comparison())
            if address not in one or address not in other:
                layer.reason = f"only in {before if address in one else after}"
            else:
                layer.add(one[address], other[address], one.layers[address]["channel_axis"])
    return found


def _activations(
    scope: Client, versions: Sequence[str], images: Sequence[str], selectors: Sequence[str]
) -> Iterator[list[Activations]]:
    """Activations of both versions for a few images at a time. Each image is sent once."""
    for start in range(0, len(images), _IMAGES_AT_ONCE):
        some = list(images[start : start + _IMAGES_AT_ONCE])
        yield [scope.model(version).activations(some, layers=selectors) for version in versions]


def _sizes(values: Array) -> str:
    return "x".join(map(str, values.shape[1:])) or "one number"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", help="the trusted version, as name@version or name@label")
    parser.add_argument("after", help="the new version")
    parser.add_argument("images", nargs="+", help="image files; more images give more evidence")
    parser.add_argument("--layers", nargs="+", default=["all"], help="layer selectors; all layers by default")
    parser.add_argument(
        "--most", type=float, default=0.01, help="largest change of a layer that is no drift (0.01)"
    )
    parser.add_argument(
        "--service", default="http://127.0.0.1:8000", help="address of the service (http://127.0.0.1:8000)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
