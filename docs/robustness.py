"""The page `robustness.md`: attacks and faults, the tests that try them, and the measurements of the soak tests."""

import ast
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from measured import figure_table, machine_text
from tables import table

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "benchmarks" / "results" / "soak.json"
HOSTILE = ROOT / "benchmarks" / "results" / "hostile_load.json"

_MOST_CASES = 12

ROWS = {
    "M01": ("models with Lambda layers, as code or by name, at any depth", "422 `layer_not_allowed`, with the path to the layer"),
    "M02": ("functions and classes outside the list: of Python, of the internals of Keras, of other frameworks", "422; nothing that the file names is imported"),
    "M03": ("HDF5 links, external and virtual datasets, unusual types, cycles", "422 `weights_external_reference` or `weights_malformed`"),
    "M04": ("small files that declare weights of up to a terabyte", "422 `weights_shape_mismatch`, before memory is allocated"),
    "M05": ("archives: bombs, too many members, duplicates, paths, links, junk, encryption, wrong checksums", "413 or 422; nothing is written"),
    "M06": ("truncated files, noise, one format under the name of another", "422 `model_unreadable`"),
    "M07": ("configurations: deep nesting, NaN, lone surrogates, huge numbers, thousands of layers, cycles", "422"),
    "M08": ("layers of a billion units", "422 `model_too_large`"),
    "M09": ("names of layers and classes that are paths, markup, code, control characters or duplicates", "refused, or kept unchanged and quoted: on the console, in the explorer, and in the code that it gives to copy"),
    "M10": ("weights that are NaN or infinite", "accepted with a warning; requests are answered"),
    "M11": ("every architecture of `keras.applications`, every layer of Keras, legacy files", "accepted, with the same values to the bit"),
    "M12": ("one name uploaded twice, and by eight callers at once", "one version for each different file"),
    "M13": ("a full disk; uploads that announce more than they send; links, pipes, unreadable and damaged files among models", "507 and nothing is left; damaged models are listed as failed, the others are served"),
    "M14": ("files whose opening crashes, hangs or gives no result", "refused in time; no process is left"),
    "M15": ("`.tflite` files: cut, mutated, of another format, with huge, negative and missing sides, custom operators, several graphs; files that crash their interpreter or claim memory while they run", "422 or 413; the interpreter's process ends at most"),
    "I01": ("bodies that are not images", "415"),
    "I02": ("images with too many pixels, also in small files, and with none", "413 or 422, before decoding"),
    "I03": ("truncated images, wrong checksums, text chunks that unpack to megabytes", "422"),
    "I04": ("JPEGs with hundreds and thousands of scans", "422 `image_too_complex`"),
    "I05": ("animations, rotated pictures, 16 bits, palettes, transparency, CMYK", "the right pixels, and a note about the conversion"),
    "I06": ("hostile file names, too many parts, long fields, bad boundaries", "400 or 413"),
    "I07": ("impossible options and selectors, patterns that explode", "400, 404 or 422, with close names"),
    "I08": ("an answer over the limit", "413 with both numbers; nothing runs"),
    "I09": ("`.npy` with pickles, wrong, empty and huge shapes, unusual types; NaN, foreign byte and axis order", "422; the last three are fed unchanged"),
    "H01": ("bodies that are hard on JSON parsers", "400, 413 or 422, in less than a kibibyte"),
    "H02": ("long bodies: without a key, with a key, of unknown length", "401 before a byte is read; 413, and the connection is closed"),
    "H03": ("idle, partial and slow requests on 400 connections; bodies that are not finished and answers that are not taken; more connections than the process may open files", "408, or closed; other callers, and other keys, are answered meanwhile"),
    "H04": ("long headers; no Host header, two of them, and foreign ones", "431, 400, 403"),
    "H05": ("names that are paths", "404 or 422; no file is touched"),
    "H06": ("pages of other origins", "403 for changes; answers only for allowed origins"),
    "A01": ("every route without a key, with a wrong key, with a key of another scope", "401 and 403; a new route is closed unless it declares a scope"),
    "A02": ("listening on the network without keys", "exit status 2"),
    "R01": ("300 requests at once where 64 may wait", "64 answers; 429 with Retry-After for the others; probes are answered"),
    "R02": ("requests that wait or run for longer than the deadline; callers who disconnect", "504 at the deadline; no further run begins"),
    "R03": ("SIGTERM during requests", "not ready first, then all requests are finished, then exit status 0"),
    "R04": ("kill -9 at 200 moments while models are added", "every confirmed model is there, whole, and nothing else"),
    "R05": ("a model that is replaced and unloaded while it answers, 50 times a second", "every answer is of one version; none fails"),
    "R06": ("20,000 requests over 500 image sizes, with keys; 50 loads and unloads", "memory does not grow"),
    "R07": ("ten times more requests than can be answered, for a minute", "accepted requests are answered as before; memory is flat"),
    "R08": ("the whole OpenAPI contract, by schemathesis; damaged model files, images, tensors, bodies, requests and options of attributions", "every answer is in the contract; every error is one of ours"),
    "R09": ("sixteen slow attributions at once; more long requests of one key than its share, while another key asks", "predictions, thumbnails and lists of layers are answered meanwhile, and the other key, too; 429 beyond the share"),
    "R10": ("loops of millions of steps, or without an end; runs that crash their process", "504, or 503 `run_failed`; the run ends, others are answered meanwhile, and the same model afterwards"),
}  # fmt: skip
"""The attack or fault and the expected result, by the id that the names of its tests begin with."""

