"""Switching providers off and on, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.health import DynamoHealth
from atelier.routing.switch_provider import SwitchDeps
from atelier.settings import ProvidersTable
from atelier.wiring.audit_log import bind_events
from atelier.wiring.prices import enabled_providers, prices


@cache
def store() -> DynamoHealth:
    """The health of this deployment's providers."""
    health = DynamoHealth()
    health.bind(ProvidersTable.read().name)
    bind_events()
    return health


@cache
def deps() -> SwitchDeps:
    """The dependencies of switching."""
    return SwitchDeps(store(), prices(), enabled_providers())


def providers() -> frozenset[str]:
    """The enabled providers."""
    return enabled_providers()
