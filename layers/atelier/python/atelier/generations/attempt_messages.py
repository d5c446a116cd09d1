"""What one visit of the attempt step leaves for a later one: polls to come, reserved slots, and why a visit begins.

The values and their JSON forms. The forms are read from queues and task outputs, so each reader also understands what
an earlier build has written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.clock import parse_rfc3339, rfc3339
from atelier.dataclass import dataclass
from atelier.provider_port import ErrorClass

# An earlier build marked polls without a waiter by counting on from this number.
NO_WAITER_POLLS_BEFORE = 1000
# A parallel finish of the same generation has ended within this time. A poll without a waiter is delayed by it.
FINISH_SECONDS = 60
# The delay between two polls of an open generation doubles this many times at most, and is at most this long.
DELAY_DOUBLINGS_MAX = 6
POLL_DELAY_SECONDS_MAX = 60


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll of an attempt. `number` counts the polls before it. `no_waiter`: the series began because no execution was
    there to take the result, or because the generation has expired; its count starts anew."""

    number: int = 0
    no_waiter: bool = False

    @property
    def is_first_without_waiter(self) -> bool:
        """Whether this poll is the one that the loss of the execution, or the expiry, has queued."""
        return self.no_waiter and self.number == 0

    def next(self) -> Poll:
        """The poll after this one."""
        return Poll(self.number + 1, self.no_waiter)

    def delay_seconds(self, first_seconds: int) -> int:
        """The delay before the next poll of an open generation, when the one before the first was `first_seconds`."""
        doublings = DELAY_DOUBLINGS_MAX if self.no_waiter else min(self.number, DELAY_DOUBLINGS_MAX)
        return min(first_seconds * 2**doublings, POLL_DELAY_SECONDS_MAX)

    def as_data(self) -> dict[str, int | bool]:
        """Plain JSON values; the flag is left out while it is false."""
        return {"polls": self.number, **({"no_waiter": True} if self.no_waiter else {})}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Poll:
        """The inverse of `as_data`. Takes a whole message; its other fields are ignored."""
        number = int(data["polls"])
        if number >= NO_WAITER_POLLS_BEFORE:
            return cls(number - NO_WAITER_POLLS_BEFORE, no_waiter=True)
        return cls(number, no_waiter=bool(data.get("no_waiter", False)))


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that is reserved for a generation: the candidate, and the time at which the request may be sent."""

    candidate: str
    at: datetime

    def __str__(self) -> str:
        return f"{rfc3339(self.at)} {self.candidate}"

    @classmethod
    def parse(cls, text: str) -> Slot:
        """The inverse of `str`."""
        at, _, candidate = text.partition(" ")
        return cls(candidate, parse_rfc3339(at))


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The visit begins because this attempt failed: why, and what the provider bills for it."""

    attempt_id: str
    error_class: str
    cost_microusd: int = 0
    cost_source: str = "estimate"

    def as_data(self) -> dict[str, Any]:
        """Plain JSON values; an attempt that cost nothing has no cost."""
        cost = {"cost_microusd": self.cost_microusd, "cost_source": self.cost_source} if self.cost_microusd else {}
        return {"attempt_id": self.attempt_id, "error_class": self.error_class, **cost}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> AttemptFailed:
        """The inverse of `as_data`."""
        return cls(
            data["attempt_id"], data["error_class"], data.get("cost_microusd", 0), data.get("cost_source", "estimate")
        )


@dataclass(frozen=True, slots=True)
class SlotDue:
    """The visit begins because the time has come that the generation waited for. `slot` is what was reserved for it;
    None = nothing was reserved."""

    slot: Slot | None

    def as_data(self) -> dict[str, Any]:
        """Plain JSON values: those of a failed attempt without an id, as every build has written them."""
        slot = {"turn": str(self.slot)} if self.slot else {}
        return {"attempt_id": "", "error_class": ErrorClass.RATE_LIMITED, **slot}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> SlotDue:
        """The inverse of `as_data`. Takes a whole message; its other fields are ignored."""
        return cls(Slot.parse(data["turn"]) if data.get("turn") else None)


VisitCause = AttemptFailed | SlotDue


def visit_cause(data: Mapping[str, Any]) -> VisitCause:
    """Why a visit begins, from the JSON values of either type."""
    return AttemptFailed.from_data(data) if data["attempt_id"] else SlotDue.from_data(data)
