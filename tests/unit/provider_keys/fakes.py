"""The ports of provider keys in memory. tests/contracts runs the same tests on this store as on DynamoDB's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin
from atelier.errors import IdempotencyMismatch, NotFound
from atelier.provider_keys.master_keys import new_master_keys
from atelier.provider_keys.model import (
    KEYS_PER_WORKSPACE_MAX,
    KeyNameTaken,
    KeyRemoved,
    KeyTest,
    ProviderCredentials,
    ProviderKey,
    ProviderPreference,
    SealContext,
    TooManyKeys,
    UnreadableKey,
    WorkspaceProviders,
    by_provider,
)
from atelier.provider_keys.ports import KeyExists, PreferencesChanged
from atelier.provider_keys.vault import Vault

NOW = datetime(2026, 11, 20, 21, 4, 5, 123_000, tzinfo=UTC)
ORIGIN = Origin("usr_1", None, "203.0.113.7", "curl/8", "req-1")
WORKSPACE = "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"
USER = "usr_01M7XCN60QCB8JGMC722TFVM7C"
KEY_ID = "key_01M7XCN60Q6FWRTBRK8SSNMQ3V"
SEAL_CONTEXT = SealContext(WORKSPACE, "openai", KEY_ID)
# A secret that tests search for: it must not be found anywhere.
CANARY = "sk-canary-7b1f0c9e5d2a4836-tail"
CREDENTIALS = ProviderCredentials(CANARY)


@dataclass
class FakeMasterSecret:
    """MasterSecret: `current` is the secret's present value, `remembered` the value that this process has cached."""

    current: Mapping[str, Any] = field(default_factory=lambda: new_master_keys(NOW))
    fresh_reads: int = 0

    def __post_init__(self) -> None:
        self.remembered = self.current

    def value(self, *, fresh: bool = False) -> Mapping[str, Any]:
        if fresh:
            self.fresh_reads += 1
            self.remembered = self.current
        return self.remembered

    def read(self) -> Mapping[str, Any]:
        return self.current

    def write(self, value: Mapping[str, Any]) -> None:
        self.current = value


class FakeDataKeys:
    """DataKeys in memory: they remember the data keys that they wrapped. `opened` counts the unwrapping calls."""

    def __init__(self, kid: bytes = b"one kms\0") -> None:
        self.kid = kid
        self.opened = 0
        self._made: dict[bytes, tuple[bytes, dict[str, str]]] = {}

    def generate(self, facts: Mapping[str, str]) -> tuple[bytes, bytes]:
        plain = hashlib.sha256(f"{len(self._made)}".encode() + self.kid).digest()
        wrapped = b"wrapped " + hashlib.sha256(plain).digest()
        self._made[wrapped] = plain, dict(facts)
        return plain, wrapped

    def unwrap(self, wrapped: bytes, facts: Mapping[str, str]) -> bytes:
        self.opened += 1
        plain, bound = self._made.get(wrapped, (b"", {}))
        if not plain or bound != facts:
            raise UnreadableKey("not wrapped here for this")
        return plain


class FakeWallets:
    """Records the workspaces that were marked as having own routes; raises `refusal` when one is set."""

    def __init__(self) -> None:
        self.marked: set[str] = set()
        self.refusal: Exception | None = None

    def mark_own_routes(self, workspace_id: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.marked.add(workspace_id)


class InMemoryProviderKeys:
    """ProviderKeys in memory; `writes` counts the writes that AWS would bill."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], ProviderKey] = {}
        self.preferences: dict[str, dict[str, ProviderPreference]] = {}
        self.versions: dict[str, int] = {}
        self.removed: set[tuple[str, str]] = set()
        self.claims: dict[str, datetime] = {}
        self.writes = 0
        self.events: list[AuditEvent] = []

    def add(self, key: ProviderKey, events: Sequence[AuditEvent] = ()) -> None:
        place = key.workspace_id, key.id
        mine = self.read_workspace(key.workspace_id).keys
        if place in self.removed:
            raise KeyRemoved
        if place in self.keys:
            raise KeyExists
        if (key.provider, key.name) in {(each.provider, each.name) for each in mine}:
            raise KeyNameTaken
        if len(mine) >= KEYS_PER_WORKSPACE_MAX:
            raise TooManyKeys
        self._write(key)
        self.events += events

    def get(self, workspace_id: str, key_id: str) -> ProviderKey:
        try:
            return self.keys[workspace_id, key_id]
        except KeyError:
            raise NotFound from None

    def read_workspace(self, workspace_id: str) -> WorkspaceProviders:
        keys = sorted((key for (owner, _), key in self.keys.items() if owner == workspace_id), key=lambda key: key.id)
        version = self.versions.get(workspace_id, 0)
        return WorkspaceProviders(tuple(keys), self.preferences.get(workspace_id, {}), version)

    def remove(self, key: ProviderKey, now: datetime, events: Sequence[AuditEvent] = ()) -> None:
        if self.keys.pop((key.workspace_id, key.id), None) is None:
            raise NotFound
        self.removed.add((key.workspace_id, key.id))
        self.events += events

    def set_active(self, workspace_id: str, key_id: str, *, is_active: bool, events: Sequence[AuditEvent] = ()) -> None:
        self._write(replace(self.get(workspace_id, key_id), is_active=is_active))
        self.events += events

    def record_use(self, workspace_id: str, key_id: str, at: datetime) -> None:
        key = self.keys.get((workspace_id, key_id))
        if key is not None and key.use_is_due(at):
            self._write(replace(key, last_used_at=at))

    def record_test(self, workspace_id: str, key_id: str, test: KeyTest) -> None:
        if (workspace_id, key_id) in self.keys:
            self._write(replace(self.keys[workspace_id, key_id], last_test=test))

    def save_preferences(
        self, workspace_id: str, preferences: Iterable[ProviderPreference], *, version: int | None = None
    ) -> None:
        stored = self.versions.get(workspace_id, 0)
        if version not in (None, stored):
            raise PreferencesChanged
        self.preferences[workspace_id] = by_provider(preferences)
        self.versions[workspace_id] = stored + 1

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        yield from [place for place, key in self.keys.items() if key.sealed_by == kid]

    def claim_rotation(self, kid: str, now: datetime) -> bool:
        claimed_at = self.claims.get(kid)
        if claimed_at is not None and now - claimed_at <= timedelta(minutes=5):
            return False
        self.claims[kid] = now
        return True

    def replace_record(self, before: ProviderKey, after: ProviderKey) -> bool:
        known = self.keys.get((before.workspace_id, before.id))
        if known is None or known.record != before.record:
            return False
        self._write(replace(known, record=after.record, sealed_by=after.sealed_by))
        return True

    def _write(self, key: ProviderKey) -> None:
        self.writes += 1
        self.keys[key.workspace_id, key.id] = key


class InMemoryIdempotencyKeys:
    """IdempotencyKeys in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], tuple[str, str]] = {}

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        bound, known = self.kept.setdefault((workspace_id, key), (new_id, fingerprint))
        if known != fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request.")
        return bound


def sealed_key(vault: Vault, name: str = "first", *, key_id: str = KEY_ID, provider: str = "openai") -> ProviderKey:
    """A sealed provider key of the workspace, as the use case `add_key` creates it."""
    sealed = vault.seal(CREDENTIALS, SealContext(WORKSPACE, provider, key_id))
    return ProviderKey(key_id, WORKSPACE, USER, provider, name, CANARY[-4:], sealed.record, sealed.kid, NOW)
