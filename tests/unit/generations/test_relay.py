"""The outbox on values: the effects of each change of a generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from atelier.events.event import Event
from atelier.feeds.model import FeedEvent
from atelier.generations.attempt_messages import FINISH_SECONDS, Poll, VisitCause
from atelier.generations.change import GenerationChange, GenerationState
from atelier.generations.model import Status
from atelier.generations.relay import RelayDeps, relay
from atelier.projects.model import Alert, Budget

NOW = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
WORKSPACE, GENERATION, RUN = "wsp_A", "gen_B", "gen_C"
QUEUED = GenerationState(
    status=Status.QUEUED,
    is_run=False,
    run_id=None,
    is_cancel_requested=False,
    budgets=(),
    model=None,
    credits_charged=0,
    cost_microusd=0,
    completed_at="2026-11-20T21:10:00.000Z",
    open_attempt_id=None,
    kind="image",
    user_id="usr_F",
    created_at="2026-11-20T21:09:00.000Z",
    project_id=None,
    stage=None,
    progress=0,
    delayed_until=None,
    delayed_candidate=None,
    assets=(),
    failure=None,
)
RUNNING = replace(QUEUED, status=Status.RUNNING, model="replicate/sdxl", open_attempt_id="att_D")
EXPIRED = replace(RUNNING, status=Status.EXPIRED)
SUCCEEDED = replace(RUNNING, status=Status.SUCCEEDED, open_attempt_id=None, credits_charged=2)
START = f"start {GENERATION}"
POLL = f"poll {GENERATION} att_D {Poll(no_waiter=True)} {FINISH_SECONDS}"


class Effects:
    """Workflow, AttemptQueue, EventPublisher and AlertStore that note their calls. Of the budget `prj_E`, 80 percent
    are spent."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(
        self, workspace_id: str, generation_id: str, *, again: str | None = None, cause: VisitCause | None = None
    ) -> None:
        self.calls.append(f"start {generation_id}")

    def start_express(self, workspace_id: str, generation_id: str) -> None:
        self.calls.append(f"start express {generation_id}")

    def start_run(self, workspace_id: str, run_id: str, *, again: str | None = None) -> None:
        self.calls.append(f"start run {run_id} again={again}")

    def cancel(self, workspace_id: str, generation_id: str) -> None:
        self.calls.append(f"cancel {generation_id}")

    def poll_later(
        self, workspace_id: str, generation_id: str, attempt_id: str, poll: Poll, delay_seconds: int
    ) -> None:
        self.calls.append(f"poll {generation_id} {attempt_id} {poll} {delay_seconds}")

    def publish(self, event: Event) -> None:
        self.calls.append(event.type)

    def append(self, feed_id: str, events: Sequence[FeedEvent], now: datetime, position: object = None) -> None:
        self.calls += [f"{feed_id} {event.type}" for event in events]

    def budget(self, workspace_id: str, name: str) -> Budget | None:
        return Budget(workspace_id, name, 1000, spent_microusd=800) if name == "prj_E" else None

    def raise_alert(self, alert: Alert) -> Alert:
        self.calls.append(f"alert {alert.threshold}")
        return alert

    def mark_published(self, alert: Alert, now: datetime) -> None:
        self.calls.append(f"published {alert.threshold}")


CHANGES: dict[str, tuple[GenerationState | None, GenerationState, list[str]]] = {
    "new": (None, QUEUED, [START]),
    "new, answered at once": (None, replace(QUEUED, starts_express=True), [f"start express {GENERATION}"]),
    "new run": (None, replace(QUEUED, is_run=True), [f"start run {GENERATION} again=None"]),
    "new stage": (None, replace(QUEUED, run_id=RUN), []),
    "new with a reused result": (None, SUCCEEDED, ["generation.succeeded"]),
    "started": (QUEUED, RUNNING, []),
    "progress": (RUNNING, RUNNING, []),
    "cancellation requested": (RUNNING, replace(RUNNING, is_cancel_requested=True), [f"cancel {GENERATION}"]),
    "cancellation requested before": (
        replace(RUNNING, is_cancel_requested=True),
        replace(RUNNING, is_cancel_requested=True),
        [],
    ),
    "succeeded": (RUNNING, SUCCEEDED, ["generation.succeeded"]),
    "succeeded, charged to budgets": (
        RUNNING,
        replace(SUCCEEDED, budgets=("prj_E", "prj_gone")),
        ["generation.succeeded", "alert 80", "budget.alert", "published 80"],
    ),
    "stage succeeded, charged to its run's budgets": (
        replace(RUNNING, run_id=RUN),
        replace(SUCCEEDED, run_id=RUN, budgets=("prj_E",)),
        ["stage.succeeded"],
    ),
    "succeeded before": (SUCCEEDED, SUCCEEDED, []),
    "expired": (RUNNING, EXPIRED, ["generation.expired", POLL]),
    "expired without an open attempt": (QUEUED, replace(EXPIRED, open_attempt_id=None), ["generation.expired"]),
    "expired run": (replace(RUNNING, is_run=True), replace(EXPIRED, is_run=True), ["generation.expired"]),
    "late result": (EXPIRED, SUCCEEDED, ["generation.succeeded"]),
    "stage succeeded": (replace(RUNNING, run_id=RUN), replace(SUCCEEDED, run_id=RUN), ["stage.succeeded"]),
    "stage expired": (replace(RUNNING, run_id=RUN), replace(EXPIRED, run_id=RUN), ["stage.expired", POLL]),
    "late result of a stage": (
        replace(EXPIRED, run_id=RUN),
        replace(SUCCEEDED, run_id=RUN),
        ["stage.succeeded", f"start run {RUN} again={GENERATION}"],
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_has_exactly_its_effects(name: str) -> None:
    before, after, expected = CHANGES[name]
    effects = Effects()
    deps = RelayDeps(effects, effects, effects, effects, effects, lambda *_: 3)
    relay(GenerationChange(WORKSPACE, GENERATION, before, after, 1), deps=deps, now=NOW)
    assert effects.calls == expected
