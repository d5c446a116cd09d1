"""Schedule: refresh the shutdown dates of models. A notice is logged 60, 30 and 7 days before, and on the day."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.telemetry import logger, put_count
from atelier.wiring import sunsets


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """Refresh the dates and log the notices. Safe to repeat: each notice is given once."""
    report = sunsets.refresh(system_clock())
    for notice in report.notices:
        logger.warning(
            "a model leaves" if notice.days_left else "a model is offered no more",
            model=notice.model,
            sunset_at=notice.sunset_at.isoformat(),
            days_left=notice.days_left,
            successor=notice.successor,
        )
    if report.notices:
        put_count("ModelsLeaving", len(report.notices))
    logger.info("sunsets looked at", lists=report.lists, notices=len(report.notices))
    return {"lists": report.lists, "notices": len(report.notices)}
