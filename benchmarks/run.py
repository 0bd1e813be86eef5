"""`make bench`: measure, print a table, and write `benchmarks/results/seed.json`."""

import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from rich.console import Console
from rich.table import Table
from seed import compare, save
from served import served

from layerscope import demo

RESULTS = Path(__file__).parent / "results" / "seed.json"
UNIT = 1 / 255


def main() -> None:
    """Measure the demo model and MobileNetV2."""
    models = {
        "digits": keras.models.load_model(demo.MODELS / "digits" / "1" / "model.keras", compile=False),
        "mobilenetv2": keras.applications.MobileNetV2(weights=None),
    }
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models.items():
            save(model, Path(folder), name, json.dumps({"preprocessing": {"preset": "unit"}}))
        with served(Path(folder)) as address:
            rows = {name: compare(model, name, address, UNIT) for name, model in models.items()}
    _print(rows)
    RESULTS.write_text(json.dumps({"machine": _machine(), "seed": _rounded(rows)}, indent=2) + "\n")


def _machine() -> dict[str, object]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("keras", "tensorflow-cpu", "numpy", "fastapi", "layerscope")},
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _rounded(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {name: {key: float(f"{value:.3g}") for key, value in row.items()} for name, row in rows.items()}


def _print(rows: dict[str, dict[str, float]]) -> None:
    table = Table(title="The snippet in process against the request over HTTP (medians; ratios pair by pair)")
    table.add_column("model")
    for column in ("snippet, 8 layers", "HTTP, 8 layers", "ratio", "matshow", "HTTP picture", "ratio"):
        table.add_column(column, justify="right")
    for name, row in rows.items():
        table.add_row(
            name,
            f"{row['snippet_ms']:.1f} ms",
            f"{row['http_ms']:.1f} ms",
            f"{row['tensors_ratio']:.1f} x",
            f"{row['snippet_picture_ms']:.1f} ms",
            f"{row['http_picture_ms']:.1f} ms",
            f"{row['picture_ratio']:.1f} x",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
