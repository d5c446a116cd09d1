"""Publish a work: copy it as it is now, name its ancestors, and hand it to the moderators; and take it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.retrying import retrying
from atelier.showcase.deps import ShowcaseDeps
from atelier.showcase.model import (
    Disclosure,
    Listing,
    ListingChanged,
    ListingExists,
    ListingStatus,
    Snapshot,
    SnapshotFile,
    WorkKind,
    ancestors_of,
)
from atelier.showcase.ports import Works
from atelier.showcase.rules import LICENCES

# Of so many listings in a work, the nearest ones, the licences and royalties count.
ORIGINS_MAX = 50
TRIES_MAX = 60
BUSY = "The listing is busy. Try again."
IDEMPOTENCY_SCOPE = "showcase"
# The field of a character's document that names its images.
REFERENCES = "reference_asset_ids"


@dataclass(frozen=True, slots=True)
class Creator:
    """The verified caller who publishes."""

    workspace_id: str
    user_id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class ListingFields:
    """What a creator says of a listing. is_ai: whether the creator declares an upload as made by AI."""

    kind: WorkKind
    subject_id: str
    title: str
    description: str
    tags: tuple[str, ...]
    licence: str
    price_credits: int
    is_ai: bool


def publish(
    creator: Creator, fields: ListingFields, request_key: str | None, *, deps: ShowcaseDeps, now: datetime
) -> tuple[Listing, bool]:
    """Publish a work of the creator's workspace, for the moderators first; and whether the same request did so before.
    Raises ValidationFailed, PromptRefused, Conflict, IdempotencyMismatch."""
    works = deps.works()
    files, snapshot, bought_as = _read_work(creator.workspace_id, fields, works)
    _require_changed(snapshot, bought_as, deps)
    bought = _bought_origins(files, bought_as, works, deps)
    _require_allowed(bought)
    deps.check()([("title", fields.title), ("description", fields.description), ("tags", " ".join(fields.tags))], now)
    listing_id = new_id("lst", now)
    if request_key is not None:
        key = f"{IDEMPOTENCY_SCOPE} {request_key}"
        facts = fingerprint(str(fields))
        listing_id = deps.idempotency_keys().reserve(creator.workspace_id, key, facts, listing_id)
    shown = next((file.sha256 for file in snapshot.files if file.has_thumbnail), None)
    new = Listing(
        listing_id,
        creator.workspace_id,
        creator.user_id,
        fields.kind,
        fields.subject_id,
        files[0].type if fields.kind is WorkKind.ASSET else fields.kind.value,
        fields.title,
        fields.description,
        fields.tags,
        fields.licence,
        fields.price_credits,
        _disclosure(fields, files),
        ListingStatus.PENDING,
        now,
        now,
        shown,
        ancestors_of(bought),
    )
    for file in snapshot.files:
        works.copy_file(creator.workspace_id, listing_id, file.sha256, file.format)
    try:
        deps.listings.create(new, snapshot, [listing_event(new, "published", creator.origin, now)])
    except ListingExists:
        return deps.listings.find(listing_id), True
    return new, False


def remove(creator: Creator, listing_id: str, *, deps: ShowcaseDeps, now: datetime) -> Listing:
    """Take a listing back; its buyers keep what they bought. Raises NotFound."""

    def attempt() -> Listing:
        before = own_listing(creator.workspace_id, listing_id, deps)
        if before.status is ListingStatus.REMOVED:
            return before
        after = replace(before, status=ListingStatus.REMOVED, updated_at=now, version=before.version + 1)
        deps.listings.change(before, after, [listing_event(after, "removed", creator.origin, now)])
        return after

    return retrying(attempt, on=ListingChanged, busy=BUSY, tries_max=TRIES_MAX, pause=deps.wallets.pause)


def own_listing(workspace_id: str, listing_id: str, deps: ShowcaseDeps) -> Listing:
    """A listing of the caller's workspace. Raises NotFound."""
    listing = deps.listings.find(listing_id)
    if listing.workspace_id != workspace_id:
        raise NotFound
    return listing


