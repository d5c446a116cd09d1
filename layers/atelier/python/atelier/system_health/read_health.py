"""Read how the deployment is. A part that cannot be read is null, with its reason; the others are read all the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import Field

from atelier.dataclass import dataclass
from atelier.lazy_model import LazyModel
from atelier.telemetry import logger

# All parts are read at once; a request may last 29 s.
SECONDS_MAX = 15.0
FIRES = "ALARM"
# From which share on a quota is nearly used up: raising one takes AWS some days.
QUOTA_NEAR = 0.8


class PartUnread(Exception):
    """A part cannot be read; the text is the reason, for people."""


class TableView(LazyModel):
    """One table. Items and bytes are counted every six hours or so."""

    name: str
    status: str = Field(examples=["ACTIVE"])
    items: int
    bytes: int


class MessageQueueView(LazyModel):
    """One queue, with about how many messages it has."""

    name: str
    messages: int = Field(description="Those that wait.")
    in_flight: int = Field(description="Those that are being worked on.")
    is_dead_letters: bool


class StreamView(LazyModel):
    """What takes records of a table's stream, or messages of a queue, to a function."""

    function: str
    source: str = Field(description="The table or queue.")
    state: str = Field(examples=["Enabled"])
    last_result: str | None
    age_seconds: float | None = Field(
        description="How old the last records were that the function took from streams in the last quarter of an hour, "
        "at most; null where that is not known, as for queues."
    )


class ScheduleView(LazyModel):
    """One schedule."""

    name: str
    state: str = Field(examples=["ENABLED"])
    expression: str = Field(examples=["rate(1 day)"])


class AlarmView(LazyModel):
    """One alarm. The description ends with its runbook."""

    name: str
    state: str = Field(examples=["OK", FIRES, "INSUFFICIENT_DATA"])
    since: datetime
    reason: str
    description: str


class QuotaView(LazyModel):
    """One quota of AWS, and how much of it is used."""

    name: str = Field(examples=["lambda-concurrency"])
    unit: str = Field(examples=["executions at the same time"])
    limit: float | None = Field(description="null = it cannot be read; see `reason`.")
    used: float | None = Field(description="At most in the last hour, or as its unit says; null = not known.")
    share: float | None = Field(description="used / limit", examples=[0.12])
    is_near: bool = Field(description=f"{QUOTA_NEAR:.0%} or more are used.")
    reason: str | None = Field(description="Why limit or used is null.")


class SystemStatus(StrEnum):
    """`attention`: an alarm fires, a queue of dead letters has messages, a quota is nearly used up, or a part cannot be
    read."""

    OK = "ok"
    ATTENTION = "attention"


class SystemHealth(LazyModel):
    """How the deployment is. A part that cannot be read is null."""

    status: SystemStatus
    tables: list[TableView] | None
    queues: list[MessageQueueView] | None
    streams: list[StreamView] | None
    schedules: list[ScheduleView] | None
    alarms: list[AlarmView] | None = Field(description="Those that fire are first.")
    quotas: list[QuotaView] | None
    unread: dict[str, str] = Field(description="Why a part is null, by its name.")


class DeploymentParts(Protocol):
    """What the deployment consists of. Each part raises PartUnread; they may be read at once."""

    def tables(self) -> list[TableView]: ...

    def queues(self) -> list[MessageQueueView]: ...

    def streams(self, now: datetime) -> list[StreamView]: ...

    def schedules(self) -> list[ScheduleView]: ...

    def alarms(self) -> list[AlarmView]: ...

    def quotas(self, now: datetime) -> list[QuotaView]: ...


@dataclass(frozen=True, slots=True)
class HealthDeps:
    """Dependencies. seconds_max: for how long parts are waited for; one that takes longer is missing."""

    parts: DeploymentParts
    seconds_max: float = SECONDS_MAX


def read_health(*, deps: HealthDeps, now: datetime) -> SystemHealth:
    """Read all parts at once."""
    parts = deps.parts
    found, unread = _read_together(
        {
            "tables": parts.tables,
            "queues": parts.queues,
            "streams": lambda: parts.streams(now),
            "schedules": parts.schedules,
            "alarms": parts.alarms,
            "quotas": lambda: parts.quotas(now),
        },
        deps.seconds_max,
    )
    alarms: list[AlarmView] = sorted(found["alarms"] or [], key=lambda alarm: (alarm.state != FIRES, alarm.name))
    return SystemHealth(
        status=_status(found["queues"] or [], alarms, found["quotas"] or [], unread),
        tables=found["tables"],
        queues=found["queues"],
        streams=found["streams"],
        schedules=found["schedules"],
        alarms=None if found["alarms"] is None else alarms,
        quotas=found["quotas"],
        unread=unread,
    )


def quota_view(name: str, unit: str, limit: float | None, used: float | None, reason: str | None = None) -> QuotaView:
    """A quota with the share that is used. reason: why one of both is not known."""
    share = used / limit if used is not None and limit else None
    is_near = share is not None and share >= QUOTA_NEAR
    return QuotaView(name=name, unit=unit, limit=limit, used=used, share=share, is_near=is_near, reason=reason)


def _status(
    queues: Sequence[MessageQueueView],
    alarms: Sequence[AlarmView],
    quotas: Sequence[QuotaView],
    unread: Mapping[str, str],
) -> SystemStatus:
    dead = any(queue.is_dead_letters and queue.messages + queue.in_flight for queue in queues)
    needed = bool(unread) or dead or any(alarm.state == FIRES for alarm in alarms)
    needed = needed or any(quota.is_near for quota in quotas)
    return SystemStatus.ATTENTION if needed else SystemStatus.OK


def _read_together(reads: Mapping[str, Callable[[], Any]], seconds_max: float) -> tuple[dict[str, Any], dict[str, str]]:
    """What each part gave, None for those that failed; and the reasons of those."""
    pool = ThreadPoolExecutor(len(reads))
    begun = {name: pool.submit(read) for name, read in reads.items()}
    wait(begun.values(), seconds_max)
    # A part that hangs is not waited for: its client gives up at last.
    pool.shutdown(wait=False, cancel_futures=True)
    unread = {name: reason for name, future in begun.items() if (reason := _failure(name, future, seconds_max))}
    return {name: None if name in unread else future.result() for name, future in begun.items()}, unread


def _failure(name: str, future: Future[Any], seconds_max: float) -> str | None:
    if not future.done():
        return f"It took longer than {seconds_max:g} seconds."
    error = future.exception()
    if error is None:
        return None
    logger.warning("a part of the deployment cannot be read", part=name, exc_info=error)
    return str(error) if isinstance(error, PartUnread) else "It failed; the log of the function says why."
