"""Results of the benchmarks from `benchmarks/results`: the page `performance.md` and the table of the README."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from tables import table

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"
FAMILIES = {
    "latency": "One request",
    "front_door": "Keys and logs",
    "watching": "Watched layers",
    "sweeps": "Sweeps",
    "comparisons": "Comparisons",
    "extraction": "Features of many images",
    "long_job": "A long job",
    "jobs": "Requests beside a job",
    "runners": "Features of many images, elsewhere",
    "protocol": "The Open Inference Protocol",
    "throughput": "Sixteen callers",
    "servers": "Other model servers",
    "breakdown": "Where the time goes",
    "startup": "Starting",
    "endurance": "Many requests, many sizes",
    "growth": "Growth",
    "footprint": "Memory",
    "seed": "The usual snippet",
    "rendering": "Drawing",
    "explorer": "The explorer in a browser",
    "visualisers": "Libraries that show activations",
    "attributions": "Libraries that explain networks",
    "faithfulness": "Faithfulness of heat maps",
    "processor": "The limit of the processor",
}

_SERVED = {"digits": "the demo model", "mobilenetv2": "MobileNetV2"}


def readme() -> str:
    """Markdown of the README's table: the usual snippet beside the requests that replace it."""
    result = _results()["seed"]
    figures, machine = result["figures"], result["machine"]
    rows = (
        (title, *(f"**{figures[f'{name}_{kind}']['value']:.3g} x**" for kind in ("tensors", "picture")))
        for name, title in _SERVED.items()
    )
    lines = "\n".join(table(("model", "eight layers as tensors", "one channel as a picture"), rows))
    return (
        f"{lines}\n\nMeasured on {machine['cores']} cores with Keras {machine['keras']}, by `make bench`."
        " [Performance](docs/explanation/performance.md) has all figures and says what each was compared with.\n"
    )


def performance() -> Iterator[str]:
    """Lines of the page `performance.md`."""
    results = _results()
    yield "# Performance\n"
    yield from _method()
    yield "## Goals\n"
    yield from figure_table(
        figure for result in results.values() for figure in result["figures"].values() if "reached" in figure
    )
    for family, result in results.items():
        yield f"\n## {FAMILIES[family]}\n"
        yield f"{result['about']}\n"
        yield from figure_table(result["figures"].values())
        yield from _curves(result["figures"].values())
        yield from _costs(result["figures"].values())
        yield f"\nTo repeat: `python benchmarks/run.py {family}`. {machine_text(result['machine'])}"


_BUSY = 0.6
"""How busy replicas should be on average, so that requests seldom wait."""


def capacity() -> str:
    """Markdown of the table of how many replicas, and how many hours, are needed for so much."""
    results = _results()
    request = results["throughput"]["figures"]["different_layers"]["details"]["ours_ms"] / 1_000
    image = max(each["details"]["ours_ms"] for each in results["extraction"]["figures"].values()) / 1_000
    cores = results["throughput"]["machine"]["cores"]
    requests = [
        (f"{rate:,} requests a second", f"{math.ceil(rate * request / _BUSY):,} replicas of {cores} cores")
        for rate in (100, 1_000, 10_000)
    ]
    images = [
        (
            f"features of {count:,} images",
            f"{_number(count * image / 3_600)} hours of a machine of {cores} cores",
        )
        for count in (1_000_000, 100_000_000, 1_000_000_000)
    ]
    lines = "\n".join(table(("for", "about"), [*requests, *images]))
    return (
        f"{lines}\n\nMeasured is one machine of {cores} cores with MobileNetV2, JPEGs of 224 pixels and one layer in the"
        f" middle: {_number(request * 1_000)} ms a request with 16 callers, and {_number(image * 1_000)} ms an image of a job. Assumed are"
        f" that machines add up, and replicas that are {_BUSY:.0%} busy. Measure your own model: `layerscope extract` says how long it took,"
        " and `layerscope_request_seconds` how long requests take.\n"
    )


