"""Workshops, composed."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.workshops.store import DynamoWorkshops
from atelier.events.ports import EventPublisher
from atelier.ledger.post import PostDeps
from atelier.library.model import Asset
from atelier.settings import CommunityTable, Deployment, IdentityTable
from atelier.wiring.audit_log import bind_events
from atelier.wiring.ledger import daily_grant, wallets
from atelier.workshops.deps import AdvanceDeps, PublishedWork, WorkshopDeps
from atelier.workshops.model import Workshop


@cache
def workshops() -> DynamoWorkshops:
    """The workshops of this deployment."""
    bind_events()
    return DynamoWorkshops(CommunityTable.read().name)


@cache
def advance_deps() -> AdvanceDeps:
    """The dependencies of advancing workshops."""
    return AdvanceDeps(workshops(), PostDeps(wallets(), daily_grant, pause_with_jitter), publisher)


@cache
def publisher() -> EventPublisher:
    """The event bus and the feeds of the workspaces."""
    from atelier.adapters.aws.events import EventBridgeBus
    from atelier.clock import system_clock
    from atelier.feeds.publish import BusAndFeeds
    from atelier.settings import EventBus
    from atelier.wiring.feeds import feeds

    return BusAndFeeds(EventBridgeBus(EventBus.read().name), feeds(), system_clock)


@cache
def deps() -> WorkshopDeps:
    """The dependencies of requests about workshops."""
    from atelier.adapters.aws.dynamodb.workshops.people import DynamoWorkshopPeople
    from atelier.wiring.idempotency import idempotency_keys

    people = DynamoWorkshopPeople(IdentityTable.read().name)
    return WorkshopDeps(advance_deps(), people, idempotency_keys, has_assets, calendar_file, published_works)


def calendar_file(workshop: Workshop, is_cancelled: bool) -> bytes:
    """The calendar file of a workshop."""
    # Imported here, because few requests want one.
    from atelier.adapters.calendars.workshop_file import workshop_file

    return workshop_file(workshop, is_cancelled, Deployment.read().public_url)


def has_assets(workspace_id: str, asset_ids: tuple[str, ...]) -> bool:
    """Whether all of these are assets of the workspace."""
    return {asset.id for asset in find_assets(workspace_id, asset_ids)} == set(asset_ids)


def find_assets(workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset, ...]:
    """Those of these assets that the workspace has."""
    # Imported here, because few requests are about materials.
    from atelier.wiring.library import assets

    return assets().find(workspace_id, asset_ids)


def published_works(listing_ids: Collection[str], now: datetime) -> dict[str, PublishedWork]:
    """Those of these listings that everybody sees, by id."""
    # Imported here, because few workshops show works.
    from atelier.adapters.aws.dynamodb.showcase.listings import visible
    from atelier.showcase.present import thumbnail_url
    from atelier.wiring import showcase

    listings = visible(showcase.listings().find_all(listing_ids))
    urls = showcase.deps().urls
    return {
        each.id: PublishedWork(each.id, each.user_id, each.title, thumbnail_url(each, urls, now)) for each in listings
    }


def material_url(asset: Asset, now: datetime) -> str:
    """The signed URL of a material."""
    from atelier.wiring.media_urls import asset_urls

    return asset_urls(asset.workspace_id, asset.sha256, asset.format, now)[0]


def check_review(text: str) -> None:
    """Raises PromptRefused for a text that moderation refuses."""
    from atelier.moderation.model import RequestText
    from atelier.wiring.moderation import prompt_check

    prompt_check()([RequestText("text", text)], accepted_before=lambda: False)
