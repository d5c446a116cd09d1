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


def recorded(
    job: str, save: Callable[[JobRun], None], clock: Clock = system_clock
) -> Callable[[Callable[..., ResultT]], Callable[..., ResultT]]:
    """Decorates the handler of a job: its runs are saved. A run does not fail because it cannot be saved."""

    def decorate(handler: Callable[..., ResultT]) -> Callable[..., ResultT]:
        @wraps(handler)
        def run(*arguments: Any, **named: Any) -> ResultT:
            started_at, result = clock(), RunResult.FAILED
            try:
                answer = handler(*arguments, **named)
                result = RunResult.SUCCEEDED
                return answer
            finally:
                _save(JobRun(job, started_at, clock(), result), save)

        return run

    return decorate


def _save(run: JobRun, save: Callable[[JobRun], None]) -> None:
    try:
        save(run)
    except Exception:
        logger.exception("the run of a job cannot be recorded", job=run.job)
