"""Ended generations of the kind page, from the event bus: what they wrote for a site becomes a draft."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.clock import Clock, system_clock
from atelier.events.catalogue import GenerationEnded, parse
from atelier.events.dispatch import Subscriptions, dispatch
from atelier.telemetry import logger
from atelier.wiring import page_writing


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """event: EventBridge's envelope of `generation.succeeded`. A failure repeats it; each draft is saved once."""
    subscriptions: Subscriptions = {GenerationEnded: [partial(page_writing.save, now=clock())]}
    dispatch(parse(event["detail-type"], event["detail"]), subscriptions)
    names = {name: event["detail"][name] for name in ("workspace_id", "generation_id")}
    logger.info("saved", extra=names)
