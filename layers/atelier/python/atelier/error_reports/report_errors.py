"""Report the errors in a batch of lines to the tracker."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atelier.error_reports.model import read_reports
from atelier.error_reports.ports import ErrorTracker
from atelier.telemetry import logger


def report_errors(log_events: Sequence[Mapping[str, Any]], *, tracker: Callable[[], ErrorTracker]) -> None:
    """log_events: CloudWatch Logs' events, {id, timestamp, message}. A batch without an error calls nobody. Raises
    Unavailable when not all reports were accepted; repeating it counts none twice."""
    reports = read_reports(log_events)
    if reports:
        tracker().send(reports)
    logger.info("errors reported", lines=len(log_events), errors=len(reports))
