"""Livestreams, composed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.livestreams.store import DynamoLivestreams
from atelier.adapters.aws.secrets import Secret
from atelier.adapters.streaming.registry import SERVICE, create_service
from atelier.clock import Clock
from atelier.inbox.receive import VerifiedWebhook
from atelier.livestreams.deps import AdvanceLivestreamDeps, LivestreamDeps
from atelier.livestreams.model import Livestream
from atelier.livestreams.ports import StreamingService
from atelier.provider_settings import ProviderSecrets, ProviderUrls
from atelier.settings import CommunityTable, Deployment, MediaBucket
from atelier.wiring.audit_log import bind_events


@cache
def livestreams() -> DynamoLivestreams:
    """The livestreams of this deployment."""
    bind_events()
    return DynamoLivestreams(CommunityTable.read().name)


@cache
def _secret() -> Secret:
    return Secret(ProviderSecrets.read().secret)


@cache
def service() -> StreamingService:
    """The streaming service of this deployment."""
    from atelier.adapters.aws.s3 import MediaStore
    from atelier.wiring.media_urls import folder_cookies

    base_url = ProviderUrls.read().by_provider().get(SERVICE, "")
    bucket = MediaBucket.read().bucket
    return create_service(lambda: _secret().value(), base_url, lambda: MediaStore(bucket), folder_cookies)


def advance_deps() -> AdvanceLivestreamDeps:
    """The dependencies of advancing livestreams where recordings are left to another function."""
    from atelier.wiring.workshops import publisher

    return AdvanceLivestreamDeps(livestreams(), service, publisher, enrolled, None)


def keeping_deps() -> AdvanceLivestreamDeps:
    """The dependencies of advancing livestreams, recordings included."""
    from atelier.wiring.workshops import publisher

    return AdvanceLivestreamDeps(livestreams(), service, publisher, enrolled, keep)


def deps() -> LivestreamDeps:
    """The dependencies of requests about livestreams."""
    from atelier.wiring.idempotency import idempotency_keys

    of_tiers, of_workshops = (tier_names, tier_of), (is_enrolled, is_own_workshop)
    return LivestreamDeps(keeping_deps(), idempotency_keys, *of_tiers, *of_workshops, recording_url, pause_with_jitter)


def is_secure() -> bool:
    """Whether the deployment is served by https."""
    return Deployment.read().public_url.startswith("https:")


def tier_names() -> Collection[str]:
    """The names of the tiers."""
    from atelier.wiring.prices import prices

    return prices().data.prices.newest_tiers.keys()


def tier_of(workspace_id: str, now: datetime) -> str:
    """The name of a workspace's tier."""
    from atelier.wiring.ledger import wallets

    return wallets().wallet(workspace_id).tier_at(now).partition("@")[0]


def enrolled(workshop_id: str) -> Iterator[str]:
    """Who is enrolled in a workshop."""
    from atelier.wiring.workshops import workshops
    from atelier.workshops.attend import admitted_people

    return admitted_people(workshop_id, workshops())


def is_enrolled(workshop_id: str, user_id: str) -> bool:
    """Whether somebody is enrolled in a workshop."""
    from atelier.wiring.workshops import workshops
    from atelier.workshops.attend import is_admitted

    return is_admitted(workshop_id, user_id, workshops())


def is_own_workshop(workshop_id: str, workspace_id: str) -> bool:
    """Whether a workshop is one of a workspace."""
    from atelier.wiring.workshops import workshops
    from atelier.workshops.attend import is_of_workspace

    return is_of_workspace(workshop_id, workspace_id, workshops())


def keep(livestream: Livestream, asset_id: str, data: bytes, now: datetime) -> None:
    """Keep a recording in the library."""
    from atelier.wiring import uploads

    place, host = livestream.workspace_id, livestream.host_id
    uploads.keep_recording(place, host, livestream.id, asset_id, data, livestream.title, now)


def recording_url(workspace_id: str, asset_id: str, now: datetime) -> str | None:
    """The signed URL of a recording; None when it is gone."""
    from atelier.wiring.library import assets
    from atelier.wiring.media_urls import asset_urls

    found = assets().find(workspace_id, [asset_id])
    return next((asset_urls(workspace_id, each.sha256, each.format, now)[0] for each in found), None)


def verify(_token: str, headers: Mapping[str, str], body: bytes, now: datetime) -> VerifiedWebhook:
    """Verify a webhook of the streaming service."""
    from atelier.adapters.streaming.mux_webhooks import verify_webhook

    return verify_webhook(headers, body, now, secrets=webhook_secrets)


def webhook_secrets(fresh: bool) -> Sequence[str]:
    """What its webhooks are signed with."""
    from atelier.adapters.streaming.mux_webhooks import secrets_of

    return secrets_of(_secret().value(fresh=fresh).get(SERVICE, {}))


def handle_webhook(address: Mapping[str, str], clock: Clock) -> None:
    """Look at the livestream that a webhook is about."""
    from atelier.livestreams.follow import follow_webhook

    follow_webhook(address, deps=advance_deps(), now=clock())
