"""A workspace's preferences: which providers it uses, in which order, and with whose key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from atelier.catalogue.model import Model
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed, VersionConflict
from atelier.provider_keys.model import CUSTOM, ProviderPreference, WorkspaceProviders
from atelier.provider_keys.ports import OwnRouteMarks, PreferencesChanged, ProviderKeys

UNKNOWN_HEALTH = "unknown"


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """A provider's status for one workspace. `is_offered`: the platform itself has access to the provider."""

    preference: ProviderPreference
    kinds: tuple[str, ...]
    health: str
    has_key: bool
    is_offered: bool


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """The providers of a workspace, the most preferred first. version: of its preferences."""

    providers: tuple[ProviderStatus, ...]
    version: int


def kinds_by_provider(models: Iterable[Model]) -> dict[str, set[str]]:
    """The kinds that each provider's models make. A custom endpoint has none here: its kinds are stored with its
    key."""
    kinds: dict[str, set[str]] = {}
    for model in models:
        if model.provider != CUSTOM:
            kinds.setdefault(model.provider, set()).update((model.kind, *model.also))
    return kinds


def provider_settings(
    workspace_providers: WorkspaceProviders,
    *,
    known: Iterable[str],
    kinds: Mapping[str, Iterable[str]],
    platform_providers: frozenset[str],
    health: Mapping[str, str],
) -> ProviderSettings:
    """The status of every known provider for a workspace. known: the existing providers; kinds: the kinds
    that models make, by provider; health: the health status by provider."""
    statuses: list[ProviderStatus] = []
    for provider in sorted(known):
        active = workspace_providers.active_keys(provider)
        served = {model.kind for key in active for model in key.models}
        statuses.append(
            ProviderStatus(
                preference=workspace_providers.preference(provider),
                kinds=tuple(sorted({*kinds.get(provider, ()), *served})),
                health=health.get(provider, UNKNOWN_HEALTH),
                has_key=bool(active),
                is_offered=provider in platform_providers,
            )
        )
    statuses.sort(key=lambda each: (each.preference.priority, each.preference.provider))
    return ProviderSettings(tuple(statuses), workspace_providers.version)


def change_preferences(
    workspace_id: str,
    preferences: list[ProviderPreference],
    *,
    known: frozenset[str],
    keys: ProviderKeys,
    wallets: OwnRouteMarks,
    version: int | None = None,
) -> None:
    """Replace a workspace's preferences; a provider that they do not name gets the defaults. known: the existing
    providers. version: of the preferences that the caller has read; None = replace whatever is stored. Raises
    VersionConflict when they were changed since, ValidationFailed."""
    own = keys.read_workspace(workspace_id)
    if version not in (None, own.version):
        raise VersionConflict(current=own.version)
    errors: list[dict[str, str]] = []
    for index, preference in enumerate(preferences):
        if preference.provider not in known:
            errors.append({"path": f"providers.{index}.id", "message": "There is no such provider."})
        elif preference.provider in {earlier.provider for earlier in preferences[:index]}:
            errors.append({"path": f"providers.{index}.id", "message": "This provider is named twice."})
        elif preference.own_key_id and preference.own_key_id not in {
            key.id for key in own.active_keys(preference.provider)
        }:
            message = "There is no such active key for this provider."
            errors.append({"path": f"providers.{index}.use_own_key", "message": message})
    if errors:
        raise ValidationFailed(errors)
    # The wallet is marked first: submissions read preferences only for a marked one, and would otherwise use a
    # provider that is switched off.
    wallets.mark_own_routes(workspace_id)
    try:
        keys.save_preferences(workspace_id, preferences, version=version)
    except PreferencesChanged:
        raise VersionConflict(current=keys.read_workspace(workspace_id).version) from None
