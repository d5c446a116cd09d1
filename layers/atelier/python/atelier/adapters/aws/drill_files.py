"""What a drill reads and writes in buckets: files of backups, its report, and versions of media files."""

from __future__ import annotations

from collections.abc import Iterator

from atelier.adapters.aws.backup_files import CHUNK_BYTES, S3BackupFolder
from atelier.adapters.aws.clients import client
from atelier.backups.drill_ports import MediaMissing

MISSING_CODES = {"NoSuchKey", "NoSuchVersion", "404", "MethodNotAllowed"}


class S3BackupFolders:
    """BackupFolders in one bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def chunks(self, prefix: str, key: str) -> Iterator[bytes]:
        return S3BackupFolder(self._bucket, prefix).chunks(key)

    def keys(self, prefix: str) -> Iterator[str]:
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", ()))

    def put_report(self, key: str, data: bytes, content_type: str) -> None:
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type)


class S3MediaVersions:
    """MediaVersions of the media bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def chunks(self, key: str, version: str) -> Iterator[bytes]:
        from botocore.exceptions import ClientError

        try:
            body = client("s3").get_object(Bucket=self._bucket, Key=key, VersionId=version)["Body"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING_CODES:
                raise
            raise MediaMissing(key) from error
        yield from body.iter_chunks(CHUNK_BYTES)
