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
    if "parent_id" in new:
        _relay_stage(workspace_id, generation_id, new, old)
        return
    if old is None:
        _start(workspace_id, generation_id, new)
        return
    if "cancel_requested_at" in new and "cancel_requested_at" not in old:
        queue().cancel(workspace_id, generation_id)
    status, before = new["status"]["S"], old["status"]["S"]
    if status != before and status not in OPEN:
        _bus().publish([(f"generation.{status}", _ended(workspace_id, generation_id, new))])
        if "budgets" in new:
            budgets.watch(workspace_id, json.loads(new["budgets"]["S"]), _tell, system_clock())
    if status == Status.EXPIRED != before and "pipeline" not in new:
        _ask_once_more(workspace_id, generation_id, new)


def _start(workspace_id: str, generation_id: str, new: Image) -> None:
    if new["status"]["S"] not in OPEN:
        # Served from an earlier result: there is nothing to do but to tell it.
        status = new["status"]["S"]
        _bus().publish([(f"generation.{status}", _ended(workspace_id, generation_id, new))])
    elif "pipeline" in new:
        workflow().start_run(workspace_id, generation_id)
    else:
        workflow().start(workspace_id, generation_id)


def _relay_stage(workspace_id: str, stage_id: str, new: Image, old: Image | None) -> None:
    """A stage is begun by its run, and what it comes to is settled and told with it."""
    if old is None:
        return
    if "cancel_requested_at" in new and "cancel_requested_at" not in old:
        queue().cancel(workspace_id, stage_id)
    status, before = new["status"]["S"], old["status"]["S"]
    if status == before or status in OPEN:
        return
    run_id = new["parent_id"]["S"]
    _bus().publish([(f"stage.{status}", {**_ended(workspace_id, stage_id, new), "run_id": run_id})])
    if status == Status.EXPIRED:
        _ask_once_more(workspace_id, stage_id, new)
    elif before == Status.EXPIRED:
        # It came late, and nobody may be waiting: its run has an end to look at.
        workflow().start_run(workspace_id, run_id, again=stage_id)


def _ended(workspace_id: str, generation_id: str, new: Image) -> dict[str, str | int | None]:
    status = new["status"]["S"]
    return {
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


def _tell(kind: str, detail: dict[str, str | int | None]) -> None:
    _bus().publish([(kind, detail)])


def _ask_once_more(workspace_id: str, generation_id: str, expired: Image) -> None:
    """The result may have been there all the time, and only its delivery had failed: then nobody asks any more."""
    attempts: list[dict[str, str]] = json.loads(expired.get("attempts", {}).get("S", "[]"))
    if attempts and "ended_at" not in attempts[-1]:
        queue().poll_later(workspace_id, generation_id, attempts[-1]["id"], UNHEARD, FINISH_SECONDS)
