"""Whole tables, read by parallel scans into files of lines. Reads are consistent, page by page: what is written during
the scan may be there or not.

Chains are read more strictly, because a wallet that is newer than its movements cannot be verified. Items of a
partition lie together, so each partition of a chained table is taken whole: as the page has it, when nothing of it is
younger than QUIET before the page was read, so that nothing can have been written while it was; else it is read once
more by itself, so that it belongs together (`_read_settled`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, cast

from atelier.adapters.aws.backup_files import S3NewBackupFiles
from atelier.adapters.aws.clients import client
from atelier.backups.lines import GzipFile, HeadCollector, RawItem, describe_file, has_chains, item_line, read_line
from atelier.backups.manifest import TableSettings
from atelier.backups.model import CUT_BEFORE, Backup, PartProgress, table_of
from atelier.clock import Clock, rfc3339

# Compressed bytes of a file: some ten times as many before, which ImportTable reads in parallel.
FILE_BYTES = 16 * 1024 * 1024
SEGMENT_BYTES = 2 * 1024**3
SEGMENTS_MAX = 16
# A record is written at most this long after the time that it carries.
QUIET = CUT_BEFORE
READINGS_MAX = 4
SPOOL_BYTES = 8 * 1024 * 1024
WALLET, SEAL = "wallet", "seal#"
NOTES_MAX = 4
UNSETTLED = "{}: {} changed each time it was read; it may not verify."


class TableSegments:
    """PartSource of tables. tables: the table's name by context. page: further arguments of each scan."""

    def __init__(
        self,
        tables: Mapping[str, str],
        files: S3NewBackupFiles,
        clock: Clock,
        file_bytes: int = FILE_BYTES,
        page: Mapping[str, Any] | None = None,
    ) -> None:
        self._tables, self._files, self._clock, self._file_bytes = tables, files, clock, file_bytes
        self._page = page or {}

    def advance(self, backup: Backup, part: str, progress: PartProgress) -> PartProgress:
        table, segment, _ = table_of(part)
        file, heads, after, notes = GzipFile(), HeadCollector(), progress.after, list(progress.notes)
        while True:
            after = self._add_page(part, after, file, heads, notes)
            if after is None or file.size_bytes >= self._file_bytes:
                break
        if not file.items:
            return PartProgress(None, progress.files, progress.heads, None, tuple(notes), is_complete=True)
        key = f"tables/{table}/{segment:02}-{len(progress.files):05}.json.gz"
        data = file.end()
        written = describe_file(key, data, file.items)
        noted = progress.heads
        if has_chains(table):
            lines = GzipFile()
            lines.add(heads.lines())
            # By the content of the data file, so that another run, which has read something else, writes another one.
            heads_key = f"heads/{table}/{written.sha256}.ndjson.gz"
            heads_data = lines.end()
            self._files.put(backup, heads_key, heads_data)
            noted = (*noted, describe_file(heads_key, heads_data, lines.items))
        ended = PartProgress(after, (*progress.files, written), noted, None, tuple(notes), is_complete=after is None)
        return self._files.add(backup, key, data, ended)

    def _add_page(
        self, part: str, after: str | None, file: GzipFile, heads: HeadCollector, notes: list[str]
    ) -> str | None:
        """Add the next page of the segment; returns where the one after it begins."""
        table, segment, segments = table_of(part)
        request: dict[str, Any] = {**self._page, "Segment": segment, "TotalSegments": segments}
        if after is not None:
            request["ExclusiveStartKey"] = json.loads(after)
        quiet_until = rfc3339(self._clock() - QUIET)
        page = client("dynamodb").scan(TableName=self._tables[table], ConsistentRead=True, **request)
        last: RawItem | None = page.get("LastEvaluatedKey")
        if not has_chains(table):
            file.add(map(item_line, page["Items"]))
            return json.dumps(last) if last else None
        for owner, items in groupby(cast("list[RawItem]", page["Items"]), key=lambda item: item["pk"]["S"]):
            partition = list(items)
            is_cut = last is not None and owner == last["pk"]["S"]
            if not is_cut and _newest(partition) < quiet_until:
                end = _add(partition, file, heads)
            else:
                end = self._add_settled(table, owner, file, heads, notes)
            if is_cut and last is not None:
                last = {"pk": {"S": owner}, "sk": {"S": end or last["sk"]["S"]}}
        return json.dumps(last) if last else None

    def _add_settled(
        self, table: str, owner: str, file: GzipFile, heads: HeadCollector, notes: list[str]
    ) -> str | None:
        """Read a partition by itself and add it; returns its last key."""
        name, end = self._tables[table], None
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            for _ in range(READINGS_MAX):
                spool.seek(0)
                spool.truncate()
                if _read_settled(name, owner, spool.write):
                    break
            else:
                # Some are enough to know; the check of the backup names all.
                notes[NOTES_MAX:] = [UNSETTLED.format(table, owner)]
            spool.seek(0)
            for line in spool:
                item = read_line(line)
                heads.see(item)
                file.add([line])
                end = max(end or "", item["sk"]["S"])
        return end