NOT_MET: dict[str, str] = {}
"""Reason why a row has no test."""


def page() -> Iterator[str]:
    """Lines of the page."""
    found = tests()
    yield "# Robustness\n"
    yield "Attacks and faults that are tried against the service, the expected result, and the tests that try them. Soak tests take"
    yield "minutes: `make soak` runs them and keeps their measurements, which are listed below. After each refused request, the next"
    yield "request is answered as before, memory is given back, no file is left, and the log has one line for each request:"
    yield "`test_http_aftermath.py`.\n"
    rows = (
        (f"**{row}**", tried, happens, _links(found[row]) if row in found else f"not met: {NOT_MET[row]}")
        for row, (tried, happens) in ROWS.items()
    )
    yield from table(("row", "attack or fault", "result", "tests"), rows)
    yield "\nLimitations:\n"
    yield "- In its first seconds, while TensorFlow is imported, the service does not listen yet and connections are refused. From then"
    yield "  on its probes answer."
    yield "- Work in the process that serves cannot be stopped once it has begun: decoding, drawing, and runs that are estimated to be"
    yield "  short. Its caller is answered in time (504); the work continues in the background and counts as pending. A run that is long,"
    yield "  or of which nothing is known, is ended with [its process](architecture.md#long-runs)."
    yield "- Subclassed models and models with custom layers are code. They are refused as uploads (422 `layer_not_allowed`); an operator"
    yield "  can serve them with a plugin."
    yield "- Of the architectures, ConvNeXt, InceptionResNetV2 and MobileNetV3 are not uploaded as `.h5`: Keras 3.15 itself cannot open"
    yield "  its own `.h5` files of them."
    yield "- No test asserts a time, because machines differ."
    yield from _hostile_load()
    yield "\n## Measurements of the soak tests\n"
    yield "Measured on two cores. M11 has one case for each architecture and format, and runs two cases at a time. Rows without an entry"
    yield "have not been run to their end yet.\n"
    yield from table(("row", "case", "figures"), _figures())


def _hostile_load() -> Iterator[str]:
    """The section about `benchmarks/hostile_load.py`."""
    if not HOSTILE.is_file():
        return
    result = json.loads(HOSTILE.read_text("utf-8"))
    figures = result["figures"]
    yield f"\n## Hostile load\n\n{result['about']}\n"
    yield from figure_table(figures.values())
    details = figures["lives"]["details"]
    if remark := figures["lives"]["details"].get("remark"):
        yield f"\n{remark}"
    yield f"\nAt most, the service had {details['resident_mib']:,.0f} MiB resident. What the hostile callers got, by status (`none`: no"
    yield "answer within 40 s; `closed`: the connection was closed without one):\n"
    answers = details["hostile_answers"].items()
    rows = (
        (name, ", ".join(f"{count:,} x {status}" for status, count in sorted(came.items())))
        for name, came in answers
    )
    yield from table(("hostile requests", "answers in a minute"), rows)
    yield f"\nTo repeat: `python benchmarks/run.py hostile_load`. {machine_text(result['machine'])}"


def tests() -> dict[str, list[tuple[Path, str, bool]]]:
    """Tests of each row: the file, the name, and whether it is a soak test."""
    found: dict[str, list[tuple[Path, str, bool]]] = {}
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            named = re.match(r"test_([ahimr]\d\d)_", getattr(node, "name", ""))
            if named and isinstance(node, ast.FunctionDef):
                is_soak = any("mark.soak" in ast.unparse(each) for each in node.decorator_list)
                found.setdefault(named[1].upper(), []).append((file, node.name, is_soak))
    return found


def _links(found: Iterable[tuple[Path, str, bool]]) -> str:
    """Links to the test files, each with its number of tests."""
    counts: dict[tuple[Path, bool], int] = {}
    for file, _, is_soak in found:
        counts[file, is_soak] = counts.get((file, is_soak), 0) + 1
    return ", ".join(
        f"[{file.stem}](../../{file.relative_to(ROOT).as_posix()}) {count}{' in the soak' if is_soak else ''}"
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
        spans = (f"{min(values):,} to {max(values):,} {_words(name)}" for name, values in ranges.items())
        yield row, f"{len(cases)} cases", ", ".join(spans)


def _words(name: str) -> str:
    return name.replace("_", " ")
