"""The dependencies of livestreams."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.events.ports import EventPublisher
from atelier.idempotency import IdempotencyKeys
from atelier.livestreams.model import Livestream
from atelier.livestreams.ports import LivestreamStore, StreamingService

# (livestream, asset id, MP4, now): keeps a recording in the library under this id; again, it changes nothing.
KeepRecording = Callable[[Livestream, str, bytes, datetime], None]


@dataclass(frozen=True, slots=True)
class AdvanceLivestreamDeps:
    """What advancing livestreams needs. service: makes the adapter, at first use. enrolled(workshop id): who is
    enrolled in it. keep: None where recordings are left for another function."""

    store: LivestreamStore
    service: Callable[[], StreamingService]
    publisher: Callable[[], EventPublisher]
    enrolled: Callable[[str], Iterable[str]]
    keep: KeepRecording | None


@dataclass(frozen=True, slots=True)
class LivestreamDeps:
    """What requests about livestreams need. tier_names: those of the price list. tier_of(workspace, now): the name of
    its tier. is_enrolled(workshop, user). is_own_workshop(workshop, workspace): whether it is one of the workspace.
    recording_url(workspace, asset, now): the signed URL of an asset's file; None when the asset is gone. pause(tries):
    waits between two tries."""

    advancing: AdvanceLivestreamDeps
    idempotency_keys: Callable[[], IdempotencyKeys]
    tier_names: Callable[[], Collection[str]]
    tier_of: Callable[[str, datetime], str]
    is_enrolled: Callable[[str, str], bool]
    is_own_workshop: Callable[[str, str], bool]
    recording_url: Callable[[str, str, datetime], str | None]
    pause: Callable[[int], None]

    @property
    def store(self) -> LivestreamStore:
        """The livestreams of this deployment."""
        return self.advancing.store

    @property
    def service(self) -> StreamingService:
        """The streaming service of this deployment."""
        return self.advancing.service()
