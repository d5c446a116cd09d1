"""Put the deployment's secrets into a backup, encrypted for the recovery key, whose private half only the operator has.

Without them a restored table is of little use: provider keys and second factors are sealed by master keys, links and
cursors are signed, and everybody would be signed out. This is a step of its own, because it is the only one that may
read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from atelier.backups.manifest import ESCROW_KEY
from atelier.backups.ports import BackupRecords, NewBackupFiles, RecoveryRecipient
from atelier.backups.write_backup import ESCROW_FACTS_KEY
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class EscrowDeps:
    """Dependencies. recipient: None without a recovery key. secrets: the value of each secret, by its name in
    infra/data.yaml."""

    records: BackupRecords
    files: NewBackupFiles
    recipient: RecoveryRecipient | None
    secrets: Callable[[], Mapping[str, Any]]
    stack: str
    clock: Callable[[], datetime]


def escrow_secrets(backup_id: str, *, deps: EscrowDeps) -> bool:
    """Write a backup's escrow, if there is a recovery key; whether it was written. Safe to repeat. Raises
    RecoveryKeyInvalid."""
    backup = deps.records.get(backup_id)
    if deps.recipient is None or not backup.is_running:
        logger.info("secrets not escrowed", backup=backup_id, has_recovery_key=deps.recipient is not None)
        return False
    secrets = deps.secrets()
    content = {"stack": deps.stack, "at": rfc3339(deps.clock()), "secrets": secrets}
    deps.files.put(backup, ESCROW_KEY, deps.recipient.encrypt(json.dumps(content).encode()))
    # Last: the manifest has an escrow only when both are there.
    facts = {"recipient": deps.recipient.key, "secrets": sorted(secrets)}
    deps.files.put(backup, ESCROW_FACTS_KEY, json.dumps(facts).encode())
    logger.info("secrets escrowed", backup=backup_id, secrets=len(secrets))
    return True
