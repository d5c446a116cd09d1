"""Exports of everything on DynamoDB: their records, and the sections with the records of a workspace and its owner.

pk wsp_…  sk whole#exp_…    one export with its complete zip files; its insertion starts the job (stream). TTL
pk wsp_…  sk open#whole     the export that is being written
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    CompactJSON,
    ConditionsFailed,
    Item,
    Transaction,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.exports.records import RawItem, query_page
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import Conflict, NotFound
from atelier.exports.model import RECORD_LIFETIME, ExportStatus
from atelier.exports.ports import ExportChanged, ExportExists
from atelier.exports.whole_export import ExportedZip, Place, WholeExport
from atelier.exports.whole_ports import Piece, WholeExportPage
from atelier.exports.whole_sections import log_of
from atelier.item_kinds import ItemKind

WHOLE_PREFIX = "whole#"
OPEN_WHOLE = "open#whole"
# Higher than any character of a sort key.
HIGHEST = "\uffff"
LOWEST = " "
TRIES_MAX = 8
BUSY = "The exports of this workspace are busy. Try again."
ONE_AT_A_TIME = "An export of everything is being written. Wait until it has ended."


class WholeExportItem(Item):
    """One export of everything."""

    user_id = UnicodeAttribute()
    with_account = NumberAttribute(null=True)
    created_at = UnicodeAttribute()
    status = UnicodeAttribute()
    files = CompactJSON(null=True)
    file_count = NumberAttribute(default=0)
    place = CompactJSON(null=True)
    ended_at = UnicodeAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class OpenWholeItem(Item):
    """The last export of everything that was requested. `closed`: it has ended."""

    export_id = UnicodeAttribute()
    requested_at = UnicodeAttribute()
    closed = NumberAttribute(null=True)


class DynamoWholeExports:
    """WholeExportStore on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in (WholeExportItem, OpenWholeItem):
            item.bind(table_name)

    def create(self, export: WholeExport, opened_after: datetime, events: Sequence[AuditEvent]) -> None:
        requested = OpenWholeItem(
            export.workspace_id, OPEN_WHOLE, export_id=export.id, requested_at=rfc3339(export.created_at)
        )
        none_open = OpenWholeItem.pk.does_not_exist() | OpenWholeItem.closed.exists()
        none_open |= OpenWholeItem.requested_at < rfc3339(opened_after)

        def fill(write: Transaction) -> None:
            write.save(_item(export), WholeExportItem.pk.does_not_exist(), part="export")
            write.save(requested, none_open, part="open")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if "export" in error.parts:
                raise ExportExists from error
            raise Conflict(ONE_AT_A_TIME) from error

    def get(self, workspace_id: str, export_id: str) -> WholeExport:
        try:
            return _export(WholeExportItem.get(workspace_id, WHOLE_PREFIX + export_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> WholeExportPage:
        bounds = (WHOLE_PREFIX, WHOLE_PREFIX + "~")
        after = WHOLE_PREFIX + after_id if after_id else None
        items, next_key = newest_page(WholeExportItem, workspace_id, bounds, matching=None, after=after, limit=limit)
        return WholeExportPage(tuple(map(_export, items)), next_key.removeprefix(WHOLE_PREFIX) if next_key else None)

    def save(self, before: WholeExport, after: WholeExport) -> None:
        unchanged = WholeExportItem.file_count == len(before.files)
        unchanged &= WholeExportItem.status.is_in(ExportStatus.QUEUED.value, ExportStatus.RUNNING.value)

        def fill(write: Transaction) -> None:
            write.save(_item(after), unchanged, part="export")
            if not after.is_open:
                mine = OpenWholeItem.export_id == after.id
                write.update(
                    OpenWholeItem(after.workspace_id, OPEN_WHOLE), [OpenWholeItem.closed.set(1)], mine, part="open"
                )

        def fill_without_place(write: Transaction) -> None:
            write.save(_item(after), unchanged, part="export")

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            if "export" in error.parts:
                raise ExportChanged from error
            # A later export was requested, because this one took so long.
            write_transaction(fill_without_place, busy=BUSY, tries_max=TRIES_MAX)


def created_whole_exports(records: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(workspace id, export id) of the new exports of everything in a batch of the table's stream."""
    keys = (record["dynamodb"]["Keys"] for record in records if record["eventName"] == "INSERT")
    found = ((key["pk"]["S"], key["sk"]["S"]) for key in keys)
    return [(pk, sk.removeprefix(WHOLE_PREFIX)) for pk, sk in found if sk.startswith(WHOLE_PREFIX)]


class RecordsSection:
    """Section of the records of one kind: a file with one JSON object in each line, read page by page."""

    def __init__(self, table_name: str, kind: ItemKind) -> None:
        self._table, self._kind = table_name, kind

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        owner, kind, is_rest = log_of(export, self._kind.pk), self._kind, after is not None
        if owner is None:
            return
        bounds = (kind.sk or LOWEST, kind.sk + HIGHEST)
        while True:
            items, next_after = query_page(self._table, owner, bounds, after)
            if items:
                lines = [record_line(item, kind) for item in items]
                yield Piece(f"{kind.file}.ndjson", lines, items[-1]["sk"]["S"], is_rest)
                is_rest = True
            if next_after is None:
                return
            after = next_after


def record_line(item: RawItem, kind: ItemKind) -> bytes:
    """A stored item as a line of JSON."""
    left_out = {"pk", "sk", "kind", "expires_at_seconds", *kind.without}
    # `kind` is the discriminator of the identity table alone; a generation has a kind of its own.
    left_out -= set() if kind.table == "identity" else {"kind"}
    fields = {
        name: json.loads(value["S"]) if name in kind.json and "S" in value else plain_value(value)
        for name, value in sorted(item.items())
        if name not in left_out
    }
    text = json.dumps({"key": item["sk"]["S"], **fields}, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def plain_value(value: Mapping[str, Any]) -> Any:
    """A value in DynamoDB's JSON as one of plain JSON; bytes in base64."""
    ((type_name, content),) = value.items()
    match type_name:
        case "N":
            return int(content) if content.lstrip("-").isdigit() else float(content)
        case "M":
            return {name: plain_value(each) for name, each in content.items()}
        case "L":
            return [plain_value(each) for each in content]
        case "SS":
            return sorted(content)
        case "B":
            return content if isinstance(content, str) else base64.b64encode(content).decode()
        case "NULL":
            return None
        case _:
            return content


def _item(export: WholeExport) -> WholeExportItem:
    return WholeExportItem(
        export.workspace_id,
        WHOLE_PREFIX + export.id,
        user_id=export.user_id,
        with_account=1 if export.with_account else None,
        created_at=rfc3339(export.created_at),
        status=export.status.value,
        files=[[file.key, file.size_bytes] for file in export.files] or None,
        file_count=len(export.files),
        place=[export.place.section, export.place.after] if export.place else None,
        ended_at=rfc3339(export.ended_at) if export.ended_at else None,
        failure=export.failure,
        expires_at_seconds=int((export.created_at + RECORD_LIFETIME).timestamp()),
    )


def _export(item: WholeExportItem) -> WholeExport:
    return WholeExport(
        item.sk.removeprefix(WHOLE_PREFIX),
        item.pk,
        item.user_id,
        bool(item.with_account),
        parse_rfc3339(item.created_at),
        ExportStatus(item.status),
        tuple(ExportedZip(key, int(size)) for key, size in item.files or ()),
        Place(*item.place) if item.place else None,
        parse_rfc3339(item.ended_at) if item.ended_at else None,
        item.failure,
    )
