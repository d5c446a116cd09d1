"""Which results are late, and the line that tells how a generation ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from atelier.generations.decide_ending import ended_generation
from atelier.generations.measure import measure_generation
from atelier.generations.model import Failure, Kind, Status
from atelier.generations.outcome import Outcome, no_time_left_outcome, unavailable_outcome
from atelier.generations.result_objective import RESULT_TIMES, is_late
from atelier.wiring.prices import prices
from tests.unit.generations.values import NOW, attempt, generation


def test_every_kind_has_a_time() -> None:
    assert set(RESULT_TIMES) == set(Kind)


@pytest.mark.parametrize(
    ("status", "seconds", "late"),
    [
        (Status.SUCCEEDED, 60, False),
        (Status.SUCCEEDED, 61, True),
        (Status.EXPIRED, 300, True),
        (Status.FAILED, 300, None),
        (Status.CANCELLED, 300, None),
        (Status.RUNNING, None, None),
    ],
)
def test_a_result_is_late_after_the_time_of_its_kind(status: Status, seconds: int | None, late: bool | None) -> None:
    ended_at = None if seconds is None else NOW + timedelta(seconds=seconds)
    assert is_late(replace(generation(status=status), completed_at=ended_at)) is late


@pytest.mark.parametrize(("outcome", "late"), [(no_time_left_outcome(), True), (unavailable_outcome(), None)])
def test_a_result_that_was_not_begun_in_time_is_late(outcome: Outcome, late: bool | None) -> None:
    assert is_late(ended_generation(generation(), Status.FAILED, 0, outcome, NOW)) is late


def test_the_line_of_an_end_has_the_facts_of_its_queries(caplog: pytest.LogCaptureFixture) -> None:
    ended = replace(
        generation(attempt(1, ended=True), attempt(2), status=Status.SUCCEEDED),
        completed_at=NOW + timedelta(seconds=2),
        credits_charged=4,
        cost_microusd=4100,
    )
    measure_generation(ended, prices())
    refused = replace(ended, status=Status.FAILED, failure=Failure("CONTENT_REFUSED", "content_refused", "No."))
    measure_generation(refused, prices())
    first, second = [vars(record) for record in caplog.records if record.message == "finished"]
    expected = {
        "workspace_id": "wsp_A",
        "generation_id": ended.id,
        "status": "succeeded",
        "kind": "image",
        "provider": "replicate",
        "model": "replicate/sdxl",
        "attempts": 2,
        "credits": 4,
        "cost_microusd": 4100,
        "duration_ms": 2000,
        "late": 0,
    }
    assert {name: first[name] for name in expected} == expected
    assert (second["code"], "late" in second) == ("CONTENT_REFUSED", False)
    assert "a lighthouse" not in str([first, second])
