"""The event catalogue: an event's payload, and the consumer's way back from it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from atelier.events.catalogue import EVENTS, GenerationEnded, StageEnded, UnknownEvent, parse
from atelier.events.dispatch import dispatch
from atelier.events.event import Event, payload
from atelier.events.limits import BudgetAlert

WORKSPACE, GENERATION, RUN = "wsp_A", "gen_B", "gen_C"
AT = "2026-11-20T21:10:13.902Z"
ENDED = GenerationEnded(WORKSPACE, GENERATION, "succeeded", "local/canvas", 1, 0, AT)
STAGE = StageEnded(WORKSPACE, GENERATION, "failed", None, 0, 0, AT, RUN)
ALERT = BudgetAlert("alr_0D", WORKSPACE, "workspace", "threshold_reached", 80, 1000, 900, "2026-11", AT)


def test_a_payload_has_the_envelope_and_the_fields() -> None:
    assert payload(STAGE) == {
        "id": "gen_B#failed",
        "version": 1,
        "occurred_at": AT,
        "workspace_id": WORKSPACE,
        "generation_id": GENERATION,
        "status": "failed",
        "model": None,
        "credits_charged": 0,
        "cost_microusd": 0,
        "completed_at": AT,
        "run_id": RUN,
    }
    assert payload(ALERT) == {
        "id": "alr_0D",
        "version": 1,
        "occurred_at": AT,
        "workspace_id": WORKSPACE,
        "budget": "workspace",
        "alert_type": "threshold_reached",
        "threshold": 80,
        "budget_microusd": 1000,
        "current_spend_microusd": 900,
        "period": "2026-11",
        "triggered_at": AT,
    }


@pytest.mark.parametrize("event", [ENDED, STAGE, ALERT], ids=lambda event: event.type)
def test_an_event_round_trips_through_its_payload(event: Event) -> None:
    assert parse(event.type, json.loads(json.dumps(payload(event)))) == event
    assert event.type in type(event).types


def test_a_payload_without_a_version_is_of_the_first_version() -> None:
    detail = payload(ENDED)
    del detail["version"], detail["occurred_at"]
    assert parse(ENDED.type, detail) == ENDED


def test_an_unknown_field_is_ignored() -> None:
    assert parse(ENDED.type, {**payload(ENDED), "colour": "blue"}) == ENDED


@pytest.mark.parametrize(
    ("event_type", "changes"),
    [("generation.painted", {}), (ENDED.type, {"version": 2}), ("stage.failed", {})],
    ids=["type", "version", "missing field"],
)
def test_an_event_that_this_build_does_not_know_is_an_error(event_type: str, changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownEvent):
        parse(event_type, {**payload(ENDED), **changes})


def test_each_type_belongs_to_one_event() -> None:
    types = [name for event in EVENTS for name in event.types]
    assert len(types) == len(set(types))


def test_an_event_reaches_the_handlers_of_its_class() -> None:
    received: list[Event] = []
    dispatch(ENDED, {GenerationEnded: [received.append, received.append], BudgetAlert: [received.append]})
    dispatch(STAGE, {GenerationEnded: [received.append]})
    assert received == [ENDED, ENDED]


def test_a_failing_handler_fails_the_event_after_the_others_have_it() -> None:
    received: list[Event] = []

    def fail(event: Event) -> None:
        raise ConnectionError(event.id)

    with pytest.raises(ExceptionGroup, match=r"generation\.succeeded") as failed:
        dispatch(ENDED, {GenerationEnded: [fail, received.append]})
    assert received == [ENDED]
    assert [type(error) for error in failed.value.exceptions] == [ConnectionError]
