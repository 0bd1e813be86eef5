"""The page `robustness.md`: what is tried against the service, the tests that try it, and what the soak measured."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tables import table

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "results" / "soak.json"

_MOST_CASES = 12

ROWS = {
    "M01": ("models with Lambda layers, as code or as a name, at any depth", "422 `layer_not_allowed`, with the path to the layer"),
    "M02": ("functions and classes outside the list: of Python, of Keras' inside, of other frameworks", "422; nothing named is imported"),
    "M03": ("HDF5 links, external and virtual data, strange types, cycles", "422 `weights_external_reference` or `weights_malformed`"),
    "M04": ("small files that declare weights of up to a terabyte", "422 `weights_shape_mismatch`, before memory is taken"),
    "M05": ("archives: bombs, too many members, doubles, paths, links, junk, encryption, wrong checksums", "413 or 422; nothing is written"),
    "M06": ("files cut anywhere, noise, one format under the other's name", "422 `model_unreadable`"),
    "M07": ("configurations: too deep, NaN, half characters, huge numbers, thousands of layers, cycles", "422"),
    "M08": ("layers of a billion units", "422 `model_too_large`"),
    "M09": ("layer names that are paths, markup, control characters, doubles", "refused, or kept as they are and escaped everywhere"),
    "M10": ("weights that are not numbers", "accepted with a warning; answers are answers"),
    "M11": ("every architecture of `keras.applications`, every layer of Keras, legacy files", "accepted, and the same values to the bit"),
    "M12": ("one name uploaded twice, and by eight at once", "one version for each different file"),
    "M13": ("a full disk; links, pipes, unreadable and damaged files among models", "507 and nothing is left; the damaged are listed as failed, the others serve"),
    "M14": ("files whose opening crashes, hangs or says nothing", "refused in time; no process is left"),
    "I01": ("bodies that are no images", "415"),
    "I02": ("images of too many pixels, in small files too, and of none", "413 or 422, before decoding"),
    "I03": ("images cut off, wrong checksums, text that unpacks to megabytes", "422"),
    "I04": ("JPEGs of hundreds and thousands of scans", "422 `image_too_complex`"),
    "I05": ("animations, turned pictures, 16 bits, palettes, transparency, CMYK", "the right pixels, and a note of what was done"),
    "I06": ("hostile file names, too many parts, long fields, bad boundaries", "400 or 413"),
    "I07": ("options and selectors that cannot be, patterns that explode", "400, 404 or 422, with near names"),
    "I08": ("an answer over the limit", "413 with both numbers; nothing was run"),
    "I09": ("`.npy` with pickles, lies about shapes, strange types; NaN, foreign byte and axis order", "422; the last three are fed as they are"),
    "H01": ("bodies that JSON parsers stumble over", "400 or 422, in less than a kibibyte"),
    "H02": ("long bodies: without a key, with one, of unknown length", "401 before a byte is read; 413, and the connection ends"),
    "H03": ("idle, partial and dripping requests, 500 connections of them", "408, closed; others are answered meanwhile"),
    "H04": ("long headers; no Host, two, and foreign ones", "431, 400, 403"),
    "H05": ("names that are paths", "404 or 422; no file is touched"),
    "H06": ("pages of other origins", "403 to changes; answers only to whom is let in"),
    "A01": ("every route without a key, with a wrong one, with one of another scope", "401 and 403; a new route is closed by itself"),
    "A02": ("listening on the network without keys", "exit status 2"),
    "R01": ("300 requests at once where 64 may wait", "64 answers; 429 with Retry-After; probes are answered"),
    "R02": ("waiting and working for longer than the deadline; callers who go away", "504 meanwhile; nothing more is run"),
    "R03": ("SIGTERM with work in flight", "not ready first, then everything is finished, then exit status 0"),
    "R04": ("kill -9 at 200 moments while models are added", "what was told is there, whole, and nothing else"),
    "R05": ("a model replaced and unloaded while it answers, 50 times a second", "every answer is of one version; none fails"),
    "R06": ("20,000 requests over 500 image sizes, with keys; 50 times loading and unloading", "memory does not grow"),
    "R07": ("ten times more than can be answered, for a minute", "what is answered, is answered as before; memory is flat"),
    "R08": ("everything the contract knows, by schemathesis; damaged model files, images, tensors, bodies and requests", "no answer that the contract does not know; only our own errors"),
}  # fmt: skip
"""What is tried and what happens, by the id that the names of its tests begin with."""

NOT_MET: dict[str, str] = {}
"""Why a row has no test."""


def page() -> Iterator[str]:
    """The page."""
    found = tests()
    yield "# Robustness\n"
    yield "What is tried against the service, what happens, and the tests that try it. Those of the soak take minutes: `make soak`"
    yield "runs them, and keeps what they measured, which stands below. After what is refused, the next request is answered as"
    yield "before, memory has come back, no file is left, and the log has one line of each request: `test_http_aftermath.py`.\n"
    rows = (
        (f"**{row}**", tried, happens, _links(found[row]) if row in found else f"not met: {NOT_MET[row]}")
        for row, (tried, happens) in ROWS.items()
    )
    yield from table(("row", "tried", "what happens", "tests"), rows)
    yield "\nWhat is not met: in its first seconds, while TensorFlow is imported, the service does not listen yet, and connections are"
    yield "refused; from then on its probes answer. Work that has begun cannot be stopped: who waits for it is answered in time (504),"
    yield "and it goes on in the background, counted among the pending. A subclassed model, or one with a layer of a class of its own,"
    yield "is code, and is not taken from a stranger (422 `layer_not_allowed`): an operator serves it with a plugin. Of the architectures,"
    yield "ConvNeXt, InceptionResNetV2 and MobileNetV3 are not sent as `.h5`: Keras 3.15 itself cannot open what it writes of them."
    yield "No test asserts how long anything takes, since machines differ."
    yield "\n## What the soak measured\n"
    yield "On two cores; of M11, which has a case for each architecture and format, two at a time. A row that is not here has not been"
    yield "run to its end yet.\n"
    yield from table(("row", "case", "figures"), _figures())


def tests() -> dict[str, list[tuple[Path, str, bool]]]:
    """The tests of each row: their file, their name, and whether they are of the soak."""
    found: dict[str, list[tuple[Path, str, bool]]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            named = re.match(r"test_([ahimr]\d\d)_", getattr(node, "name", ""))
            if named and isinstance(node, ast.FunctionDef):
                is_soak = any("mark.soak" in ast.unparse(each) for each in node.decorator_list)
                found.setdefault(named[1].upper(), []).append((file, node.name, is_soak))
    return found


def _links(found: Iterable[tuple[Path, str, bool]]) -> str:
    """The files, each with the number of its tests."""
    counts: dict[tuple[Path, bool], int] = {}
    for file, _, is_soak in found:
        counts[file, is_soak] = counts.get((file, is_soak), 0) + 1
    return ", ".join(
        f"[{file.stem}](../{file.relative_to(ROOT).as_posix()}) {count}{' in the soak' if is_soak else ''}"
        for (file, is_soak), count in counts.items()
    )


def _figures() -> Iterator[tuple[str, str, str]]:
    kept = json.loads(FIGURES.read_text("utf-8")) if FIGURES.is_file() else {}
    for row, cases in kept.items():
        if len(cases) <= _MOST_CASES:
            for case, figures in cases.items():
                yield row, case, ", ".join(f"{value:,} {_words(name)}" for name, value in figures.items())
            continue
        names = {name: None for figures in cases.values() for name in figures}
        ranges = {name: [each[name] for each in cases.values()] for name in names}
        told = (f"{min(values):,} to {max(values):,} {_words(name)}" for name, values in ranges.items())
        yield row, f"{len(cases)} of them", ", ".join(told)


def _words(name: str) -> str:
    return name.replace("_", " ")
