"""The outbox, composed: when a generation changes, start executions, queue messages and publish events."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from atelier.adapters.aws.events import EventBridgeBus
from atelier.clock import system_clock
from atelier.generations.attempt import FINISH_SECONDS, NO_WAITER_POLLS
from atelier.generations.model import OPEN_STATUSES, Status
from atelier.settings import EventBus
from atelier.wiring import budgets
from atelier.wiring.workflow import queue, workflow

StreamImage = dict[str, dict[str, Any]]


@cache
def _bus() -> EventBridgeBus:
    return EventBridgeBus(EventBus.read().name)


def relay(workspace_id: str, generation_id: str, new: StreamImage, old: StreamImage | None) -> None:
    """Act on one change, given its new and old image from the stream (DynamoDB JSON). Every effect is safe to
    repeat."""
    if "parent_id" in new:
        _relay_stage(workspace_id, generation_id, new, old)
        return
    if old is None:
        _start_execution(workspace_id, generation_id, new)
        return
    if "cancel_requested_at" in new and "cancel_requested_at" not in old:
        queue().cancel(workspace_id, generation_id)
    status, before = new["status"]["S"], old["status"]["S"]
    if status != before and status not in OPEN_STATUSES:
        _bus().publish([(f"generation.{status}", _end_event(workspace_id, generation_id, new))])
        if "budgets" in new:
            budgets.publish_due_alerts(workspace_id, json.loads(new["budgets"]["S"]), _publish, system_clock())
    if status == Status.EXPIRED != before and "pipeline" not in new:
        _poll_once_more(workspace_id, generation_id, new)


def _start_execution(workspace_id: str, generation_id: str, new: StreamImage) -> None:
    if new["status"]["S"] not in OPEN_STATUSES:
        # The generation reuses an earlier result and is final already: only its event is published.
        status = new["status"]["S"]
        _bus().publish([(f"generation.{status}", _end_event(workspace_id, generation_id, new))])
    elif "pipeline" in new:
        workflow().start_run(workspace_id, generation_id)
    else:
        workflow().start(workspace_id, generation_id)


def _relay_stage(workspace_id: str, stage_id: str, new: StreamImage, old: StreamImage | None) -> None:
    """Act on the change of a stage. Unlike other generations it is started, settled and counted on budgets by its
    run."""
    if old is None:
        return
    if "cancel_requested_at" in new and "cancel_requested_at" not in old:
        queue().cancel(workspace_id, stage_id)
    status, before = new["status"]["S"], old["status"]["S"]
    if status == before or status in OPEN_STATUSES:
        return
    run_id = new["parent_id"]["S"]
    _bus().publish([(f"stage.{status}", {**_end_event(workspace_id, stage_id, new), "run_id": run_id})])
    if status == Status.EXPIRED:
        _poll_once_more(workspace_id, stage_id, new)
    elif before == Status.EXPIRED:
        # A late result of an expired stage: start the run again, because no execution may be left to finish it.
        workflow().start_run(workspace_id, run_id, again=stage_id)


def _end_event(workspace_id: str, generation_id: str, new: StreamImage) -> dict[str, str | int | None]:
    status = new["status"]["S"]
    return {
        # One id for each fact, so that a consumer recognises a repeated event.
        "id": f"{generation_id}#{status}",
        "workspace_id": workspace_id,
        "generation_id": generation_id,
        "status": status,
        "model": new.get("model", {}).get("S"),
        "credits_charged": int(new.get("credits_charged", {}).get("N", 0)),
        "cost_microusd": int(new.get("cost_microusd", {}).get("N", 0)),
        "completed_at": new.get("completed_at", {}).get("S"),
    }


def _publish(kind: str, detail: dict[str, str | int | None]) -> None:
    _bus().publish([(kind, detail)])


def _poll_once_more(workspace_id: str, generation_id: str, expired: StreamImage) -> None:
    """Poll an expired generation once more. The result may have been ready before, with only its delivery failed: then
    no other poll is queued."""
    attempts: list[dict[str, str]] = json.loads(expired.get("attempts", {}).get("S", "[]"))
    if attempts and "ended_at" not in attempts[-1]:
        queue().poll_later(workspace_id, generation_id, attempts[-1]["id"], NO_WAITER_POLLS, FINISH_SECONDS)
