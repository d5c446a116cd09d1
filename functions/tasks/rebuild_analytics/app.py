"""Task: an operator compares the sums of a workspace with its records, and repairs them."""

from __future__ import annotations

from typing import Any

from atelier.analytics.rebuild import rebuild, report
from atelier.clock import Clock, system_clock
from atelier.wiring import analytics


def handler(event: dict[str, Any], context: Any, clock: Clock = system_clock) -> dict[str, Any]:
    """event: {"workspace_id", "repairs"}. Until the answer says `is_done`, the next call goes on. Safe to repeat."""
    repairs, deps = event.get("repairs") is True, analytics.rebuild_deps()
    return report(rebuild(str(event["workspace_id"]), repairs=repairs, deps=deps, now=clock(), context=context))
