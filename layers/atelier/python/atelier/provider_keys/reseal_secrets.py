"""Seal other secrets of workspaces again, which older master keys sealed: those of webhooks.

A run can stop anywhere and start again, as that for provider keys (see `rewrap.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import field
from typing import Protocol

from atelier.dataclass import dataclass
from atelier.provider_keys.model import SealContext, UnreadableKey
from atelier.provider_keys.reseal_factors import ResealReport
from atelier.provider_keys.vault import Vault


@dataclass(frozen=True, slots=True)
class SealedRecord:
    """A sealed secret as it is stored, and what it is bound to. sealed_by: the id of the key that sealed it, in hex."""

    seal_context: SealContext
    record: bytes = field(repr=False)
    sealed_by: str


class SealedSecrets(Protocol):
    """The secrets by the keys that sealed them."""

    def list_sealed_by(self, kid: str) -> Iterator[tuple[str, str]]:
        """(workspace id, id of the record) of what a key sealed; lately changed ones may be listed too."""
        ...

    def sealed_record(self, workspace_id: str, record_id: str) -> SealedRecord | None:
        """A record by a consistent read."""
        ...

    def replace_record(self, before: SealedRecord, record: bytes, kid: str) -> bool:
        """Store another record of the same secret. False, and no change, when it was changed meanwhile."""
        ...


def reseal_secrets(*, secrets: SealedSecrets, vault: Vault, has_time: Callable[[], bool]) -> ResealReport:
    """Seal again what outdated keys sealed, until `has_time` returns False."""
    resealed, skipped, unreadable = 0, 0, list[str]()
    for kid in vault.outdated_kids():
        for workspace_id, record_id in secrets.list_sealed_by(kid):
            if not has_time():
                return ResealReport(resealed, skipped, tuple(unreadable), is_complete=False)
            before = secrets.sealed_record(workspace_id, record_id)
            if before is None or before.sealed_by != kid:
                # It was removed, or sealed again by another run, since it was listed.
                skipped += 1
                continue
            try:
                sealed = vault.seal(vault.open(before.record, before.seal_context), before.seal_context)
            except UnreadableKey:
                unreadable.append(record_id)
                continue
            if secrets.replace_record(before, sealed.record, sealed.kid):
                resealed += 1
            else:
                skipped += 1
    return ResealReport(resealed, skipped, tuple(unreadable), is_complete=not skipped)
