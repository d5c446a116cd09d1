"""The backups that there are, for an operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from atelier.backups.model import Backup
from atelier.backups.ports import BackupRecords
from atelier.clock import rfc3339

LIMIT = 100


def list_backups(*, records: BackupRecords, limit: int = LIMIT) -> Sequence[Backup]:
    """The newest backups, the newest first; running and failed ones too."""
    return records.newest(limit)


def backup_view(backup: Backup) -> dict[str, Any]:
    """A backup as it is shown."""
    return {
        "id": backup.id,
        "scope": backup.scope.value,
        "method": backup.method.value,
        "state": backup.state.value,
        "location": backup.location,
        "started_at": rfc3339(backup.started_at),
        "cut_at": rfc3339(backup.cut_at),
        "finished_at": rfc3339(backup.finished_at) if backup.finished_at else None,
        "retained_until": rfc3339(backup.retained_until),
        "lock_days": backup.lock_days,
        "items": backup.items,
        "media_objects": backup.media_objects,
        "files": backup.files,
        "bytes": backup.size_bytes,
        "failure": backup.failure,
        "notes": list(backup.notes),
    }
