"""Draw the curves of growth as one SVG: milliseconds over the size that grows, both axes logarithmic."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

COLUMNS = 3
WIDTH, HEIGHT = 312, 210
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 30, 36
INKS = {"ours_ms": ("#1f6feb", "Layerscope"), "theirs_ms": ("#8b949e", "compared with")}

Curve = Mapping[str, Sequence[float]]


class Axis(NamedTuple):
    """Logarithmic axis: the values at its two ends, and the pixels of these ends."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Pixel of a value."""
        span = math.log(self.high / self.low) or 1.0
        return self.start + (self.end - self.start) * math.log(value / self.low) / span


def draw(curves: Mapping[str, Curve]) -> str:
    """SVG of all curves, one panel for each.

    Args:
        curves: curves by name; each has its axis first, then `ours_ms` and `theirs_ms`, in milliseconds.
    """
    width, height = COLUMNS * WIDTH, math.ceil(len(curves) / COLUMNS) * HEIGHT
    panels = (
        f'<g transform="translate({number % COLUMNS * WIDTH} {number // COLUMNS * HEIGHT})">\n'
        + "\n".join(_panel(name.replace("_", " "), curve))
        + "\n</g>"
        for number, (name, curve) in enumerate(curves.items())
    )
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
        ' font-size="11" fill="#57606a">\n<rect width="100%" height="100%" fill="#ffffff"/>\n'
    )
    return head + "\n".join(panels) + "\n</svg>\n"


def _panel(name: str, curve: Curve) -> Iterator[str]:
    axis = next(iter(curve))
    times = list(chain(curve["ours_ms"], curve["theirs_ms"]))
    across = Axis(min(curve[axis]), max(curve[axis]), LEFT, WIDTH - RIGHT)
    up = Axis(min(times), max(times), HEIGHT - BOTTOM, TOP)
    yield f'<text x="{LEFT}" y="16" font-weight="bold" fill="#24292f">{name}</text>'
    yield from _legend()
    yield from _ends(axis, across, up)
    for column, (ink, _) in INKS.items():
        points = zip(map(across.place, curve[axis]), map(up.place, curve[column]), strict=True)
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{ink}" stroke-width="2"/>'


def _legend() -> Iterator[str]:
    for x, (ink, word) in zip((132, 212), INKS.values(), strict=True):
        yield f'<text x="{x}" y="16" fill="{ink}">{word}</text>'


def _ends(axis: str, across: Axis, up: Axis) -> Iterator[str]:
    """Both axes, each with the values at its ends."""
    bottom = HEIGHT - BOTTOM
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{WIDTH - RIGHT}" fill="none" stroke="#d0d7de"/>'
    for value in (across.low, across.high):
        anchor = "start" if value == across.low else "end"
        yield f'<text x="{across.place(value):.1f}" y="{bottom + 14}" text-anchor="{anchor}">{_short(value)}</text>'
    yield f'<text x="{(LEFT + WIDTH) / 2:.0f}" y="{bottom + 28}" text-anchor="middle">{axis}</text>'
    for value in (up.low, up.high):
        yield f'<text x="{LEFT - 4}" y="{up.place(value) + 4:.1f}" text-anchor="end">{_time(value)}</text>'


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 1e3 else f"{milliseconds / 1e3:.3g} s"


def _short(value: float) -> str:
    for size, letter in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"
