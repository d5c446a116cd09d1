"""What own keys need from outside: the store, the master secret, and KMS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from atelier.credentials.model import KeyTest, Own, ProviderKey, Wish


class ProviderKeys(Protocol):
    """The keys of workspaces, and their wishes."""

    def add(self, key: ProviderKey) -> None:
        """Write a new key. Raises KeyNameTaken, TooManyKeys, or KeyRemoved for an id that was removed; and KeyExists
        for one that is there."""
        ...

    def get(self, workspace_id: str, key_id: str) -> ProviderKey:
        """Consistent; raises NotFound."""
        ...

    def own(self, workspace_id: str) -> Own:
        """All keys and wishes of a workspace, in one reading."""
        ...

    def remove(self, key: ProviderKey, now: datetime) -> None:
        """Remove for good: neither the secret nor the name stays. Raises NotFound when it was removed meanwhile."""
        ...

    def switch(self, workspace_id: str, key_id: str, *, is_active: bool) -> None:
        """Raises NotFound."""
        ...

    def note_use(self, workspace_id: str, key_id: str, at: datetime) -> None:
        """Write when it was last used; nothing when the key is gone."""
        ...

    def note_test(self, workspace_id: str, key_id: str, test: KeyTest) -> None:
        """Write the latest test; nothing when the key is gone."""
        ...

    def wish(self, workspace_id: str, wishes: Iterable[Wish]) -> None:
        """Replace all wishes."""
        ...

    def sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        """Workspace and id of every key that this key sealed, as far as known: some may have changed since."""
        ...

    def claim_rotation(self, kid: str, now: datetime) -> bool:
        """Whether the caller alone may replace this newest master key, for some minutes from now."""
        ...

    def reseal(self, before: ProviderKey, after: ProviderKey) -> bool:
        """Replace the sealed record, unless it is no longer as `before`; whether it was replaced."""
        ...


class Wallets(Protocol):
    """What must know that a workspace may have keys or wishes: submissions ask for them only where it does."""

    def mark_own_routes(self, workspace_id: str) -> None: ...


class IdempotencyKeys(Protocol):
    """Binds a caller's key to one id and one fingerprint, for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        """The id bound to the key: `new_id` the first time, later the one of then. Raises IdempotencyMismatch."""
        ...


class KeyExists(Exception):
    """A key with this id is there already."""


class MasterSecret(Protocol):
    """The secret that holds the master keys."""

    def value(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """Its JSON; `fresh` = as it is now, as far as that may be asked."""
        ...


class DataKeys(Protocol):
    """A KMS key that makes and opens data keys. `kid` is its id in records."""

    @property
    def kid(self) -> bytes: ...

    def new(self, facts: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A fresh data key of 32 bytes, plain and wrapped, bound to the facts."""
        ...

    def unwrap(self, wrapped: bytes, facts: Mapping[str, str]) -> bytes:
        """The plain data key; raises UnreadableKey."""
        ...


class MasterSecretText(Protocol):
    """The same secret, to be changed: nothing of it is remembered."""

    def read(self) -> Mapping[str, Any]: ...

    def write(self, value: Mapping[str, Any]) -> None: ...
