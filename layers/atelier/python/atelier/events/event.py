"""What every event has, and its form on the bus."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Protocol, cast

Scalar = str | int | None

Workspace = Annotated[str, "the workspace"]
Instant = Annotated[str, "RFC 3339, UTC"]


class Event(Protocol):
    """What every event has. `types`: the names it may have on the bus; `type`: the one that it has."""

    source: ClassVar[str]
    version: ClassVar[int]
    types: ClassVar[tuple[str, ...]]

    @property
    def type(self) -> str: ...

    @property
    def id(self) -> str:
        """One id for each fact, so that a consumer recognises a repeated event."""
        ...

    @property
    def occurred_at(self) -> str:
        """RFC 3339, UTC."""
        ...


def payload(event: Event) -> dict[str, Scalar]:
    """The event as JSON values, the `detail` on the bus."""
    envelope: dict[str, Scalar] = {"id": event.id, "version": event.version, "occurred_at": event.occurred_at}
    return envelope | {name: getattr(event, name) for name in field_names(type(event))}


def field_names(event: type[Event]) -> tuple[str, ...]:
    """The names of the fields of an event's class, in the order of their declaration."""
    return tuple(field.name for field in dataclasses.fields(cast("Any", event)))
