"""Task: an operator reads the report of the whole platform."""

from __future__ import annotations

from datetime import date
from typing import Any

from atelier.analytics.milestones import report_people
from atelier.analytics.report_platform import report_platform
from atelier.wiring import analytics


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """event: {"from", "to", "microusd_per_credit"}: dates, the second one not included, and what a credit is worth."""
    first, end = (date.fromisoformat(str(event[name])) for name in ("from", "to"))
    report = report_platform(first, end, int(event["microusd_per_credit"]), sums=analytics.platform_sums())
    return report | {"people": report_people(first, end, sums=analytics.milestone_store())}
