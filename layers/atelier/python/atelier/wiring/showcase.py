"""The showcase, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.showcase.listings import DynamoListings
from atelier.adapters.aws.dynamodb.showcase.purchases import DynamoPurchases
from atelier.adapters.aws.dynamodb.showcase.reactions import DynamoReactions
from atelier.clock import system_clock
from atelier.ledger.post import PostDeps
from atelier.settings import CommunityTable, IdentityTable, LibraryTable
from atelier.showcase.advance import ShowcaseAdvanceDeps
from atelier.showcase.deps import PaymentDeps, ShowcaseDeps
from atelier.showcase.ports import Checked, TextCheck, Works
from atelier.wiring.audit_log import bind_events
from atelier.wiring.ledger import daily_grant, quota_of, wallets


@cache
def listings() -> DynamoListings:
    """The listings of this deployment."""
    bind_events()
    return DynamoListings(CommunityTable.read().name)


@cache
def deps() -> ShowcaseDeps:
    """The dependencies of requests about the showcase."""
    from atelier.adapters.aws.dynamodb.workshops.people import DynamoWorkshopPeople
    from atelier.wiring.idempotency import idempotency_keys
    from atelier.wiring.media_urls import asset_urls

    community, people = CommunityTable.read().name, DynamoWorkshopPeople(IdentityTable.read().name)
    stores = listings(), purchases(), DynamoReactions(community)
    return ShowcaseDeps(*stores, people, posting(), works, idempotency_keys, text_check, asset_urls)


@cache
def purchases() -> DynamoPurchases:
    """The purchases of this deployment."""
    return DynamoPurchases(CommunityTable.read().name)


@cache
def posting() -> PostDeps:
    """What pays for works."""
    return PostDeps(wallets(), daily_grant, pause_with_jitter)


def payments() -> PaymentDeps:
    """What paying for works needs."""
    return PaymentDeps(listings().find, purchases(), posting())


@cache
def advance_deps() -> ShowcaseAdvanceDeps:
    """The dependencies of the schedule."""
    from atelier.adapters.aws.dynamodb.showcase.ranks import DynamoRanks
    from atelier.wiring.workshops import publisher

    return ShowcaseAdvanceDeps(DynamoRanks(listings()), publisher, payments())


@cache
def works() -> Works:
    """The library, as the showcase copies from it and into it."""
    # Imported here, because few requests copy anything.
    from atelier.adapters.aws.dynamodb.showcase.works import LibraryWorks
    from atelier.wiring.library import assets, stored_files

    return LibraryWorks(LibraryTable.read().name, assets(), stored_files(), _require_room)


def text_check() -> TextCheck:
    """The moderation of what people write about their works."""
    return _check_texts


def _check_texts(texts: Checked, now: datetime) -> None:
    from atelier.moderation.model import RequestText
    from atelier.wiring.moderation import prompt_check

    prompt_check()([RequestText(path, text) for path, text in texts], accepted_before=lambda: False)


def _require_room(workspace_id: str, size_bytes: int) -> None:
    from atelier.library import check_room
    from atelier.wiring.library import assets

    quota = partial(quota_of, "storage_bytes", workspace_id, system_clock())
    check_room.require_room(workspace_id, size_bytes, assets=assets(), wallets=wallets(), quota=quota)
