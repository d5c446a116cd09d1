"""Delete archived assets whose time is over: how long they are kept is a limit of the tier.

A workspace is told first. A *notice* says which assets go (those that were archived until then) and when, at least
NOTICE_TIME later; its owner gets one mail. What is taken out of the archive meanwhile stays, and so does what something
needs (*holds*). There is one notice at a time, so a workspace gets few mails, and an asset may stay some weeks longer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.catalogue.catalogue import Catalogue
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.ledger.ports import WalletStore
from atelier.library.delete_asset import remove_file
from atelier.library.model import DeletedAsset
from atelier.library.ports import Assets, StoredFiles

# How long before their deletion the owner is told.
NOTICE_TIME = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class ArchivedAsset:
    """An asset in the archive."""

    id: str
    archived_at: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CleanUpNotice:
    """What a workspace is told: at `due_at`, or later, assets go that were archived until `archived_until`. count,
    size_bytes: of them when it was written. is_sent: whether its mail was requested."""

    archived_until: datetime
    due_at: datetime
    count: int
    size_bytes: int
    is_sent: bool = False


class ArchivedAssets(Assets, Protocol):
    """Assets, as the archive's clean-up sees them."""

    def archived(self, workspace_id: str, until: datetime) -> Iterator[ArchivedAsset]:
        """The assets that were archived until then, and are not deleted (consistent read)."""
        ...

    def delete_archived(self, workspace_id: str, asset_id: str, until: datetime, now: datetime) -> DeletedAsset | None:
        """Delete an asset as `delete` does, if it is still archived since then or before; None if it is not."""
        ...


class CleanUpNotices(Protocol):
    """Notices: one of a workspace at a time."""

    def find(self, workspace_id: str) -> CleanUpNotice | None: ...

    def add(self, workspace_id: str, notice: CleanUpNotice) -> CleanUpNotice:
        """Store a notice unless there is one; returns the stored one."""
        ...

    def note_sent(self, workspace_id: str) -> None: ...

    def end(self, workspace_id: str, notice: CleanUpNotice, *, events: Sequence[AuditEvent] = ()) -> None:
        """Remove a notice, if it is still this one, in one transaction with the events."""
        ...


# The ids of those assets of a workspace that something needs: lineage, characters, avatars; pages and listings join.
AssetHold = Callable[[str], frozenset[str]]


@dataclass(frozen=True, slots=True)
class CleanArchivedDeps:
    """Dependencies. days: for how many days a workspace's tier keeps archived assets; 0 = for ever. tell: requests the
    mail of a notice; the same notice again is no second mail."""

    assets: ArchivedAssets
    files: StoredFiles
    notices: CleanUpNotices
    holds: Sequence[AssetHold]
    days: Callable[[str, datetime], int]
    tell: Callable[[str, CleanUpNotice], None]


def days_kept(workspace_id: str, now: datetime, *, catalogue: Catalogue, wallets: WalletStore) -> int:
    """For how many days the tier of a workspace keeps archived assets; 0 = for ever, also where there is no wallet."""
    try:
        wallet = wallets.wallet(workspace_id)
    except NotFound:
        return 0
    return catalogue.tier(wallet.tier_at(now)).archived_days


def find_expired(workspace_id: str, *, deps: CleanArchivedDeps, now: datetime) -> tuple[ArchivedAsset, ...]:
    """The archived assets of a workspace whose time is over."""
    days = deps.days(workspace_id, now)
    return _unneeded(workspace_id, now - timedelta(days=days), deps) if days else ()


def clean_archived(workspace_id: str, *, deps: CleanArchivedDeps, now: datetime) -> tuple[ArchivedAsset, ...]:
    """Tell the owner what will go, and delete what is due; returns what was deleted. Safe to repeat, in parallel too,
    and to stop at any point."""
    notice = deps.notices.find(workspace_id)
    days = deps.days(workspace_id, now)
    if not days:
        if notice is not None:
            deps.notices.end(workspace_id, notice)
        return ()
    deleted: tuple[ArchivedAsset, ...] = ()
    if notice is not None and notice.is_sent and notice.due_at <= now:
        # A tier that keeps them longer may have been bought meanwhile.
        until = min(notice.archived_until, now - timedelta(days=days))
        deleted = _delete(workspace_id, until, deps, now)
        events = [_event(workspace_id, deleted, now)] if deleted else []
        deps.notices.end(workspace_id, notice, events=events)
        notice = None
    if notice is None:
        notice = _write_notice(workspace_id, now - timedelta(days=days) + NOTICE_TIME, deps, now)
    if notice is not None and not notice.is_sent:
        deps.tell(workspace_id, notice)
        deps.notices.note_sent(workspace_id)
    return deleted


def _write_notice(workspace_id: str, until: datetime, deps: CleanArchivedDeps, now: datetime) -> CleanUpNotice | None:
    going = _unneeded(workspace_id, min(until, now), deps)
    if not going:
        return None
    size = sum(asset.size_bytes for asset in going)
    return deps.notices.add(workspace_id, CleanUpNotice(min(until, now), now + NOTICE_TIME, len(going), size))


def _delete(workspace_id: str, until: datetime, deps: CleanArchivedDeps, now: datetime) -> tuple[ArchivedAsset, ...]:
    gone: list[ArchivedAsset] = []
    for asset in _unneeded(workspace_id, until, deps):
        deleted = deps.assets.delete_archived(workspace_id, asset.id, until, now)
        if deleted is not None:
            remove_file(deleted, assets=deps.assets, files=deps.files)
            gone.append(asset)
    return tuple(gone)


def _unneeded(workspace_id: str, until: datetime, deps: CleanArchivedDeps) -> tuple[ArchivedAsset, ...]:
    archived = tuple(deps.assets.archived(workspace_id, until))
    held = frozenset[str]().union(*(hold(workspace_id) for hold in deps.holds)) if archived else frozenset[str]()
    return tuple(asset for asset in archived if asset.id not in held)


def _event(workspace_id: str, deleted: Sequence[ArchivedAsset], now: datetime) -> AuditEvent:
    size = sum(asset.size_bytes for asset in deleted)
    return audit_event(workspace_id, "assets.cleaned_up", Origin(), now, count=len(deleted), bytes=size)
