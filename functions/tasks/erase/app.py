"""State machine task: erase an account or an organisation, as much as the time allows."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.erasures.erase import run_erase_step
from atelier.wiring import erasures


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {subject, is_last: the pass after which it is complete}; returns {subject, is_last, has_ended}."""
    return run_erase_step(event, deps=erasures.erase_deps(clock), context=context)
