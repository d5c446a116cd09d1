"""The outbox, composed: what a committed change of a generation sets in motion."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from atelier.aws.events import EventBridgeBus
from atelier.clock import system_clock
from atelier.generations.attempt import FINISH_SECONDS, UNHEARD
from atelier.generations.model import OPEN, Status
from atelier.settings import EventBus
from atelier.wiring import budgets
from atelier.wiring.workflow import queue, workflow

Image = dict[str, dict[str, Any]]


@cache
def _bus() -> EventBridgeBus:
    return EventBridgeBus(EventBus.read().name)


def relay(workspace_id: str, generation_id: str, new: Image, old: Image | None) -> None:
    """Act on one change, given the stream's images (DynamoDB JSON). Every effect is safe to repeat."""
    if old is None:
        workflow().start(workspace_id, generation_id)
        return
    if "cancel_requested_at" in new and "cancel_requested_at" not in old:
        queue().cancel(workspace_id, generation_id)
    status, before = new["status"]["S"], old["status"]["S"]
    if status != before and status not in OPEN:
        detail = {
            # One id per fact: whoever reads the event twice knows it.
            "id": f"{generation_id}#{status}",
            "workspace_id": workspace_id,
            "generation_id": generation_id,
            "status": status,
            "model": new.get("model", {}).get("S"),
            "credits_charged": int(new.get("credits_charged", {}).get("N", 0)),
            "cost_microusd": int(new.get("cost_microusd", {}).get("N", 0)),
            "completed_at": new.get("completed_at", {}).get("S"),
        }
        _bus().publish([(f"generation.{status}", detail)])
        if "budgets" in new:
            budgets.watch(workspace_id, json.loads(new["budgets"]["S"]), _tell, system_clock())
    if status == Status.EXPIRED != before:
        _ask_once_more(workspace_id, generation_id, new)


def _tell(kind: str, detail: dict[str, str | int | None]) -> None:
    _bus().publish([(kind, detail)])


def _ask_once_more(workspace_id: str, generation_id: str, expired: Image) -> None:
    """The result may have been there all the time, and only its delivery had failed: then nobody asks any more."""
    attempts: list[dict[str, str]] = json.loads(expired.get("attempts", {}).get("S", "[]"))
    if attempts and "ended_at" not in attempts[-1]:
        queue().poll_later(workspace_id, generation_id, attempts[-1]["id"], UNHEARD, FINISH_SECONDS)
