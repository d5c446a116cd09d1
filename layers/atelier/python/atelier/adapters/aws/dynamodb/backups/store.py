"""BackupRecords on DynamoDB.

    pk platform  sk bak_…                  one backup
    pk platform  sk part#bak_…#<part>      how far one part has come

The files themselves say the same (`backups/manifest.py`); this table is the list of them. TTL deletes both kinds.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import CompactJSON, Item, conditional, newest_page
from atelier.backups.model import Backup, BackupFile, BackupMethod, BackupScope, BackupState, PartProgress
from atelier.backups.ports import BackupExists, PartChanged
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound

OWNER = "platform"
# How long after the files are gone the record of a backup stays, and how long the progress of a part does.
RECORD_LIFETIME = timedelta(days=90)
PROGRESS_LIFETIME = timedelta(days=30)


class BackupItem(Item):
    """One backup. values: what is shown and never asked for."""

    state = UnicodeAttribute()
    values = CompactJSON()
    expires_at_seconds = NumberAttribute()


class BackupPartItem(Item):
    """PartProgress as compressed JSON."""

    progress = BinaryAttribute(legacy_encoding=False)
    expires_at_seconds = NumberAttribute()


class DynamoBackups:
    """BackupRecords on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        BackupItem.bind(table_name)
        BackupPartItem.bind(table_name)

    def create(self, backup: Backup) -> None:
        if not conditional(lambda: _item(backup).save(condition=BackupItem.pk.does_not_exist())):
            raise BackupExists(backup.id)

    def get(self, backup_id: str) -> Backup:
        try:
            return _backup(BackupItem.get(OWNER, backup_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def newest(self, limit: int) -> Sequence[Backup]:
        return self.page(None, limit)[0]

    def page(self, after: str | None, limit: int) -> tuple[Sequence[Backup], str | None]:
        items, following = newest_page(BackupItem, OWNER, ("bak_", "bak_~"), matching=None, after=after, limit=limit)
        return tuple(map(_backup, items)), following

    def end(self, backup: Backup) -> bool:
        running = BackupItem.state == BackupState.RUNNING.value
        return conditional(lambda: _item(backup).save(condition=running))

    def progress(self, backup_id: str, part: str) -> PartProgress:
        try:
            item = BackupPartItem.get(OWNER, _part_key(backup_id, part), consistent_read=True)
        except DoesNotExist:
            return PartProgress()
        return _progress(item.progress)

    def save_progress(self, backup: Backup, part: str, before: PartProgress, after: PartProgress) -> None:
        stored = BackupPartItem.progress
        unchanged = BackupPartItem.pk.does_not_exist() if before == PartProgress() else stored == _data(before)
        item = BackupPartItem(
            OWNER,
            _part_key(backup.id, part),
            progress=_data(after),
            expires_at_seconds=int((backup.started_at + PROGRESS_LIFETIME).timestamp()),
        )
        if not conditional(lambda: item.save(condition=unchanged)):
            raise PartChanged(f"{backup.id} {part}")


def _part_key(backup_id: str, part: str) -> str:
    return f"part#{backup_id}#{part}"


def _data(progress: PartProgress) -> bytes:
    fields = [
        progress.after,
        [_file_fields(file) for file in progress.files],
        [_file_fields(file) for file in progress.heads],
        progress.started,
        progress.notes,
        progress.is_complete,
    ]
    return zlib.compress(json.dumps(fields, separators=(",", ":")).encode())


def _progress(data: bytes) -> PartProgress:
    after, files, heads, started, notes, is_complete = json.loads(zlib.decompress(data))
    written, noted = (tuple(BackupFile(*fields) for fields in group) for group in (files, heads))
    return PartProgress(after, written, noted, started, tuple(notes), is_complete)


def _file_fields(file: BackupFile) -> list[Any]:
    return [file.key, file.size_bytes, file.sha256, file.items]


def _item(backup: Backup) -> BackupItem:
    values = {
        "scope": backup.scope.value,
        "method": backup.method.value,
        "bucket": backup.bucket,
        "started_at": rfc3339(backup.started_at),
        "cut_at": rfc3339(backup.cut_at),
        "parts": list(backup.parts),
        "finished_at": rfc3339(backup.finished_at) if backup.finished_at else None,
        "items": backup.items,
        "media_objects": backup.media_objects,
        "files": backup.files,
        "size_bytes": backup.size_bytes,
        "lock_days": backup.lock_days,
        "failure": backup.failure,
        "notes": list(backup.notes),
    }
    expires_at_seconds = int((backup.retained_until + RECORD_LIFETIME).timestamp())
    return BackupItem(OWNER, backup.id, state=backup.state.value, values=values, expires_at_seconds=expires_at_seconds)


def _backup(item: BackupItem) -> Backup:
    values: dict[str, Any] = item.values
    finished_at: str | None = values["finished_at"]
    return Backup(
        item.sk,
        BackupScope(values["scope"]),
        BackupMethod(values["method"]),
        values["bucket"],
        parse_rfc3339(values["started_at"]),
        parse_rfc3339(values["cut_at"]),
        tuple(values["parts"]),
        BackupState(item.state),
        parse_rfc3339(finished_at) if finished_at else None,
        values["items"],
        values["media_objects"],
        values["files"],
        values["size_bytes"],
        values["lock_days"],
        values["failure"],
        tuple(values["notes"]),
    )
