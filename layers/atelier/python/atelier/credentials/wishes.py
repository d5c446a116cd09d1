"""A workspace's preferences: which providers it uses, in which order, and with whose key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atelier.credentials.model import PROVIDERS, Own, Wish
from atelier.credentials.ports import ProviderKeys, Wallets
from atelier.errors import ValidationFailed

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Standing:
    """A provider's status for one workspace. `is_offered`: the platform itself has access to the provider."""

    wish: Wish
    kinds: tuple[str, ...]
    health: str
    has_key: bool
    is_offered: bool


def standings(
    own: Own, *, kinds: Mapping[str, Iterable[str]], offered: frozenset[str], health: Mapping[str, str]
) -> list[Standing]:
    """The status of every known provider, the most preferred first. kinds: the kinds that models make, by provider;
    health: the health status by provider."""
    statuses: list[Standing] = []
    for provider in sorted({*kinds, *PROVIDERS, *offered}):
        active = own.active(provider)
        served = {model.kind for key in active for model in key.models}
        statuses.append(
            Standing(
                wish=own.wish(provider),
                kinds=tuple(sorted({*kinds.get(provider, ()), *served})),
                health=health.get(provider, UNKNOWN),
                has_key=bool(active),
                is_offered=provider in offered,
            )
        )
    return sorted(statuses, key=lambda each: (each.wish.priority, each.wish.provider))


def change_wishes(
    workspace_id: str, wishes: list[Wish], *, known: frozenset[str], keys: ProviderKeys, wallets: Wallets
) -> None:
    """Replace a workspace's preferences; a provider that they do not name gets the defaults. known: the existing
    providers. Raises ValidationFailed."""
    own = keys.own(workspace_id)
    errors: list[dict[str, str]] = []
    for index, wish in enumerate(wishes):
        if wish.provider not in known:
            errors.append({"path": f"providers.{index}.id", "message": "There is no such provider."})
        elif wish.provider in {earlier.provider for earlier in wishes[:index]}:
            errors.append({"path": f"providers.{index}.id", "message": "This provider is named twice."})
        elif wish.own_key_id and wish.own_key_id not in {key.id for key in own.active(wish.provider)}:
            message = "There is no such active key for this provider."
            errors.append({"path": f"providers.{index}.use_own_key", "message": message})
    if errors:
        raise ValidationFailed(errors)
    # The wallet is marked first: submissions read preferences only for a marked one, and would otherwise use a
    # provider that is switched off.
    wallets.mark_own_routes(workspace_id)
    keys.wish(workspace_id, wishes)
