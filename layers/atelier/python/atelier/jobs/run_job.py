"""List the jobs that schedules run, and run one now. Every job may run at any time, and twice at once: it finds what is
due."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from pydantic import Field

from atelier.audit_log.model import PLATFORM_LOG, Origin, audit_event
from atelier.audit_log.ports import AuditLog
from atelier.dataclass import dataclass
from atelier.errors import NotFound, Unavailable
from atelier.jobs.record_run import JobRun, RunResult
from atelier.jobs.schedule_expression import next_run
from atelier.lazy_model import LazyModel
from atelier.telemetry import logger


class JobRunner(Protocol):
    """Starts functions."""

    def start(self, function: str) -> None:
        """Start a function as its schedule does, without waiting for its end."""
        ...


@dataclass(frozen=True, slots=True)
class JobSchedule:
    """What runs a job. begun_at: since when a rate counts."""

    expression: str
    begun_at: datetime
    is_enabled: bool = True


class JobSchedules(Protocol):
    """The schedules of functions."""

    def of(self, functions: Iterable[str]) -> Mapping[str, JobSchedule]:
        """Those that there are, by function. Raises Unavailable."""
        ...


class JobRuns(Protocol):
    """The last runs."""

    def last(self) -> Mapping[str, JobRun]:
        """The last run of each job that has run, by its name."""
        ...


@dataclass(frozen=True, slots=True)
class JobDeps:
    """Dependencies. functions: the function of each job, by the job's name."""

    functions: Mapping[str, str]
    runner: JobRunner
    events: AuditLog
    schedules: JobSchedules
    runs: JobRuns


class LastRunView(LazyModel):
    """The last run that ended, by its schedule or by hand."""

    started_at: datetime
    seconds: float
    result: RunResult


class JobView(LazyModel):
    """One job."""

    name: str = Field(examples=["reset-daily-credits"])
    schedule: str | None = Field(examples=["rate(5 minutes)"], description="null = there is none, or it is unreadable.")
    enabled: bool
    next_run_at: datetime | None = Field(description="By the schedule's expression; a rate's to about a minute.")
    last_run: LastRunView | None = Field(
        description="null = none has ended since the deployment records them. One that was killed is not here."
    )


class JobList(LazyModel):
    """All jobs that can be run by hand, by name."""

    items: list[JobView]


class StartedView(LazyModel):
    """A job that was started. What it does is in its function's log."""

    name: str
    started_at: datetime


def list_jobs(*, deps: JobDeps, now: datetime) -> JobList:
    """The jobs of this deployment. Where schedules cannot be read, the rest is shown all the same."""
    runs = deps.runs.last()
    try:
        schedules = deps.schedules.of(deps.functions.values())
    except Unavailable:
        logger.exception("schedules cannot be read")
        schedules = dict[str, JobSchedule]()
    items = sorted(deps.functions.items())
    return JobList(items=[_view(name, schedules.get(function), runs.get(name), now) for name, function in items])


def _view(name: str, schedule: JobSchedule | None, run: JobRun | None, now: datetime) -> JobView:
    is_enabled = schedule is not None and schedule.is_enabled
    return JobView(
        name=name,
        schedule=schedule.expression if schedule else None,
        enabled=is_enabled,
        next_run_at=next_run(schedule.expression, schedule.begun_at, now) if schedule and is_enabled else None,
        last_run=LastRunView(
            started_at=run.started_at, seconds=(run.ended_at - run.started_at).total_seconds(), result=run.result
        )
        if run
        else None,
    )


def run_job(name: str, origin: Origin, *, deps: JobDeps, now: datetime) -> StartedView:
    """Start a job now, beside its schedule. Raises NotFound."""
    function = deps.functions.get(name)
    if function is None:
        raise NotFound("There is no such job.")
    deps.events.append(audit_event(PLATFORM_LOG, "job.run_requested", origin, now, target=name))
    deps.runner.start(function)
    return StartedView(name=name, started_at=now)
