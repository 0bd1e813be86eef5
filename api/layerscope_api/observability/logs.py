"""The log: one line for each request and each warning. No line contains a key, a body or an option."""

import logging
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from layerscope_api.observability.printable import printable

LogFormat = Literal["json", "text"]

REQUESTS = logging.getLogger("layerscope_api.requests")
"""The logger of requests, one line each. The fields of the line are in the attribute `request` of the record."""


def configure_logs(log_format: LogFormat) -> None:
    """Log warnings and requests to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    REQUESTS.setLevel(logging.INFO)


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
            **getattr(record, "request", {}),
        }
        if record.exc_info:
            line["exception"] = printable(self.formatException(record.exc_info))
        return orjson.dumps(line, default=str).decode()


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(
            f" {name}={value}" for name, value in getattr(record, "request", {}).items() if value is not None
        )
        line = f"{_time(record)} {record.levelname.lower()} {record.getMessage()}{fields}"
        text = f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
        # Only the first line of a record begins at the margin, so that no message can pass for another record.
        return printable(text).replace("\n", "\n  ")


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