def curves() -> dict[str, dict[str, list[float]]]:
    """Curves of growth by name; each has its axis first, then `ours_ms` and `theirs_ms` in milliseconds."""
    figures = _results().get("growth", {"figures": {}})["figures"]
    return {name: figure["details"]["curve"] for name, figure in figures.items()}


def _results() -> dict[str, Any]:
    """Results by benchmark family, in the order of the page."""
    paths = {family: RESULTS / f"{family}.json" for family in FAMILIES}
    return {family: json.loads(path.read_text("utf-8")) for family, path in paths.items() if path.is_file()}


def _method() -> Iterator[str]:
    yield "Every figure is a ratio of two measurements that were made side by side in one run. The two alternate; each turn"
    yield "gives one ratio, and the figure is the median of the ratios. The middle half of the ratios lies between the two"
    yield "numbers beside it. A machine that is slow for a while is slow for both, so ratios are comparable where times are"
    yield "not. CPU is the same ratio in processor seconds: of the service's processes, or of the process that is compared.\n"
    yield "*Over HTTP* means a connection that is kept open to a service in a process of its own, on the same machine, with an"
    yield "image that no request had before, unless the figure says that something is cached. Networks have random weights,"
    yield "which are as fast as trained ones.\n"
    yield "The figures do not show:\n"
    yield "- the speed on other machines: with more cores, the share of HTTP and Python grows. Run the benchmarks there."
    yield "- the network between client and service; it limits large tensors."
    yield "- other servers with other models. The peers are in `benchmarks/peers`; improvements are welcome."
    yield "- the time of the first request for a choice of layers, which compiles its plan: warm-up turns do not count.\n"
    yield "`make bench` measures what needs only the development environment. `make bench-peers` compares with other software,"
    yield "each in an environment of its own. `growth`, `long_job`, `endurance`, `faithfulness`, `hostile_load`, `jobs`, `runners` (after"
    yield "`make test-clusters`) and `explorer` (with Chromium) run by name, as in `python benchmarks/run.py growth`.\n"


def figure_table(figures: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table of some figures of a result."""
    columns = ("what", "against", "figure", "middle half of the turns", "CPU", "goal", "")
    yield from table(columns, map(_row, figures))


def _row(figure: dict[str, Any]) -> tuple[str, ...]:
    goal = next((f"{word} {figure[key]:g}" for key, word in _GOALS.items() if key in figure), "")
    half = f"{_number(figure['low'])} to {_number(figure['high'])}" if "low" in figure else ""
    reached = {True: "reached", False: "**not reached**", None: ""}[figure.get("reached")]
    value = f"**{_number(figure['value'])}** {figure['unit']}"
    return figure["what"], figure["against"], value, half, _number(figure.get("cpu", "")), goal, reached


_GOALS = {"most": "at most", "least": "at least"}


def _curves(figures: Iterable[dict[str, Any]]) -> Iterator[str]:
    for figure in figures:
        if curve := figure["details"].get("curve"):
            yield ""
            rows = zip(*curve.values(), strict=True)
            columns = tuple(_COLUMNS.get(column, column) for column in curve)
            yield from table(columns, (tuple(map(_number, row)) for row in rows))


def _costs(figures: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Lines of the table of what runners took, if these are of runners."""
    costs = [figure["details"]["costs"] for figure in figures if "costs" in figure["details"]]
    if costs:
        yield ""
        yield from table(tuple(costs[0]), (tuple(map(_number, each.values())) for each in costs))


_COLUMNS = {"ours_ms": "Layerscope, ms", "theirs_ms": "compared with, ms"}


def _number(value: object) -> str:
    """Text of a number: three digits, without a power of ten."""
    if not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine_text(machine: dict[str, Any]) -> str:
    """The sentence about the machine of a result."""
    packages = ", ".join(f"{name} {machine[name]}" for name in ("tensorflow-cpu", "keras", "numpy"))
    return (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB,"
        f" {machine['system']}, Python {machine['python']}, {packages}."
    )
