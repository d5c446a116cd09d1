"""Files of backups in a bucket."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.backups.model import Backup, BackupFile, PartProgress
from atelier.backups.ports import BackupFileMissing

CHUNK_BYTES = 1024 * 1024
MISSING_CODES = {"NoSuchKey", "404"}
# The name of the metadata of a data file that says where the next one begins.
PROGRESS = "progress"


class S3NewBackupFiles:
    """NewBackupFiles in one bucket. It also adds data files, each once."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, backup: Backup, key: str, data: bytes) -> None:
        client("s3").put_object(Bucket=self._bucket, Key=backup.prefix + key, Body=data)

    def read(self, backup: Backup, key: str) -> bytes | None:
        try:
            return b"".join(S3BackupFolder(self._bucket, backup.prefix).chunks(key))
        except BackupFileMissing:
            return None

    def add(self, backup: Backup, key: str, data: bytes, after: PartProgress) -> PartProgress:
        """Write a data file with the progress after it, unless it is there: then the progress that it was written with
        is returned. So of two runs at the same time, and after a run that died in between, one file is left."""
        from botocore.exceptions import ClientError

        text = json.dumps(_last_fields(after), separators=(",", ":"))
        try:
            client("s3").put_object(
                Bucket=self._bucket, Key=backup.prefix + key, Body=data, IfNoneMatch="*", Metadata={PROGRESS: text}
            )
        except ClientError as error:
            # 409: another run writes it at this moment; this one is repeated, and finds it.
            if error.response.get("Error", {}).get("Code") != "PreconditionFailed":
                raise
            found = client("s3").head_object(Bucket=self._bucket, Key=backup.prefix + key)
            return _with_last(after, json.loads(found["Metadata"][PROGRESS]))
        return after


class S3BackupFolder:
    """BackupFolder in a bucket. prefix: ends with a slash."""

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self._prefix = bucket, prefix

    def chunks(self, key: str) -> Iterator[bytes]:
        from botocore.exceptions import ClientError

        try:
            body = client("s3").get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING_CODES:
                raise
            raise BackupFileMissing(key) from error
        yield from body.iter_chunks(CHUNK_BYTES)


def _last_fields(progress: PartProgress) -> Mapping[str, Any]:
    heads = progress.heads[-1] if progress.heads else None
    return {
        "after": progress.after,
        "file": _fields(progress.files[-1]),
        "heads": _fields(heads) if heads else None,
        "notes": list(progress.notes),
        "is_complete": progress.is_complete,
    }


def _with_last(progress: PartProgress, fields: Mapping[str, Any]) -> PartProgress:
    """The progress with another last file: that of the run which wrote it."""
    earlier = progress.heads[: len(progress.files) - 1]
    heads = (*earlier, BackupFile(*fields["heads"])) if fields["heads"] else earlier
    return PartProgress(
        fields["after"],
        (*progress.files[:-1], BackupFile(*fields["file"])),
        heads,
        progress.started,
        tuple(fields["notes"]),
        fields["is_complete"],
    )


def _fields(file: BackupFile) -> list[Any]:
    return [file.key, file.size_bytes, file.sha256, file.items]
