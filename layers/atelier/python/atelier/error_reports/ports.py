"""The port of error reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from atelier.error_reports.model import ErrorReport


class ErrorTracker(Protocol):
    """Where errors are grouped and looked at."""

    def send(self, reports: Sequence[ErrorReport]) -> None:
        """Send reports; one that was sent before is counted once. Raises Unavailable when not all were accepted."""
        ...
