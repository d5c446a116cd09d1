"""Own keys and a workspace's wishes about providers. Nothing here shows a secret: not by `repr`, not in an error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta

from atelier.frozen import dataclass

# Who takes own keys. `custom` is any endpoint that speaks OpenAI's API; its address and models come with the key.
CUSTOM = "custom"
PROVIDERS = ("anthropic", CUSTOM, "fal", "openai", "replicate", "stability", "xai")
KEYS_PER_WORKSPACE_MAX = 50
PRIORITY_DEFAULT, PRIORITY_MAX = 100, 1000
SHOWN_FROM_CHARACTERS = 12
# A key's use is written down at most this often: a write for each call would cost more than it tells.
USE_NOTED_EVERY = timedelta(hours=1)
# Each test is a call to the provider with somebody's key.
TESTED_EVERY = timedelta(seconds=5)


class UnreadableKey(Exception):
    """A stored key cannot be decrypted: damaged, moved from where it belongs, or sealed by a key that is gone. There is
    never a part of it. The text is for the log."""


class KeyNameTaken(Exception):
    """The workspace has a key of this name for this provider."""


class TooManyKeys(Exception):
    """The workspace has KEYS_PER_WORKSPACE_MAX keys."""


class KeyRemoved(Exception):
    """A key with this id was there, and has been removed for good."""


@dataclass(frozen=True, slots=True)
class Served:
    """A model behind a custom endpoint: its name there, and the kind of thing it makes."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an adapter is made with, the platform's or a workspace's own. `base_url`: None = the usual one;
    `account`: who the provider says that we are, where its webhooks carry that."""

    key: str = field(repr=False)
    base_url: str | None = None
    webhook_secret: str | None = field(default=None, repr=False)
    models: tuple[Served, ...] = ()
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed key belongs. It opens at no other."""

    workspace_id: str
    provider: str
    key_id: str


@dataclass(frozen=True, slots=True)
class KeyTest:
    """What the provider said to the key; `error_class` is None when it was taken."""

    at: datetime
    error_class: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the provider took the key."""
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
    models: tuple[Served, ...] = ()
    is_active: bool = True
    last_used_at: datetime | None = None
    last_test: KeyTest | None = None

    @property
    def place(self) -> Place:
        """Where it is sealed to."""
        return Place(self.workspace_id, self.provider, self.id)

    def use_is_due(self, now: datetime) -> bool:
        """Whether a use at `now` is worth writing down."""
        return self.last_used_at is None or now - self.last_used_at >= USE_NOTED_EVERY


@dataclass(frozen=True, slots=True)
class Wish:
    """What a workspace wants of one provider. A lower priority number is tried first; `own_key_id` names the key to be
    used in place of the platform's, None = the platform's; `platform_fallback`: the platform's access may be used (and
    paid for in credits) when the own key fails."""

    provider: str
    enabled: bool = True
    priority: int = PRIORITY_DEFAULT
    own_key_id: str | None = None
    platform_fallback: bool = False


@dataclass(frozen=True, slots=True)
class Own:
    """All that a workspace has of its own: keys, oldest first, and wishes by provider."""

    keys: tuple[ProviderKey, ...] = ()
    wishes: Mapping[str, Wish] = field(default_factory=dict[str, Wish])

    def active(self, provider: str) -> tuple[ProviderKey, ...]:
        """The keys that may be used with a provider."""
        return tuple(key for key in self.keys if key.provider == provider and key.is_active)

    def chosen(self, provider: str) -> ProviderKey | None:
        """The own key to use with a provider. Without a wish, the newest: who brings a key wants it used. A wish that
        names a key which is gone or switched off means the platform's."""
        active = self.active(provider)
        wish = self.wishes.get(provider)
        if wish is None:
            return active[-1] if active else None
        return next((key for key in active if key.id == wish.own_key_id), None)

    def wish(self, provider: str) -> Wish:
        """What is wanted of a provider, with the key that is in fact used."""
        key = self.chosen(provider)
        return replace(self.wishes.get(provider, Wish(provider)), own_key_id=key.id if key else None)


def last_four(key: str) -> str:
    """What may be shown of a key: nothing of one so short that it would be a part worth having."""
    return key[-4:] if len(key) >= SHOWN_FROM_CHARACTERS else ""


def by_provider(wishes: Iterable[Wish]) -> dict[str, Wish]:
    """Wishes by their provider."""
    return {wish.provider: wish for wish in wishes}
