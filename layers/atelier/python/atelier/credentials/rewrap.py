"""Rotation: a new master key, and everything that older keys sealed sealed anew.

It can stop anywhere and begin again: a record says which key sealed it, one that is done is no longer found, and one
that changes meanwhile is left to the next run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from atelier.credentials.master_keys import parse, rotated
from atelier.credentials.model import UnreadableKey
from atelier.credentials.ports import MasterSecretText, ProviderKeys
from atelier.credentials.vault import Vault
from atelier.errors import NotFound


@dataclass(frozen=True, slots=True)
class Rewrapped:
    """What a run came to. `is_complete`: nothing is sealed by an outdated key any more but what could not be read."""

    resealed: int = 0
    passed_over: int = 0
    unreadable: tuple[str, ...] = ()
    is_complete: bool = True


def new_master_key(*, keys: ProviderKeys, secret: MasterSecretText, now: datetime) -> bool:
    """Put a fresh master key before the others; whether it was done here. Somebody else may be doing it at this moment,
    and the later of two writers would take away the key that the earlier one has begun to seal by. Old keys stay in the
    secret: a backup that is restored may need them. Raises MasterKeyRefused."""
    before = secret.read()
    if not keys.claim_rotation(parse(before).newest.kid.hex(), now):
        return False
    secret.write(rotated(before, now))
    return True


def rewrap(*, keys: ProviderKeys, vault: Vault, may_go_on: Callable[[], bool]) -> Rewrapped:
    """Seal by the newest key what outdated ones sealed, for as long as `may_go_on` says."""
    resealed, passed_over, unreadable = 0, 0, list[str]()
    for kid in vault.outdated():
        for workspace_id, key_id in keys.sealed_by(kid):
            if not may_go_on():
                return Rewrapped(resealed, passed_over, tuple(unreadable), is_complete=False)
            try:
                key = keys.get(workspace_id, key_id)
                if key.sealed_by != kid:
                    raise NotFound
                sealed = vault.seal(vault.open(key.record, key.place), key.place)
            except NotFound:
                # Removed, or done by somebody else, since it was listed.
                passed_over += 1
                continue
            except UnreadableKey:
                unreadable.append(key_id)
                continue
            if keys.reseal(key, replace(key, record=sealed.record, sealed_by=sealed.by)):
                resealed += 1
            else:
                passed_over += 1
    return Rewrapped(resealed, passed_over, tuple(unreadable), is_complete=not passed_over)
