"""The events of livestreams, which are part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class LivestreamChange:
    """A livestream was announced, its first picture came (`livestream.started`), the picture stopped or came back, it
    ended, or a recording of it is in the library."""

    source: ClassVar[str] = "atelier.livestreams"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = tuple(
        f"livestream.{change}" for change in ("scheduled", "started", "interrupted", "resumed", "ended", "recorded")
    )

    workspace_id: Workspace
    livestream_id: Annotated[str, "the livestream"]
    change: Annotated[str, "what happened, as in the type"]
    number: Annotated[int, "counts the changes of the livestream, with gaps"]
    title: Annotated[str, "the livestream's title"]
    starts_at: Instant
    asset_id: Annotated[str, "of a recording: the asset; of others empty"]
    changed_at: Instant

    @property
    def type(self) -> str:
        return f"livestream.{self.change}"

    @property
    def id(self) -> str:
        return f"{self.livestream_id}#{self.number}"

    @property
    def occurred_at(self) -> str:
        return self.changed_at


@dataclass(frozen=True, slots=True)
class LivestreamOpen:
    """A livestream is live, for somebody who is enrolled in its workshop."""

    source: ClassVar[str] = "atelier.livestreams"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("livestream.open",)

    workspace_id: Workspace
    livestream_id: Annotated[str, "the livestream"]
    user_id: Annotated[str, "who is enrolled"]
    title: Annotated[str, "the livestream's title"]
    live_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"{self.livestream_id}#{self.user_id}"

    @property
    def occurred_at(self) -> str:
        return self.live_at
