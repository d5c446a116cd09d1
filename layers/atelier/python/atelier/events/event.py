"""What every event has."""

from __future__ import annotations

from typing import Annotated, ClassVar, Protocol

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