class DynamoTableCatalog:
    """TableCatalog of deployed tables."""

    def __init__(self, tables: Mapping[str, str], segment_bytes: int = SEGMENT_BYTES) -> None:
        self._tables, self._segment_bytes = tables, segment_bytes

    def settings(self, table: str) -> TableSettings:
        described = client("dynamodb").describe_table(TableName=self._tables[table])["Table"]
        ttl = client("dynamodb").describe_time_to_live(TableName=self._tables[table])["TimeToLiveDescription"]
        indexes = [
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in described.get("GlobalSecondaryIndexes", ())
        ]
        stream = described.get("StreamSpecification", {})
        return TableSettings(
            key_schema=described["KeySchema"],
            attributes=described["AttributeDefinitions"],
            indexes=indexes,
            ttl=ttl.get("AttributeName"),
            stream=stream.get("StreamViewType"),
        )

    def segments(self, table: str) -> int:
        described = client("dynamodb").describe_table(TableName=self._tables[table])["Table"]
        return min(1 + int(described.get("TableSizeBytes", 0)) // self._segment_bytes, SEGMENTS_MAX)


def _add(items: Sequence[RawItem], file: GzipFile, heads: HeadCollector) -> str:
    for item in items:
        heads.see(item)
    file.add(map(item_line, items))
    return str(items[-1]["sk"]["S"])


def _newest(items: Sequence[RawItem]) -> str:
    """The time (RFC 3339) of the youngest record; empty when none has one."""
    return max((item["at"]["S"] for item in items if "S" in item.get("at", ())), default="")


def _read_settled(table: str, owner: str, write: Callable[[bytes], Any]) -> bool:
    """Read a partition into `write`; whether what was read belongs together.

    Of a wallet: it is the same before and after, and each change of it is a movement that counts in it. Of a log: its
    seals are read first, and what they cover was written before them."""
    before = _get(table, owner, WALLET)
    seals = [] if before else list(_query(table, owner, SEAL))
    for seal in seals:
        write(item_line(seal))
    after: RawItem | None = None
    for item in _query(table, owner, ""):
        if not seals or not item["sk"]["S"].startswith(SEAL):
            write(item_line(item))
        if item["sk"]["S"] == WALLET:
            after = item
    return before == after


def _get(table: str, owner: str, key: str) -> RawItem | None:
    found = client("dynamodb").get_item(
        TableName=table, Key={"pk": {"S": owner}, "sk": {"S": key}}, ConsistentRead=True
    )
    return found.get("Item")


def _query(table: str, owner: str, prefix: str) -> Iterator[RawItem]:
    """The items of a partition whose keys begin with a prefix, in order (consistent reads)."""
    condition, values = "pk = :pk", {":pk": {"S": owner}}
    if prefix:
        condition, values = "pk = :pk AND begins_with(sk, :prefix)", {**values, ":prefix": {"S": prefix}}
    start: dict[str, Any] = {}
    while True:
        page = client("dynamodb").query(
            TableName=table,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
            **start,
        )
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
