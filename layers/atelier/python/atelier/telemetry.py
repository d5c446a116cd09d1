"""Structured logs and EMF metrics (Powertools). Never a secret, a token, a password or a prompt at INFO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from aws_lambda_powertools.metrics import MetricUnit

logger = Logger()


def count(metric: str, value: int = 1, **dimensions: str) -> None:
    """Write one count metric as an embedded-metric-format line, with the given dimensions."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Count, value, dimensions)


def duration(metric: str, milliseconds: int, **dimensions: str) -> None:
    """Write one duration metric in milliseconds."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Milliseconds, milliseconds, dimensions)


def percent(metric: str, value: int, **dimensions: str) -> None:
    """Write one share or difference in percent."""
    from aws_lambda_powertools.metrics import MetricUnit

    _emit(metric, MetricUnit.Percent, value, dimensions)


def _emit(metric: str, unit: MetricUnit, value: int, dimensions: dict[str, Any]) -> None:
    # Imported here: most warm requests write no metric, and the import costs a cold start.
    from aws_lambda_powertools.metrics import single_metric

    with single_metric(name=metric, unit=unit, value=value) as emitted:
        for name, text in dimensions.items():
            emitted.add_dimension(name=name, value=text)
