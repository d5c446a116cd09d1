"""The bucket with the archive of the audit logs."""

from __future__ import annotations

from atelier.adapters.aws.clients import client


class S3AuditArchive:
    """ArchiveFiles in one bucket, which keeps earlier versions."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def exists(self, key: str) -> bool:
        found = client("s3").list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return any(each["Key"] == key for each in found.get("Contents", ()))

    def add(self, key: str, data: bytes) -> None:
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=data, ContentType="application/gzip")
