"""Extraction: the means of a middle layer of MobileNetV2 for every image of a folder of JPEGs, in parts of 32 images.

A turn is one part: read, decoded, computed and written to a safetensors file that is flushed to the disk. It is compared with a loop over
the engine, which does the same for one image after the other and writes nothing; with the loop of somebody who knows TensorFlow well; and
with the usual snippet, for each image and in batches. The runtime openvino is compared with tensorflow: a part by each, in turns.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rig.figures import Figure, ratio
from rig.models import MIDDLE, SIDE, Array, bare_call, decode, mobilenet, save
from rig.paired import Way, compare
from rig.pictures import pictures

from layerscope.execution.inputs import ImageSource
from layerscope.execution.local_engine import LocalEngine
from layerscope.extraction.extractor import Extractor, engine_for, query_of
from layerscope.extraction.planning import Request, planned
from layerscope.extraction.runners.isolated import IsolatedExtractor
from layerscope.extraction.runners.messages import setup
from layerscope.graph.runtime.plans import Runtime
from layerscope.tensors.options import TensorOptions

MODEL = "mobilenetv2"
LATE = "block_13_expand_relu"
"""A late layer of MobileNetV2: 14x14 pixels, 576 channels."""

PART = 32
TURNS, WARM_UP = 12, 2
_PREDICT_IMAGES = 8

_MEAN = TensorOptions(reduce="mean")


def measure() -> dict[str, Figure]:
    """A part of a job against four other ways to the same numbers."""
    model = mobilenet()
    snippet = keras.Model(model.input, model.get_layer(MIDDLE).output)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        models, images = Path(folder, "models"), Path(folder, "images")
        save(model, models, MODEL)
        images.mkdir()
        for number, jpeg in enumerate(islice(pictures(SIDE, SIDE), PART * (TURNS + WARM_UP))):
            (images / f"{number:05d}.jpg").write_bytes(jpeg)
        request = Request(
            models=models,
            model=MODEL,
            layers=[MIDDLE],
            options=_MEAN,
            data=str(images),
            format="safetensors",
            shard_images=PART,
        )
        output = planned(request, str(Path(folder, "features")))
        extractor = stack.enter_context(Extractor(output))
        engine = stack.enter_context(engine_for(str(models), MODEL, trusted=False))
        with engine.models.registry.lease(MODEL) as loaded:
            bare = bare_call(loaded, [MIDDLE])

        def files(part: int) -> Iterator[bytes]:
            for number in range(part * PART, (part + 1) * PART):
                yield (images / f"{number:05d}.jpg").read_bytes()

        ways: dict[str, tuple[Callable[[int], object], str, float]] = {
            "engine": (
                lambda part: [_of_engine(engine, each) for each in files(part)],
                "a loop over the engine that writes nothing",
                0.95,
            ),
            "bare": (
                lambda part: [bare(decode(each)[None])[0].mean((1, 2)) for each in files(part)],
                "a loop over a bare TensorFlow session with Pillow, which writes nothing",
                0.85,
            ),
            "batches": (
                lambda part: _predict(snippet, np.stack([decode(each) for each in files(part)])).mean((1, 2)),
                f"`Model(...).predict` in batches of {PART}",
                0,
            ),
        }
        figures = {name: _figure(extractor, *way) for name, way in ways.items()}
        figures["snippet"] = _figure(
            extractor,
            lambda part: [
                _predict(snippet, decode(each)[None]) for each in islice(files(part), _PREDICT_IMAGES)
            ],
            "`Model(...).predict` for each image",
            8.0,
            images=_PREDICT_IMAGES,
        )
        for name, layer in (("openvino", MIDDLE), ("openvino_late", LATE)):
            figures[name] = _of_openvino(request, layer, Path(folder, name))
        return figures


def _of_openvino(request: Request, layer: str, to: Path) -> Figure:
    """The same job with OpenVINO against TensorFlow; both read, decode and write.

    Each has a process of its own, as in a job: in one process, the threads of either would be in the way of the other.
    """
    with ExitStack() as stack:

        def way(runtime: Runtime) -> Way:
            output = planned(replace(request, layers=[layer], runtime=runtime), str(to / runtime))
            extractor = IsolatedExtractor(setup(output.address, None))
            stack.callback(extractor.close)
            return Way(lambda part: extractor.do(part).seconds / PART, lambda: 0)

        ours, theirs = way("openvino"), way("tensorflow")
        pairs = compare("openvino", ours, theirs, range(TURNS + WARM_UP), warm_up=WARM_UP)
    return ratio(
        pairs,
        what=f"an image of a job: the means of {layer}, by the runtime openvino",
        against="the runtime tensorflow",
        unit="x as fast",
        least=1.4,
    )


def _figure(
    extractor: Extractor, theirs: Callable[[int], object], against: str, least: float, images: int = PART
) -> Figure:
    pairs = compare(
        against,
        _each(extractor.do, PART),
        _each(theirs, images),
        range(TURNS + WARM_UP),
        warm_up=WARM_UP,
    )
    return ratio(
        pairs,
        what="an image of a job: the means of 192 maps of 28x28, written",
        against=against,
        unit="x as fast",
        least=least or None,
    )


def _each(call: Callable[[int], object], images: int) -> Way:
    def run(part: int) -> float:
        started = time.perf_counter()
        call(part)
        return (time.perf_counter() - started) / images

    return Way(run, lambda: time.process_time() / images)


def _of_engine(engine: LocalEngine, data: bytes) -> Array:
    query = query_of(MODEL, [MIDDLE], ImageSource(data))
    with engine.prepare(query) as prepared, prepared.run() as result:
        return result.activations.reduced(_MEAN)[MIDDLE].values


def _predict(model: Any, batch: Array) -> Array:
    values: Array = model.predict(batch, verbose=0)
    return values
