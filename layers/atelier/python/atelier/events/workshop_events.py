"""The events of workshops, which are part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class WorkshopChange:
    """A workshop was scheduled, changed after that, completed or cancelled."""

    source: ClassVar[str] = "atelier.workshops"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"workshop.{change}" for change in ("scheduled", "changed", "completed", "cancelled")
    )

    workspace_id: Workspace
    workshop_id: Annotated[str, "the workshop"]
    change: Annotated[str, "what happened, as in the type"]
    number: Annotated[int, "counts the changes of the workshop, with gaps"]
    title: Annotated[str, "the workshop's title"]
    starts_at: Instant
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"workshop.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.workshop_id}#{self.number}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class EnrolmentChange:
    """Somebody enrolled in a workshop, waits for a place, is offered one, withdrew or did not confirm in time; or the
    workshop was cancelled, and the fee given back (`workshop.refunded`). `workshop.moved` is published for everybody
    who is enrolled or waits when the workshop gets other times, `workshop.reminder` for each attendee before the
    start."""

    source: ClassVar[str] = "atelier.workshops"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"workshop.{change}"
        for change in ("enrolled", "waiting", "offered", "withdrawn", "lapsed", "refunded", "moved", "reminder")
    )

    workspace_id: Workspace
    workshop_id: Annotated[str, "the workshop"]
    enrolment_id: Annotated[str, "the enrolment"]
    user_id: Annotated[str, "who enrolled"]
    change: Annotated[str, "what happened, as in the type"]
    title: Annotated[str, "the workshop's title"]
    starts_at: Instant
    hours: Annotated[int, "of a reminder: how many hours before the start; of others 0"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"workshop.{self.change}"

    @property
    def id(self) -> str:
        once = f"#{self.starts_at}#{self.hours}" if self.hours else ""
        once = f"#{self.changed_at}" if self.change == "moved" else once
        return f"{self.enrolment_id}#{self.change}{once}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at