def listing_event(listing: Listing, what: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    """The audit event of a change of a listing."""
    said: dict[str, Any] = {"title": listing.title, "status": listing.status.value, **facts}
    said["price_credits"] = listing.price_credits
    return audit_event(listing.workspace_id, f"listing.{what}", origin, now, target=listing.id, **said)


def _read_work(workspace_id: str, fields: ListingFields, works: Works) -> tuple[Sequence[Asset], Snapshot, str | None]:
    """The assets of a work, the copy that is published, and the listing that a character or a template was bought as.
    Raises ValidationFailed when there is no such work, Conflict for a bought asset."""
    path = f"{fields.kind.value}_id"
    if fields.kind is WorkKind.ASSET:
        assets = works.assets(workspace_id, [fields.subject_id])
        if not assets:
            raise ValidationFailed([{"path": path, "message": "names what this workspace does not have"}])
        if assets[0].listing_id:
            raise Conflict("You have bought this. Publish what you make of it.", listing_id=assets[0].listing_id)
        return assets, Snapshot(tuple(map(_snapshot_file, assets))), None
    try:
        document, bought_as = works.document(workspace_id, fields.subject_id)
    except NotFound:
        raise ValidationFailed([{"path": path, "message": "names what this workspace does not have"}]) from None
    wanted = document.get(REFERENCES, [])
    assets = works.assets(workspace_id, wanted)
    if len(assets) != len(wanted):
        raise ValidationFailed([{"path": path, "message": "names a character of whose images some are deleted"}])
    return assets, Snapshot(tuple(map(_snapshot_file, assets)), document), bought_as


def _require_changed(snapshot: Snapshot, bought_as: str | None, deps: ShowcaseDeps) -> None:
    """Raises Conflict for a character or a template that is as it was bought. The images of a bought character have ids
    of their own, so they are not compared."""
    if bought_as is None:
        return
    try:
        bought = deps.listings.snapshot(bought_as).document
    except NotFound:
        return
    said, was = ({**(each or {}), REFERENCES: None} for each in (snapshot.document, bought))
    if said == was:
        raise Conflict("You have bought this. Publish what you make of it.", listing_id=bought_as)


def _bought_origins(
    assets: Sequence[Asset], bought_as: str | None, works: Works, deps: ShowcaseDeps
) -> Sequence[Listing]:
    """The listings that were bought and are in a work, the nearest first: the one that it was bought as itself, and
    those in what its assets were made of."""
    own = [bought_as] if bought_as else []
    found = dict.fromkeys([*own, *(origin for each in assets for origin in works.bought_origins(each))])
    return deps.listings.find_all(list(found)[:ORIGINS_MAX])


def _require_allowed(bought: Sequence[Listing]) -> None:
    """Raises Conflict when the licence of something bought does not allow what is made from it to be published."""
    for each in bought:
        if not LICENCES[each.licence].allows_remix:
            raise Conflict(
                f"It was made from “{each.title}”, whose licence does not allow that.",
                listing_id=each.id,
                licence=each.licence,
            )


def _disclosure(fields: ListingFields, assets: Sequence[Asset]) -> Disclosure:
    """What the provenance says: somebody who was made by a generation here is AI, whatever the creator says."""
    if any(asset.generation_id for asset in assets):
        return Disclosure.GENERATED
    return Disclosure.DECLARED if fields.is_ai else Disclosure.UPLOADED


def _snapshot_file(asset: Asset) -> SnapshotFile:
    return SnapshotFile(
        asset.id,
        asset.type,
        asset.name,
        asset.format,
        asset.sha256,
        asset.size_bytes,
        asset.width,
        asset.height,
        asset.duration_ms,
        asset.has_thumbnail,
    )
