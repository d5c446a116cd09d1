"""ExportStore and ExportJobStore on DynamoDB.

    pk wsp_…  sk exp_…             one export; its insertion starts the job (stream)
    pk wsp_…  sk progress#exp_…    how far its job has come
    pk wsp_…  sk open              the ids of the open exports, a bound of the workspace

All but `open` are deleted by TTL.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute, UnicodeSetAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    TransactionConflict,
    newest_page,
    pause_with_jitter,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import Conflict, NotFound, Unavailable
from atelier.exports.model import (
    OPEN_TIME_MAX,
    RECORD_LIFETIME,
    Export,
    ExportDataset,
    ExportFormat,
    ExportProgress,
    ExportStatus,
)
from atelier.exports.ports import ExportChanged, ExportExists, ExportPage
from atelier.ids import created_at, is_id

OPEN = "open"
TRIES_MAX = 20
# A sort key that no item has.
NO_ROOM = "none"
# Argument of `pause_with_jitter` after a transaction has lost to a parallel one.
BUSY_PAUSE = 2
TOO_MANY = "{} exports of this workspace are being written. Wait until one has ended."
BUSY = "The exports of this workspace are busy. Try again."


class ExportItem(Item):
    """One export."""

    user_id = UnicodeAttribute()
    dataset = UnicodeAttribute()
    format = UnicodeAttribute()
    begin = UnicodeAttribute()
    end = UnicodeAttribute()
    cut_at = UnicodeAttribute()
    filters = CompactJSON(null=True)
    status = UnicodeAttribute()
    created_at = UnicodeAttribute()
    ended_at = UnicodeAttribute(null=True)
    rows = NumberAttribute(null=True)
    size_bytes = NumberAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class ExportProgressItem(Item):
    """ExportProgress as compressed JSON."""

    progress = BinaryAttribute(legacy_encoding=False)
    expires_at_seconds = NumberAttribute()


class OpenExportsItem(Item):
    """The open exports of a workspace."""

    ids = UnicodeSetAttribute(null=True)


class DynamoExports:
    """ExportStore and ExportJobStore on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in (ExportItem, ExportProgressItem, OpenExportsItem):
            item.bind(table_name)

    def create(self, export: Export, open_max: int, events: Sequence[AuditEvent]) -> None:
        for _ in range(TRIES_MAX):
            known = self._open_ids(export.workspace_id)
            # Exports whose job has died long ago are not counted.
            counted = {each for each in known if created_at(each) > export.created_at - OPEN_TIME_MAX} - {export.id}
            try:
                return self._create(export, known, counted, len(counted) < open_max, events)
            except ConditionsFailed as error:
                if "export" in error.parts:
                    raise ExportExists from error
                if "open" not in error.parts:
                    raise Conflict(TOO_MANY.format(open_max), open_max=open_max) from error
            except TransactionConflict:
                pause_with_jitter(BUSY_PAUSE)
        raise Unavailable(BUSY)

    @staticmethod
    def _create(
        export: Export, known: set[str], counted: set[str], has_room: bool, events: Sequence[AuditEvent]
    ) -> None:
        """Raises ConditionsFailed with the part `room` when there is none and nothing else is wrong, so that a repeated
        request finds its export although the workspace has no room for another."""
        unchanged = OpenExportsItem.ids == known if known else OpenExportsItem.ids.does_not_exist()
        with transaction() as write:
            write.save(_item(export), ExportItem.pk.does_not_exist(), part="export")
            opened = [OpenExportsItem.ids.set({*counted, export.id})]
            write.update(OpenExportsItem(export.workspace_id, OPEN), opened, unchanged, part="open")
            if not has_room:
                never = ExportItem.pk.exists()
                write.check(ExportItem, export.workspace_id, NO_ROOM, never, part="room")
            save_events(write, events)

    @staticmethod
    def _open_ids(workspace_id: str) -> set[str]:
        try:
            return OpenExportsItem.get(workspace_id, OPEN, consistent_read=True).ids or set()
        except DoesNotExist:
            return set()

    def get(self, workspace_id: str, export_id: str) -> Export:
        try:
            return _export(ExportItem.get(workspace_id, export_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> ExportPage:
        items, next_id = newest_page(
            ExportItem, workspace_id, ("exp_", "exp_~"), matching=None, after=after_id, limit=limit
        )
        return ExportPage(tuple(map(_export, items)), next_id)

    def progress(self, workspace_id: str, export_id: str) -> ExportProgress:
        try:
            item = ExportProgressItem.get(workspace_id, _progress_key(export_id), consistent_read=True)
        except DoesNotExist:
            return ExportProgress()
        return _progress(item.progress)

    def save_progress(self, export: Export, before: ExportProgress, after: ExportProgress) -> None:
        stored = ExportProgressItem.progress
        unchanged = ExportProgressItem.pk.does_not_exist() if before == ExportProgress() else stored == _data(before)
        item = ExportProgressItem(
            export.workspace_id,
            _progress_key(export.id),
            progress=_data(after),
            expires_at_seconds=_expires_at_seconds(export),
        )
        actions: list[Action] = [
            ExportItem.status.set(ExportStatus.RUNNING.value),
            ExportItem.rows.set(after.rows),
            ExportItem.size_bytes.set(after.size_bytes),
        ]

        def write_both() -> None:
            with transaction() as write:
                write.save(item, unchanged, part="progress")
                write.update(ExportItem(export.workspace_id, export.id), actions, _is_open(), part="export")

        try:
            retry_conflicts(write_both, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise ExportChanged from error

    def end(self, export: Export) -> bool:
        actions: list[Action] = [
            ExportItem.status.set(export.status.value),
            ExportItem.rows.set(export.rows),
            ExportItem.size_bytes.set(export.size_bytes),
        ]
        if export.ended_at:
            actions.append(ExportItem.ended_at.set(rfc3339(export.ended_at)))
        if export.failure:
            actions.append(ExportItem.failure.set(export.failure))

        def write_all() -> None:
            with transaction() as write:
                write.update(ExportItem(export.workspace_id, export.id), actions, _is_open(), part="export")
                write.update(OpenExportsItem(export.workspace_id, OPEN), [OpenExportsItem.ids.delete({export.id})])

        try:
            retry_conflicts(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True


def created_exports(records: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(workspace id, export id) of the new exports in a batch of the table's stream."""
    keys = (record["dynamodb"]["Keys"] for record in records if record["eventName"] == "INSERT")
    return [(key["pk"]["S"], key["sk"]["S"]) for key in keys if is_id(key["sk"]["S"], "exp")]


def _is_open() -> Any:
    return ExportItem.status.is_in(ExportStatus.QUEUED.value, ExportStatus.RUNNING.value)


def _progress_key(export_id: str) -> str:
    return f"progress#{export_id}"


def _expires_at_seconds(export: Export, lifetime: timedelta = RECORD_LIFETIME) -> int:
    return int((export.created_at + lifetime).timestamp())


def _data(progress: ExportProgress) -> bytes:
    fields = [
        progress.upload,
        progress.after,
        progress.parts,
        progress.rows,
        progress.size_bytes,
        progress.restarts,
    ]
    return zlib.compress(json.dumps(fields, separators=(",", ":")).encode())


def _progress(data: bytes) -> ExportProgress:
    upload, after, parts, rows, size_bytes, restarts = json.loads(zlib.decompress(data))
    return ExportProgress(upload, after, tuple(parts), rows, size_bytes, restarts)


def _item(export: Export) -> ExportItem:
    return ExportItem(
        export.workspace_id,
        export.id,
        user_id=export.user_id,
        dataset=export.dataset.value,
        format=export.format.value,
        begin=rfc3339(export.begin),
        end=rfc3339(export.end),
        cut_at=rfc3339(export.cut_at),
        filters=dict(export.filters) or None,
        status=export.status.value,
        created_at=rfc3339(export.created_at),
        expires_at_seconds=_expires_at_seconds(export),
    )


def _export(item: ExportItem) -> Export:
    return Export(
        item.sk,
        item.pk,
        item.user_id,
        ExportDataset(item.dataset),
        ExportFormat(item.format),
        parse_rfc3339(item.begin),
        parse_rfc3339(item.end),
        parse_rfc3339(item.cut_at),
        parse_rfc3339(item.created_at),
        item.filters or {},
        ExportStatus(item.status),
        int(item.rows or 0),
        int(item.size_bytes or 0),
        parse_rfc3339(item.ended_at) if item.ended_at else None,
        item.failure,
    )
