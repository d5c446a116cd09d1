"""List the health of providers: a scorecard for each access, or one word for each provider."""

from __future__ import annotations

from collections.abc import Iterable

from atelier.provider_keys.model import WorkspaceProviders
from atelier.routing.circuit_breaker import PLATFORM, Scope, overall_status
from atelier.routing.routing_state import RoutingState
from atelier.routing.schemas import HealthList, scorecard_view


def list_health(
    workspace_id: str,
    workspace_providers: WorkspaceProviders,
    platform_providers: Iterable[str],
    state: RoutingState,
) -> HealthList:
    """The health of the platform's providers and of the workspace's own keys."""
    own = {Scope(key.provider, workspace_id, key.id) for key in workspace_providers.keys}
    scopes = {*map(Scope, platform_providers), *own}
    found = [scorecard_view(state.health(scope), state.model_health(scope), state.now) for scope in scopes]
    return HealthList(items=sorted(found, key=lambda each: (each.provider, each.scope != PLATFORM, each.scope)))


def health_statuses(
    workspace_id: str, workspace_providers: WorkspaceProviders, providers: Iterable[str], state: RoutingState
) -> dict[str, str]:
    """The status word of each provider's health for a workspace, with the key that the workspace uses."""
    statuses: dict[str, str] = {}
    for provider in providers:
        key_id = workspace_providers.preference(provider).own_key_id
        scope = Scope(provider, workspace_id, key_id) if key_id else Scope(provider)
        statuses[provider] = overall_status(state.health(scope), state.model_health(scope), state.now).value
    return statuses
