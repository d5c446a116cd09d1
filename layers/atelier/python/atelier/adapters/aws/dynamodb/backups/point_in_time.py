"""Whole tables as they were at one time, the same for all, by DynamoDB's own export. It reads no capacity of the
tables; what is left to do is to count and hash its files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace

from atelier.adapters.aws.backup_files import S3BackupFolder, S3NewBackupFiles
from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.backups.segments import DynamoTableCatalog
from atelier.backups.lines import GzipFile, HeadCollector, describe_file, has_chains, read_line
from atelier.backups.model import Backup, BackupFile, PartProgress, table_of
from atelier.backups.verify import split_lines


class ExportFailed(Exception):
    """DynamoDB could not export a table, or its files are not all there."""


class PointInTimeCatalog(DynamoTableCatalog):
    """TableCatalog of tables that DynamoDB exports, which it does in one piece."""

    def segments(self, table: str) -> int:
        return 1


class PointInTimeExports:
    """PartSource of tables, each of one segment. tables: the table's name by context.

    progress.started: the export's ARN. progress.after: the key of the last file that was hashed."""

    def __init__(self, tables: Mapping[str, str], bucket: str, files: S3NewBackupFiles) -> None:
        self._tables, self._bucket, self._files = tables, bucket, files

    def advance(self, backup: Backup, part: str, progress: PartProgress) -> PartProgress | None:
        table, _, _ = table_of(part)
        if progress.started is None:
            return replace(progress, started=self._start(backup, table))
        described = client("dynamodb").describe_export(ExportArn=progress.started)["ExportDescription"]
        if described["ExportStatus"] == "IN_PROGRESS":
            return None
        if described["ExportStatus"] != "COMPLETED":
            raise ExportFailed(f"{table}: {described.get('FailureCode')}: {described.get('FailureMessage')}")
        key = self._next_key(backup, table, progress.after)
        if key is None:
            return self._complete(table, progress, int(described["ItemCount"]))
        written, heads = self._read(backup, table, key)
        return replace(progress, after=key, files=(*progress.files, written), heads=(*progress.heads, *heads))

    def _start(self, backup: Backup, table: str) -> str:
        """Start an export, or find the one that an earlier run has started (its token is this backup's)."""
        arn = client("dynamodb").describe_table(TableName=self._tables[table])["Table"]["TableArn"]
        started = client("dynamodb").export_table_to_point_in_time(
            TableArn=arn,
            ExportTime=backup.cut_at,
            ClientToken=f"{backup.id}-{table}",
            S3Bucket=self._bucket,
            S3Prefix=f"{backup.prefix}tables/{table}",
            ExportFormat="DYNAMODB_JSON",
        )
        return str(started["ExportDescription"]["ExportArn"])

    def _next_key(self, backup: Backup, table: str, after: str | None) -> str | None:
        """The next data file, below the backup's folder. DynamoDB writes files about the export beside its data."""
        prefix = f"{backup.prefix}tables/{table}/"
        start = {"StartAfter": backup.prefix + after} if after else {}
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, **start)
        for page in pages:
            for entry in page.get("Contents", ()):
                key: str = entry["Key"]
                if "/data/" in key and key.endswith(".gz"):
                    return key.removeprefix(backup.prefix)
        return None

    def _read(self, backup: Backup, table: str, key: str) -> tuple[BackupFile, tuple[BackupFile, ...]]:
        """The description of a data file, and of the heads in it if the table is chained."""
        digest, heads, size, items = hashlib.sha256(), HeadCollector(), 0, 0

        def chunks() -> Iterator[bytes]:
            nonlocal size
            for chunk in S3BackupFolder(self._bucket, backup.prefix).chunks(key):
                digest.update(chunk)
                size += len(chunk)
                yield chunk

        for line in split_lines(chunks()):
            items += 1
            # Most lines are no seals, and reading one takes longer than looking for the word.
            if has_chains(table) and b'"seal#' in line:
                heads.see(read_line(line))
        file = BackupFile(key, size, digest.hexdigest(), items)
        if not has_chains(table):
            return file, ()
        lines, heads_key = GzipFile(), f"heads/{table}/{file.sha256}.ndjson.gz"
        lines.add(heads.lines())
        data = lines.end()
        self._files.put(backup, heads_key, data)
        return file, (describe_file(heads_key, data, lines.items),)

    @staticmethod
    def _complete(table: str, progress: PartProgress, expected: int) -> PartProgress:
        items = sum(file.items for file in progress.files)
        if items != expected:
            raise ExportFailed(f"{table}: {expected} items were exported, and the files have {items}")
        return replace(progress, is_complete=True)
