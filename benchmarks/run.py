"""Run benchmarks: `python benchmarks/run.py [family …]` prints a table and writes `benchmarks/results/<family>.json`.

Without a name it runs the families that need only the development environment, as `make bench` does. Each family is a
module beside this one with a `measure()`, and runs in a process of its own.
"""

import importlib
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Where TensorFlow is compiled anew by every process, starting one takes thrice as long.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from rich.console import Console
from rich.table import Table
from rig.machine import describe_machine

if TYPE_CHECKING:
    from rig.figures import Figure

RESULTS = Path(__file__).parent / "results"
GROUPS = {
    "quick": (
        "seed",
        "latency",
        "front_door",
        "watching",
        "sweeps",
        "comparisons",
        "extraction",
        "protocol",
        "throughput",
        "breakdown",
        "rendering",
        "startup",
        "footprint",
    ),
    "peers": ("servers", "visualisers", "attributions", "processor"),
}
FAMILIES = (
    *GROUPS["quick"],
    *GROUPS["peers"],
    "explorer",
    "growth",
    "long_job",
    "endurance",
    "faithfulness",
    "hostile_load",
    "jobs",
    "runners",
)


def main(wanted: list[str]) -> None:
    """Run families, or groups of them, by name."""
    families = [family for name in wanted or ["quick"] for family in GROUPS.get(name, (name,))]
    if unknown := [family for family in families if family not in FAMILIES]:
        sys.exit(f"No benchmark is called {unknown[0]}. There are {', '.join((*GROUPS, *FAMILIES))}.")
    if len(families) == 1:
        _run(families[0])
        return
    for family in families:
        subprocess.run([sys.executable, __file__, family], check=True)


def _run(family: str) -> None:
    module = importlib.import_module(family)
    figures: dict[str, Figure] = module.measure()
    rows = {name: figure.row() for name, figure in figures.items()}
    result = {"about": inspect.getdoc(module), "machine": describe_machine(), "figures": rows}
    (RESULTS / f"{family}.json").write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    _print(family, rows)


def _print(family: str, rows: dict[str, dict[str, Any]]) -> None:
    table = Table(title=family)
    for column in ("what", "against"):
        table.add_column(column, overflow="fold")
    for column in ("figure", "quartiles", "CPU", "goal", "reached"):
        table.add_column(column, justify="right")
    for row in rows.values():
        goal = f"<= {row['most']}" if "most" in row else f">= {row['least']}" if "least" in row else ""
        reached = {True: "yes", False: "[red]no[/red]", None: ""}[row.get("reached")]
        quartiles = f"{row['low']} - {row['high']}" if "low" in row else ""
        figure = f"{row['value']} {row['unit']}"
        table.add_row(row["what"], row["against"], figure, quartiles, str(row.get("cpu", "")), goal, reached)
    Console().print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
