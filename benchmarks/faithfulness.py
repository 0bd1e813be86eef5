"""Faithfulness of heat maps by deletion and insertion curves (Petsiuk et al. 2018, RISE, section 4.2).

Pixels are removed from a picture, or inserted into a blurred one, in the order of their map, largest values first. After
each step the model gives the probability of the class that it found in the whole picture. With a good map the probability
falls early (a small area under the deletion curve) and rises early (a large area under the insertion curve).

The pictures are digits that the demo model has not seen in training; maps of its last convolution, of 7x7 places, are
coarse beside their strokes. Removed pixels become black, the background of a digit. Pixels with equal values are in
random order, as are all pixels in the row *random order*. The last two columns give the share of pictures for which the
map is better than random order.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from rich.progress import track
from rig.figures import Figure

from layerscope import demo
from layerscope.attribution import METHODS
from layerscope.attribution.maps import resized
from layerscope.execution.inputs import ANY_INPUT, TensorSource
from layerscope.execution.interface import Query
from layerscope.execution.local_engine import LocalEngine
from layerscope.limits import Limits

MODEL = "digits"
PICTURES = 100
STEPS = 28
BLUR = 4
RANDOM = "random order"

_HELD_OUT = Path(__file__).parents[1] / "tests" / "data" / "held_out_digits.npz"

Array = np.ndarray
Explain = Callable[[Array], Array]
"""From pictures, (pictures, height, width, 1), to a map of each, in any size."""


def measure() -> dict[str, Figure]:
    """The areas under both curves, for each method, in the mean over pictures."""
    engine = LocalEngine(demo.MODELS, Limits(deadline_milliseconds=600_000, attribution_milliseconds=600_000))
    engine.load_all()
    try:
        pictures = _pictures()
        chance = _areas(engine, pictures, _chance)
        found = {
            method.title: _areas(engine, pictures, _explained(engine, name))
            for name, method in track(METHODS.items(), description="faithfulness", transient=True)
        }
    finally:
        engine.close()
    better = [areas for areas in found.values() if _is_better(areas.mean(axis=0), chance.mean(axis=0))]
    figure = Figure(
        what=f"methods better than chance by both curves, {PICTURES} digits of the demo model",
        against="pixels in random order",
        value=len(better),
        unit=f"of {len(found)} methods",
        details={"curve": _table(found, chance)},
    )
    return {"digits": figure}


def _pictures() -> Array:
    """Digits as the model takes them: (pictures, 28, 28, 1), from 0 to 1."""
    with np.load(_HELD_OUT) as held_out:
        chosen = np.random.default_rng(0).choice(len(held_out["images"]), PICTURES, replace=False)
        return np.float32(held_out["images"][chosen, ..., np.newaxis] / 255)


def _explained(engine: LocalEngine, method: str) -> Explain:
    def explain(pictures: Array) -> Array:
        sources = {ANY_INPUT: [TensorSource(pictures)]}
        query = Query(model=MODEL, sources=sources, methods={method: METHODS[method].options()})
        return engine.run(query).attribution(method).maps

    return explain


def _chance(pictures: Array) -> Array:
    return np.zeros(pictures.shape[:3])


def _areas(engine: LocalEngine, pictures: Array, explain: Explain) -> Array:
    """The areas under the deletion and the insertion curve of each picture, (pictures, 2)."""
    return np.array(list(_areas_of(engine, pictures, explain)))


def _areas_of(engine: LocalEngine, pictures: Array, explain: Explain) -> Iterator[tuple[float, float]]:
    random = np.random.default_rng(1)
    # One by one, for a request may not have so many images.
    maps = [explain(picture[np.newaxis])[0] for picture in pictures]
    classes = [int(_probabilities(engine, picture[np.newaxis])[0].argmax()) for picture in pictures]
    for picture, heat, index in zip(pictures, maps, classes, strict=True):
        ranks = _ranks(resized(heat, picture.shape[:2]), random)
        ways = (picture, np.zeros_like(picture)), (_blurred(picture), picture)
        versions = np.concatenate([_replaced(start, end, ranks) for start, end in ways])
        curves = _probabilities(engine, versions)[:, index].reshape(len(ways), -1)
        deletion, insertion = np.trapezoid(curves, dx=1 / STEPS, axis=1)
        yield deletion, insertion


def _ranks(heat: Array, random: np.random.Generator) -> Array:
    """The place of each pixel in the order of falling values, in the shape of the map."""
    order = np.lexsort((random.random(heat.size), -heat.ravel()))
    ranks = np.empty(heat.size, int)
    ranks[order] = np.arange(heat.size)
    return ranks.reshape(heat.shape)


def _replaced(start: Array, end: Array, ranks: Array) -> Array:
    """Versions between one picture and another, (steps + 1, height, width, channels)."""
    counts = np.linspace(0, ranks.size, STEPS + 1).round()
    return np.where(ranks[..., np.newaxis] < counts[:, np.newaxis, np.newaxis, np.newaxis], end, start)


def _blurred(picture: Array) -> Array:
    image = Image.fromarray(np.uint8(picture[..., 0] * 255)).filter(ImageFilter.GaussianBlur(BLUR))
    return np.float32(np.asarray(image) / 255)[..., np.newaxis]


def _probabilities(engine: LocalEngine, versions: Array) -> Array:
    sources = {ANY_INPUT: [TensorSource(np.float32(versions))]}
    found = engine.run(Query(model=MODEL, sources=sources, layers=["outputs"])).activations
    (activation,) = found.values()
    return activation.values


def _is_better(areas: Array, chance: Array) -> Array:
    """Whether the map is better than random order; the last axis is (deletion, insertion)."""
    return (areas[..., 0] < chance[..., 0]) & (areas[..., 1] > chance[..., 1])


def _table(found: dict[str, Array], chance: Array) -> dict[str, list[object]]:
    rows = {**found, RANDOM: chance}
    means = {name: areas.mean(axis=0) for name, areas in rows.items()}
    return {
        "method": list(rows),
        "deletion, less is better": [float(deletion) for deletion, _ in means.values()],
        "insertion, more is better": [float(insertion) for _, insertion in means.values()],
        "better than chance by deletion, %": _better(rows, lambda areas: areas[:, 0] < chance[:, 0]),
        "better than chance by insertion, %": _better(rows, lambda areas: areas[:, 1] > chance[:, 1]),
    }


def _better(rows: dict[str, Array], is_better: Callable[[Array], Array]) -> list[object]:
    return ["" if name == RANDOM else float(100 * is_better(areas).mean()) for name, areas in rows.items()]
