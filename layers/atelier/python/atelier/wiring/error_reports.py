"""Error reports, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.sentry.tracker import SentryTracker
from atelier.error_reports.ports import ErrorTracker
from atelier.settings import Deployment, ErrorTracking


@cache
def error_tracker() -> ErrorTracker:
    """The deployment's error tracker."""
    return SentryTracker(ErrorTracking.read().dsn, Deployment.read().stage)
