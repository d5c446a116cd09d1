"""Drills of restoring backups, composed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atelier.clock import Clock, system_clock
from atelier.settings import Backups, BackupsTable, EventBus, MediaBucket

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.backups.drills import DynamoDrills
    from atelier.backups.drill_restore import DrillDeps


def records() -> DynamoDrills:
    """The records of drills."""
    from atelier.adapters.aws.dynamodb.backups.drills import DynamoDrills

    return DynamoDrills(BackupsTable.read().name)


def deps(clock: Clock = system_clock) -> DrillDeps:
    """The dependencies of a drill."""
    from atelier.adapters.aws.drill_files import S3BackupFolders, S3MediaVersions
    from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms
    from atelier.adapters.aws.dynamodb.backups.scratch import DynamoScratchTables
    from atelier.adapters.aws.events import EventBridgeBus
    from atelier.backups.drill_restore import DrillDeps
    from atelier.wiring import backups, erasures

    settings = Backups.read()
    return DrillDeps(
        records(),
        backups.records(),
        S3BackupFolders(settings.bucket),
        DynamoScratchTables(settings.bucket),
        S3MediaVersions(MediaBucket.read().bucket),
        StoredChainForms(),
        EventBridgeBus(EventBus.read().name),
        settings.stack,
        known_keys,
        erasures.is_erased,
        clock,
    )


def known_keys() -> list[bytes]:
    """The public keys (PEM) of this deployment's manifests."""
    from atelier.adapters.aws.secrets import Secret
    from atelier.backups.signature import public_pem

    return [public_pem(key) for key in Secret(Backups.read().secret).value()["keys"]]
