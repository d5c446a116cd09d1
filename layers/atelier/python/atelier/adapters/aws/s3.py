"""The media bucket."""

from __future__ import annotations

from botocore.exceptions import ClientError

from atelier.adapters.aws.clients import client
from atelier.errors import NotFound

# Versions of a key are listed newest first, its deletions among them.
LISTED_VERSIONS_MAX = 10
# Error codes of a copy whose source does not exist.
MISSING_CODES = frozenset({"NoSuchKey", "404", "NotFound"})
# Objects never change: a key contains the hash of the bytes, or the id of the only attempt that wrote them.
CACHE_CONTROL = "private, max-age=31536000, immutable"


class MediaStore:
    """Objects of one bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes under a key. Keys are derived, so repeating a put stores the same object."""
        client("s3").put_object(
            Bucket=self._bucket, Key=key, Body=data, ContentType=content_type, CacheControl=CACHE_CONTROL
        )

    def get(self, key: str, bytes_max: int) -> bytes:
        """The bytes under a key; raises NotFound, or ValueError when there are more than `bytes_max`."""
        return self._read(key, bytes_max)

    def _read(self, key: str, bytes_max: int, **version: str) -> bytes:
        s3 = client("s3")
        try:
            response = s3.get_object(Bucket=self._bucket, Key=key, **version)
        except s3.exceptions.NoSuchKey as error:
            raise NotFound from error
        if response["ContentLength"] > bytes_max:
            raise ValueError(f"{key} has {response['ContentLength']} bytes, more than {bytes_max}")
        data: bytes = response["Body"].read()
        return data

    def copy(self, source: str, target: str) -> None:
        """Copy an object with its headers. When there is none under `source` any more and none under `target`, the
        last bytes that were under `source`. Does nothing when `source` never had an object."""
        try:
            self._copy(source, target)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in MISSING_CODES:
                raise
            version = None if self._exists(target) else self._last_version(source)
            if version is not None:
                self._copy(source, target, VersionId=version)

    def _copy(self, source: str, target: str, **version: str) -> None:
        place = {"Bucket": self._bucket, "Key": source, **version}
        client("s3").copy_object(Bucket=self._bucket, Key=target, CopySource=place)

    def _exists(self, key: str) -> bool:
        found = client("s3").list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return any(each["Key"] == key for each in found.get("Contents", ()))

    def delete(self, key: str) -> str:
        """Delete an object; the bucket keeps its bytes as an earlier version for a month. Returns the id of the
        deletion, which `undelete` takes; empty when the bucket keeps no versions."""
        response = client("s3").delete_object(Bucket=self._bucket, Key=key)
        return response.get("VersionId", "")

    def undelete(self, key: str, deletion: str) -> None:
        """Take a deletion back. An object that was stored since stays as it is."""
        if deletion:
            client("s3").delete_object(Bucket=self._bucket, Key=key, VersionId=deletion)

    def get_deleted(self, key: str, bytes_max: int) -> bytes:
        """The last bytes that were under a key whose object was deleted; raises like `get`."""
        version = self._last_version(key)
        if version is None:
            raise NotFound
        return self._read(key, bytes_max, VersionId=version)

    def _last_version(self, key: str) -> str | None:
        """The id of the newest bytes under a key, also if they were deleted; None when there never were any."""
        found = client("s3").list_object_versions(Bucket=self._bucket, Prefix=key, MaxKeys=LISTED_VERSIONS_MAX)
        return next((str(each["VersionId"]) for each in found.get("Versions", ()) if each["Key"] == key), None)
