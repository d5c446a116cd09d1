"""Structured logs and metrics in CloudWatch's embedded metric format (EMF), by Powertools. Lines of level INFO never
contain a secret, a token, a password or a prompt."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.shared.functions import get_tracer_id

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics import MetricUnit


class _Formatter(LambdaPowertoolsFormatter):
    """Powertools' formatter; a record that has a finished `line` already is written as it is."""

    def format(self, record: logging.LogRecord) -> str:
        line: str | None = getattr(record, "line", None)
        return super().format(record) if line is None else line


logger = Logger(logger_formatter=_Formatter())
LINES = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str)
# The record of every line about a request, of which only the line is written.
REQUEST_RECORD = logging.LogRecord("atelier", logging.INFO, "", 0, "request", None, None)


def log_request(**facts: Any) -> None:
    """Log the one line of each request, in the logger's format, without the logger: the logger would search the stack
    for the calling line, which is always the same here, and so take half the time of a warm request."""
    if logger.log_level > logging.INFO:
        return
    now = time.time()
    timestamp = time.strftime(f"%Y-%m-%d %H:%M:%S,{int(now % 1 * 1000):03}%z", time.localtime(now))
    line = {"level": "INFO", "message": "request", "timestamp": timestamp, "service": logger.service, **facts}
    if trace_id := get_tracer_id():
        line["xray_trace_id"] = trace_id
    REQUEST_RECORD.line = LINES.encode(line)
    for handler in logger.handlers:
        handler.handle(REQUEST_RECORD)


def put_count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Write one count metric as an embedded-metric-format line, with the given dimensions."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Count, value, dimensions)


def put_duration(metric: str, milliseconds: int, **dimensions: str) -> None:
    """Write one duration metric in milliseconds."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Milliseconds, milliseconds, dimensions)


def put_percent(metric: str, value: int, **dimensions: str) -> None:
    """Write one percentage metric: a share or a difference, in whole percent."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Percent, value, dimensions)


def _emit(metric: str, unit: MetricUnit, value: int, dimensions: dict[str, Any]) -> None:
    # Imported here: most warm requests write no metric, and the import costs a cold start.
    from aws_lambda_powertools.metrics import single_metric

    with single_metric(name=metric, unit=unit, value=value) as emitted:
        for name, text in dimensions.items():
            emitted.add_dimension(name=name, value=text)
