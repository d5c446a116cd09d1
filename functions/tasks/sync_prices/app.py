"""Task: compare the price list with Stripe's products and prices, and write the differences there when told to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atelier.billing.sync_prices import sync_prices
from atelier.catalogue.price_list import PublishedVersion
from atelier.clock import system_clock
from atelier.telemetry import logger
from atelier.wiring import payments


def handler(event: dict[str, Any], _context: object) -> Mapping[str, int | str]:
    """event: {"apply": true} writes; anything else, such as the schedule's, only compares. proposed: versions that
    are about to be published, as {kind, entry}. Safe to repeat."""
    proposed = [PublishedVersion(each["kind"], each["entry"], system_clock()) for each in event.get("proposed", ())]
    report = sync_prices(payments.price_sync_deps(proposed), apply=event.get("apply") is True)
    logger.info("prices compared with Stripe", steps=len(report.steps), applied=report.applied)
    return report.view()
