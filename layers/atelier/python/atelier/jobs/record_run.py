"""Record the last run of each job, for administrators: one small write at its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from functools import wraps
from typing import Any, TypeVar

from atelier.clock import Clock, system_clock
from atelier.dataclass import dataclass
from atelier.telemetry import logger

ResultT = TypeVar("ResultT")


class RunResult(StrEnum):
    """How a run ended. One that was killed, or whose time was up, records nothing."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class JobRun:
    """One run of a job."""

    job: str
    started_at: datetime
    ended_at: datetime
    result: RunResult


def every_event(_event: object) -> bool:
    """Of a function that does nothing but its job, each event is a run."""
    return True


def recorded(
    job: str,
    save: Callable[[JobRun], None],
    clock: Clock = system_clock,
    *,
    is_run: Callable[[Any], bool] = every_event,
) -> Callable[[Callable[..., ResultT]], Callable[..., ResultT]]:
    """Decorates the handler of a job: its runs are saved. A run does not fail because it cannot be saved.

    is_run: whether an event is a run of the job, for a function that also has other events."""

    def decorate(handler: Callable[..., ResultT]) -> Callable[..., ResultT]:
        @wraps(handler)
        def run(*arguments: Any, **named: Any) -> ResultT:
            started_at, result = clock(), RunResult.FAILED
            try:
                answer = handler(*arguments, **named)
                result = RunResult.SUCCEEDED
                return answer
            finally:
                if is_run(arguments[0] if arguments else None):
                    _save(JobRun(job, started_at, clock(), result), save)

        return run

    return decorate


def _save(run: JobRun, save: Callable[[JobRun], None]) -> None:
    try:
        save(run)
    except Exception:
        logger.exception("the run of a job cannot be recorded", job=run.job)
