"""Rotation: add a new master key, and seal again with it every record that older keys sealed.

A run can stop anywhere and start again: each record names the key that sealed it, a record that is done is no longer
listed, and a record that changes during the run is left to the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.identity.ports import SecretSealer
from atelier.provider_keys.master_keys import parse_master_keys, with_new_key
from atelier.provider_keys.model import UnreadableKey
from atelier.provider_keys.ports import MasterSecretWriter, ProviderKeys
from atelier.provider_keys.reseal_factors import SealedFactors, reseal_factors
from atelier.provider_keys.reseal_secrets import SealedSecrets, reseal_secrets
from atelier.provider_keys.vault import Vault
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class RewrapReport:
    """The result of a run. `is_complete`: only unreadable records are still sealed by an outdated key."""

    resealed: int = 0
    skipped: int = 0
    unreadable: tuple[str, ...] = ()
    is_complete: bool = True


def add_master_key(*, keys: ProviderKeys, secret: MasterSecretWriter, now: datetime) -> bool:
    """Put a new master key before the others; returns whether this call did it. The rotation is claimed first, because
    of two writers at the same time the later would overwrite a key that the earlier has begun to seal with. Old keys
    stay in the secret: a restored backup may need them. Raises MasterKeyRefused."""
    before = secret.read()
    if not keys.claim_rotation(parse_master_keys(before).newest.kid.hex(), now):
        return False
    secret.write(with_new_key(before, now))
    return True


def rotate(
    *,
    keys: ProviderKeys,
    factors: SealedFactors,
    secrets: Iterable[SealedSecrets],
    new_vault: Callable[[], Vault],
    sealer_of: Callable[[Vault], SecretSealer],
    secret: MasterSecretWriter,
    new_master_key: bool,
    has_time: Callable[[], bool],
    now: datetime,
) -> RewrapReport:
    """Seal again what outdated master keys sealed, provider keys and authenticators; with `new_master_key`, add a new
    master key first. new_vault: opens a vault that has cached nothing. sealer_of: seals the secrets of authenticators
    by a vault. secrets: those of webhooks and of integrations. Logs what cannot be read."""
    if new_master_key:
        add_master_key(keys=keys, secret=secret, now=now)
    vault = new_vault()
    report = rewrap(keys=keys, vault=vault, has_time=has_time)
    if report.unreadable:
        logger.error("own keys cannot be read", key_ids=report.unreadable)
    totp = reseal_factors(vault.outdated_kids(), factors=factors, sealer=sealer_of(vault), has_time=has_time)
    if totp.unreadable:
        logger.error("authenticators cannot be read", user_ids=totp.unreadable)
    others = [reseal_secrets(secrets=each, vault=vault, has_time=has_time) for each in secrets]
    unreadable = tuple(id for each in others for id in each.unreadable)
    if unreadable:
        logger.error("secrets of webhooks or integrations cannot be read", record_ids=unreadable)
    return RewrapReport(
        report.resealed + totp.resealed + sum(each.resealed for each in others),
        report.skipped + totp.skipped + sum(each.skipped for each in others),
        report.unreadable + totp.unreadable + unreadable,
        report.is_complete and totp.is_complete and all(each.is_complete for each in others),
    )


def rewrap(*, keys: ProviderKeys, vault: Vault, has_time: Callable[[], bool]) -> RewrapReport:
    """Seal again, with the newest key, the records that outdated keys sealed, until `has_time` returns False."""
    resealed, skipped, unreadable = 0, 0, list[str]()
    for kid in vault.outdated_kids():
        for workspace_id, key_id in keys.list_sealed_by(kid):
            if not has_time():
                return RewrapReport(resealed, skipped, tuple(unreadable), is_complete=False)
            try:
                key = keys.get(workspace_id, key_id)
                if key.sealed_by != kid:
                    raise NotFound
                sealed = vault.seal(vault.open(key.record, key.seal_context), key.seal_context)
            except NotFound:
                # The key was removed, or sealed again by another run, since it was listed.
                skipped += 1
                continue
            except UnreadableKey:
                unreadable.append(key_id)
                continue
            if keys.replace_record(key, replace(key, record=sealed.record, sealed_by=sealed.kid)):
                resealed += 1
            else:
                skipped += 1
    return RewrapReport(resealed, skipped, tuple(unreadable), is_complete=not skipped)
