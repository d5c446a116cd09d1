"""Own keys, and a workspace's preferences among providers. No value shows its secret in `repr` or in an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass

# The provider that is any endpoint with OpenAI's API; its address and models are stored with the key.
CUSTOM = "custom"
KEYS_PER_WORKSPACE_MAX = 50
PRIORITY_DEFAULT, PRIORITY_MAX = 100, 1000
LAST_FOUR_FROM_CHARACTERS = 12
# The last use of a key is stored at most this often: the exact time is not worth a write for each call.
USE_STORED_EVERY = timedelta(hours=1)
# The shortest time between two tests of a key: each test is a call to the provider with the workspace's key.
TEST_INTERVAL_MIN = timedelta(seconds=5)


class UnreadableKey(Exception):
    """A stored key cannot be decrypted: it was damaged, moved to another record, or sealed by a key that is gone. It is
    never opened in part. The message is for the log."""


class KeyNameTaken(Exception):
    """The workspace already has a key of this name for this provider."""


class TooManyKeys(Exception):
    """The workspace already has KEYS_PER_WORKSPACE_MAX keys."""


class KeyRemoved(Exception):
    """A key with this id existed, and has been removed for good."""


@dataclass(frozen=True, slots=True)
class CustomModel:
    """A model behind a custom endpoint: its name there, and the kind of media that it makes."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class ProviderCredentials:
    """The credentials that an adapter is built with, the platform's or a workspace's own. `base_url`: None = the
    provider's usual one; `account`: our account's id at the provider, when its webhooks carry it."""

    key: str = field(repr=False)
    base_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    models: tuple[CustomModel, ...] = ()
    account: str | None = None


@dataclass(frozen=True, slots=True)
class SealContext:
    """The record that a sealed key is bound to; it cannot be opened for another."""

    workspace_id: str
    provider: str
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyTest:
    """The result of testing a key; `error_class` is None when the provider accepted it."""

    at: datetime
    error_class: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the provider accepted the key."""
        return self.error_class is None


@dataclass(frozen=True, slots=True)
class ProviderKey:
    """One own key. `record` is the sealed secret and `sealed_by` the id of the key that sealed it."""

    id: str
    workspace_id: str
    user_id: str
    provider: str
    name: str
    last_four: str
    record: bytes = field(repr=False)
    sealed_by: str
    created_at: datetime
    base_url: str | None = None
    models: tuple[CustomModel, ...] = ()
    is_active: bool = True
    last_used_at: datetime | None = None
    last_test: KeyTest | None = None

    @property
    def seal_context(self) -> SealContext:
        """The record that the secret is bound to."""
        return SealContext(self.workspace_id, self.provider, self.id)

    def use_is_due(self, now: datetime) -> bool:
        """Whether a use at `now` should be stored."""
        return self.last_used_at is None or now - self.last_used_at >= USE_STORED_EVERY


@dataclass(frozen=True, slots=True)
class ProviderPreference:
    """A workspace's preferences for one provider. A lower `priority` is tried first. `own_key_id`: the key to use in
    place of the platform's, None = the platform's. `platform_fallback`: the platform's access may be used, and paid for
    in credits, when the own key fails."""

    provider: str
    enabled: bool = True
    priority: int = PRIORITY_DEFAULT
    own_key_id: str | None = None
    platform_fallback: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceProviders:
    """A workspace's own provider keys, oldest first, and its preferences by provider. `version` counts the changes of
    the preferences."""

    keys: tuple[ProviderKey, ...] = ()
    preferences: Mapping[str, ProviderPreference] = field(default_factory=dict[str, ProviderPreference])
    version: int = 0

    def active_keys(self, provider: str) -> tuple[ProviderKey, ...]:
        """The keys for a provider that are switched on, oldest first."""
        return tuple(key for key in self.keys if key.provider == provider and key.is_active)

    def key_in_use(self, provider: str) -> ProviderKey | None:
        """The own key to use with a provider; None = use the platform's access. Without a preference it is the newest
        active key, because a workspace that adds a key wants it to be used. A preference for a key that is gone or
        switched off gives None."""
        active = self.active_keys(provider)
        preference = self.preferences.get(provider)
        if preference is None:
            return active[-1] if active else None
        return next((key for key in active if key.id == preference.own_key_id), None)

    def preference(self, provider: str) -> ProviderPreference:
        """The preferences for a provider, with the id of the key that is in fact used."""
        key = self.key_in_use(provider)
        return replace(self.preferences.get(provider, ProviderPreference(provider)), own_key_id=key.id if key else None)


def last_four(key: str) -> str:
    """The last four characters of a key, to be shown; empty for a short key, of which they would reveal too much."""
    return key[-4:] if len(key) >= LAST_FOUR_FROM_CHARACTERS else ""


def by_provider(preferences: Iterable[ProviderPreference]) -> dict[str, ProviderPreference]:
    """The preferences by provider."""
    return {preference.provider: preference for preference in preferences}
