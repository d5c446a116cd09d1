"""Routing, composed: how providers are, and the adapters of workspaces' own keys."""

from __future__ import annotations

from datetime import datetime
from functools import cache, partial

from atelier.aws.dynamodb.credentials import DynamoProviderKeys
from atelier.aws.dynamodb.health import DynamoHealth
from atelier.clock import Clock, system_clock
from atelier.providers._contract import Provider
from atelier.routing.book import HealthBook
from atelier.routing.choose import Routes
from atelier.routing.model import Health, Scope
from atelier.settings import ProvidersTable
from atelier.telemetry import logger


@cache
def book() -> HealthBook:
    """What this process knows of providers' health."""
    health = DynamoHealth()
    health.bind(ProvidersTable.read().name)
    return HealthBook(health)


@cache
def _keys() -> DynamoProviderKeys:
    kept = DynamoProviderKeys()
    kept.bind(ProvidersTable.read().name)
    return kept


def routes(workspace_id: str, now: datetime) -> Routes:
    """A workspace's ways to providers."""
    # A workspace that has switched a provider off must not reach it because that could not be read; how providers are
    # may be unknown.
    return Routes(workspace_id, _keys().own(workspace_id), partial(_seen, now=now), now)


def _seen(scope: Scope, *, now: datetime) -> Health:
    try:
        return book().seen(scope, now)
    except Exception:
        logger.exception("health cannot be read")
        return Health(scope)


def own_provider(workspace_id: str, provider: str, key_id: str, *, clock: Clock = system_clock) -> Provider | None:
    """The adapter made with a workspace's own key; None when the key is gone or cannot be read."""
    from atelier.credentials.model import UnreadableKey
    from atelier.errors import NotFound
    from atelier.wiring import adapters, credentials

    try:
        return adapters.adapter(provider, credentials.reveal(workspace_id, provider, key_id, clock()))
    except (NotFound, UnreadableKey) as error:
        logger.warning("own key cannot be used", workspace_id=workspace_id, key=key_id, reason=type(error).__name__)
        return None
