"""The statistics extension of Triton, computed from the metrics: counts and times in nanoseconds, for each version."""

from collections.abc import Sequence
from typing import Any

from layerscope.execution.interface import ModelRecord
from layerscope_api.observability.metrics import MetricsSource
from layerscope_api.observability.samples import Samples

_NANOSECONDS = 1e9
_STAGES = {
    "queue": "queue",
    "compute_input": "decode",
    "compute_infer": "run",
    "compute_output": "encode",
}


def model_statistics(records: Sequence[ModelRecord], metrics: MetricsSource) -> dict[str, Any]:
    """The statistics of the loaded versions since the start of the service."""
    samples = Samples.of(metrics.collect())
    return {"model_stats": [_version(each, samples) for each in records if each.description is not None]}


def _version(record: ModelRecord, samples: Samples) -> dict[str, Any]:
    labels = {"model": record.name, "version": str(record.version)}
    memory = 0 if record.description is None else record.description.memory_bytes
    return {
        "name": labels["model"],
        "version": labels["version"],
        "last_inference": int(1000 * samples.value("layerscope_last_answer_timestamp_seconds", **labels)),
        "inference_count": int(samples.value("layerscope_inferences_total", **labels)),
        "execution_count": int(samples.value("layerscope_executions_total", **labels)),
        "inference_stats": _inferences(samples, labels),
        "batch_stats": _batches(samples, labels),
        "memory_usage": [{"type": "CPU", "id": 0, "byte_size": memory}],
    }


def _inferences(samples: Samples, labels: dict[str, str]) -> dict[str, Any]:
    failures = sum(
        value
        for (name, others), value in samples.values.items()
        if name == "layerscope_requests_total" and others >= labels.items() and dict(others)["code"] >= "4"
    )
    hits, misses = (samples.value(f"layerscope_cache_{each}_total", **labels) for each in ("hits", "misses"))
    return {
        "success": _histogram(samples, "layerscope_request_seconds", **labels),
        "fail": {"count": int(failures), "ns": 0},
        **{
            name: _histogram(samples, "layerscope_stage_seconds", **labels, stage=stage)
            for name, stage in _STAGES.items()
        },
        "cache_hit": {"count": int(hits), "ns": 0},
        "cache_miss": {"count": int(misses), "ns": 0},
    }


def _histogram(samples: Samples, name: str, **labels: str) -> dict[str, int]:
    return {
        "count": int(samples.value(f"{name}_count", **labels)),
        "ns": int(_NANOSECONDS * samples.value(f"{name}_sum", **labels)),
    }


def _batches(samples: Samples, labels: dict[str, str]) -> list[dict[str, Any]]:
    """How many runs there were of each batch size; large sizes are counted together, under the greatest of them."""
    counts = {
        float(dict(others)["le"]): value
        for (name, others), value in samples.values.items()
        if name == "layerscope_batch_rows_bucket" and others >= labels.items()
    }
    batches, below = [], 0.0
    for rows, count in sorted(counts.items()):
        if count > below and rows != float("inf"):
            batches.append({"batch_size": int(rows), "compute_infer": {"count": int(count - below), "ns": 0}})
        below = count
    return batches
