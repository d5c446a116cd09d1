"""What an export of everything takes out of buckets: a workspace's media files, and the archived months of logs."""

from __future__ import annotations

from collections.abc import Iterator

from atelier.adapters.aws.clients import client
from atelier.exports.whole_export import WholeExport
from atelier.exports.whole_ports import Piece
from atelier.exports.whole_sections import log_of

CHUNK_BYTES = 1024 * 1024
GONE_CODES = {"NoSuchKey", "404"}


class S3FilesSection:
    """Section of the files below `<prefix><owner>/` of a bucket, as `<folder>/<rest of the key>`. owner: WORKSPACE or
    USER."""

    def __init__(self, bucket: str, prefix: str, owner: str, folder: str) -> None:
        self._bucket, self._prefix, self._owner, self._folder = bucket, prefix, owner, folder

    def pieces(self, export: WholeExport, after: str | None) -> Iterator[Piece]:
        owner = log_of(export, self._owner)
        if owner is None:
            return
        prefix = f"{self._prefix}{owner}/"
        start = {"StartAfter": after} if after else {}
        pages = client("s3").get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix, **start)
        for page in pages:
            for each in page.get("Contents", ()):
                key = each["Key"]
                yield Piece(f"{self._folder}/{key.removeprefix(prefix)}", self._chunks(key), key)

    def _chunks(self, key: str) -> Iterator[bytes]:
        from botocore.exceptions import ClientError

        try:
            body = client("s3").get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in GONE_CODES:
                # Deleted since it was listed: the export has an empty file.
                return
            raise
        yield from body.iter_chunks(CHUNK_BYTES)
