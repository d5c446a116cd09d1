"""The media bucket."""

from __future__ import annotations

from atelier.adapters.aws.clients import client
from atelier.errors import NotFound

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
        s3 = client("s3")
        try:
            response = s3.get_object(Bucket=self._bucket, Key=key)
        except s3.exceptions.NoSuchKey as error:
            raise NotFound from error
        if response["ContentLength"] > bytes_max:
            raise ValueError(f"{key} has {response['ContentLength']} bytes, more than {bytes_max}")
        data: bytes = response["Body"].read()
        return data
