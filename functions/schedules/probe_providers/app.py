"""Schedule: how are the platform's providers? Who was down is found well again at no caller's expense."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.telemetry import logger
from atelier.wiring import routing


def handler(_event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, int]:
    """Safe to repeat: the questions cost nothing."""
    found = routing.probe(clock)
    for provider, error_class in found.ill:
        logger.warning("a provider is not well", provider=provider, error_class=error_class)
    logger.info("providers asked", asked=len(found.asked), ill=len(found.ill))
    return {"asked": len(found.asked), "ill": len(found.ill)}
