"""The runs of jobs are recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.jobs.record_run import JobRun, RunResult, recorded

NOW = datetime(2026, 11, 29, tzinfo=UTC)


class Ticking:
    """A clock that goes on by a second at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> datetime:
        self.looks += 1
        return NOW + timedelta(seconds=self.looks)


def test_a_run_is_saved_with_its_times_and_its_result() -> None:
    runs = list[JobRun]()

    @recorded("clean-up", runs.append, Ticking())
    def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
        if event.get("fails"):
            raise ValueError("no")
        return {"done": 1}

    assert handler({}, None) == {"done": 1}
    with pytest.raises(ValueError, match="no"):
        handler({"fails": True}, None)
    assert [(run.job, run.result) for run in runs] == [
        ("clean-up", RunResult.SUCCEEDED),
        ("clean-up", RunResult.FAILED),
    ]
    assert runs[0].ended_at - runs[0].started_at == timedelta(seconds=1)
    assert handler.__name__ == "handler"


def test_a_run_does_not_fail_because_it_cannot_be_saved() -> None:
    def save(_: JobRun) -> None:
        raise OSError("the table is away")

    assert recorded("clean-up", save)(lambda: 7)() == 7


def test_of_a_function_with_other_work_only_the_runs_of_the_job_are_saved() -> None:
    runs = list[JobRun]()

    @recorded("send-notifications", runs.append, Ticking(), is_run=lambda event: "Records" not in event)
    def handler(event: dict[str, Any], _context: object) -> int:
        return len(event)

    assert [handler(event, None) for event in ({"Records": []}, {}, {"by": "hand"})] == [1, 0, 1]
    assert [run.job for run in runs] == ["send-notifications"] * 2
