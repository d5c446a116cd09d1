"""The dependencies of workshops."""

from __future__ import annotations

from collections.abc import Callable

from atelier.dataclass import dataclass
from atelier.events.ports import EventPublisher
from atelier.idempotency import IdempotencyKeys
from atelier.ledger.post import PostDeps
from atelier.workshops.model import Workshop
from atelier.workshops.ports import WorkshopPeople, WorkshopStore


@dataclass(frozen=True, slots=True)
class AdvanceDeps:
    """What advancing workshops needs. wallets: the wallets of payers and educators. publisher: makes what publishes
    events; not every visit has one."""

    store: WorkshopStore
    wallets: PostDeps
    publisher: Callable[[], EventPublisher]


@dataclass(frozen=True, slots=True)
class WorkshopDeps:
    """What requests about workshops need. has_assets(workspace, ids): whether all of these are its assets.
    calendar_file(workshop, is_cancelled): its calendar file."""

    advancing: AdvanceDeps
    people: WorkshopPeople
    idempotency_keys: Callable[[], IdempotencyKeys]
    has_assets: Callable[[str, tuple[str, ...]], bool]
    calendar_file: Callable[[Workshop, bool], bytes]

    @property
    def store(self) -> WorkshopStore:
        """The workshops of this deployment."""
        return self.advancing.store
