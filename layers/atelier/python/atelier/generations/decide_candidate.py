"""Decide which candidate an attempt takes, or how long it waits. Pure: what was read of the candidates comes in, and a
value comes out; `select_candidate.py` reads and reserves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from zlib import crc32

from atelier.dataclass import dataclass
from atelier.generations.attempt_messages import Slot
from atelier.routing.rate_limit import SLOT_GRACE

# The longest delay of a message in SQS.
DELAY_MAX = timedelta(seconds=900)
# What waits resumes this much before its latest start: the message, the execution and a cold start take time.
WAKE_MARGIN = timedelta(seconds=30)
SPREAD_STEPS = 256


@dataclass(frozen=True, slots=True)
class Delay:
    """No candidate may be tried before `until`. The slot is the one reserved for then; None = no reservation."""

    until: datetime
    slot: Slot | None


@dataclass(frozen=True, slots=True)
class NoTimeLeft:
    """No candidate can end before the deadline any more."""


@dataclass(frozen=True, slots=True)
class UseSlot:
    """Try the candidate whose reserved slot is due; no other slot is needed."""

    candidate: str


@dataclass(frozen=True, slots=True)
class LimitedCandidate:
    """A candidate whose provider has answered with a rate limit. until: the end of the limit; latest_start: see the
    function of this name."""

    candidate: str
    until: datetime
    latest_start: datetime


def decide_in_time(run_times: Mapping[str, timedelta], deadline_at: datetime, now: datetime) -> list[str] | NoTimeLeft:
    """The untried candidates that may begin now, in their order. `run_times`: how long each may run at the longest.

    | candidates                                | decision   |
    |-------------------------------------------|------------|
    | none                                      | none       |
    | some end at the deadline at the latest    | those      |
    | all may still run after the deadline      | NoTimeLeft |

    At its deadline a generation gives its credits back, whatever runs then, and the operator pays for what ends later:
    so nothing begins that may. The stages that follow are left no time here, because a delivered stage is charged, and
    kept for a retry."""
    in_time = [candidate for candidate, run_time in run_times.items() if now + run_time <= deadline_at]
    return NoTimeLeft() if run_times and not in_time else in_time


def latest_start(deadline_at: datetime, run_time: timedelta, later_stages: timedelta, now: datetime) -> datetime:
    """The latest start that is worth waiting for: the candidate and the stages that follow can end before the deadline,
    and the queue can wait so long."""
    return min(deadline_at - later_stages - run_time - WAKE_MARGIN, now + DELAY_MAX)


def decide_slot(slot: Slot | None, available: Sequence[str], now: datetime) -> Delay | UseSlot | None:
    """What the slot that was reserved for this visit is good for; None = it is good for nothing, another is needed.
    `available`: the untried candidates that are not in cooldown.

    | slot                               | decision       |
    |------------------------------------|----------------|
    | none                               | None           |
    | of a candidate not available       | None           |
    | later                              | Delay until it |
    | now, or SLOT_GRACE ago at the most | UseSlot        |
    | longer ago                         | None           |
    """
    if slot is None or slot.candidate not in available:
        return None
    if slot.at > now:
        return Delay(slot.at, slot)
    return UseSlot(slot.candidate) if now <= slot.at + SLOT_GRACE else None


def decide_reservation(candidate: str, at: datetime, latest: datetime, *, is_reserved: bool) -> Delay | None:
    """What follows from an attempt to reserve a candidate's next slot, which is at `at`; None = try the next candidate.

    | reserved | slot         | decision                      |
    |----------|--------------|-------------------------------|
    | yes      | -            | Delay until it, with the slot |
    | no       | up to latest | Delay until it, without one   |
    | no       | later        | None                          |

    In the second row other processes took the slots first at every try."""
    if is_reserved:
        return Delay(at, Slot(candidate, at))
    return Delay(at, None) if at <= latest else None


def decide_rate_limited(limited: Sequence[LimitedCandidate], generation_id: str, now: datetime) -> Delay | None:
    """The delay until the first rate-limited candidate that can still end in time takes requests again; None = there is
    none. Many generations may wait for the same moment, so each is delayed further by its own share of the waiting
    time: they do not all return at once."""
    for each in sorted(limited, key=lambda each: (each.until, each.candidate)):
        if each.until <= each.latest_start:
            share = crc32(generation_id.encode()) % SPREAD_STEPS / SPREAD_STEPS
            return Delay(min(each.until + (each.until - now) * share, each.latest_start), None)
    return None
