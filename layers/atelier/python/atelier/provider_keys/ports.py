"""Ports of own keys: the store, wallets, idempotency keys, the master secret, and KMS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from atelier.audit_log.model import AuditEvent
from atelier.provider_keys.model import KeyTest, ProviderKey, ProviderPreference, WorkspaceProviders


class ProviderKeys(Protocol):
    """Stores the provider keys of workspaces, and their preferences."""

    def add(self, key: ProviderKey, events: Sequence[AuditEvent] = ()) -> None:
        """Store a new key, with its audit events. Raises KeyNameTaken, TooManyKeys, KeyRemoved when a key with this id
        was removed, and KeyExists when one with this id is stored."""
        ...

    def get(self, workspace_id: str, key_id: str) -> ProviderKey:
        """Read one key, strongly consistent; raises NotFound."""
        ...

    def read_workspace(self, workspace_id: str) -> WorkspaceProviders:
        """All keys and preferences of a workspace, in one read."""
        ...

    def remove(self, key: ProviderKey, now: datetime, events: Sequence[AuditEvent] = ()) -> None:
        """Delete a key for good, with its secret and its name, and write the audit events of that. Raises NotFound when
        it was removed meanwhile."""
        ...

    def set_active(self, workspace_id: str, key_id: str, *, is_active: bool, events: Sequence[AuditEvent] = ()) -> None:
        """Switch a key on or off, and write the audit events of that. Raises NotFound."""
        ...

    def record_use(self, workspace_id: str, key_id: str, at: datetime) -> None:
        """Store when a key was last used; does nothing when the key is gone."""
        ...

    def record_test(self, workspace_id: str, key_id: str, test: KeyTest) -> None:
        """Store the latest test of a key; does nothing when the key is gone."""
        ...

    def save_preferences(
        self, workspace_id: str, preferences: Iterable[ProviderPreference], *, version: int | None = None
    ) -> None:
        """Replace all preferences of a workspace. version: the one that they are a change of; None = whatever is
        stored. Raises PreferencesChanged when another one is stored."""
        ...

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        """(workspace id, key id) of every key sealed by the master key `kid`; eventually consistent."""
        ...

    def claim_rotation(self, kid: str, now: datetime) -> bool:
        """Claim the rotation of the newest master key `kid` for some minutes; False when another process holds it."""
        ...

    def replace_record(self, before: ProviderKey, after: ProviderKey) -> bool:
        """Replace a key's sealed record if it is still that of `before`; returns whether it was replaced."""
        ...


class OwnRouteMarks(Protocol):
    """Marks wallets whose workspace may have keys or preferences: submissions read those only for a marked wallet."""

    def mark_own_routes(self, workspace_id: str) -> None: ...


class PreferencesChanged(Exception):
    """The preferences have another version."""


class KeyExists(Exception):
    """A key with this id is stored already."""


class MasterSecretReader(Protocol):
    """The secret that holds the master keys."""

    def value(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """The secret's JSON. `fresh`: skip the cache, as far as its limits allow."""
        ...


class DataKeys(Protocol):
    """A KMS key that makes and unwraps data keys. `kid` is its id in records."""

    @property
    def kid(self) -> bytes: ...

    def generate(self, facts: Mapping[str, str]) -> tuple[bytes, bytes]:
        """A new data key of 32 bytes, plain and wrapped, bound to the facts (the encryption context)."""
        ...

    def unwrap(self, wrapped: bytes, facts: Mapping[str, str]) -> bytes:
        """The plain data key; raises UnreadableKey."""
        ...


class MasterSecretWriter(Protocol):
    """The same secret for changing it, read and written without a cache."""

    def read(self) -> Mapping[str, Any]: ...

    def write(self, value: Mapping[str, Any]) -> None: ...
