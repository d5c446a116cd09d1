"""Zip files that are written into a bucket while they are made: memory holds one part of the upload."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import IO
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from atelier.adapters.aws.clients import client

# A part of an upload: S3 takes at least 5 MiB (but for the last), and at most 10,000 of them.
PART_BYTES = 8 * 1024 * 1024
# The fastest level: most bytes are images and videos, which are compressed already.
LEVEL = 1
# The time of the files in a zip file: the earliest that the format knows, so that equal content has equal bytes.
NO_TIME = (1980, 1, 1, 0, 0, 0)


class S3ZipFiles:
    """ZipFiles on S3's multipart uploads."""

    def __init__(self, bucket: str, part_bytes: int = PART_BYTES) -> None:
        self._bucket = bucket
        self._part_bytes = part_bytes

    def begin(self, key: str) -> S3ZipWriter:
        return S3ZipWriter(_Upload(self._bucket, key, self._part_bytes))


class S3ZipWriter:
    """ZipWriter on one upload."""

    def __init__(self, upload: _Upload) -> None:
        self._upload = upload
        self._zip = ZipFile(upload, "w", ZIP_DEFLATED, compresslevel=LEVEL)  # pyright: ignore[reportArgumentType]
        self._name = ""
        self._file: IO[bytes] | None = None

    @property
    def size_bytes(self) -> int:
        return self._upload.size_bytes

    def write(self, file: str, chunks: Iterable[bytes]) -> None:
        if self._file is None or file != self._name:
            self._end_file()
            info = ZipInfo(file, NO_TIME)
            info.compress_type = ZIP_DEFLATED
            # The size is not known before; a file of more than 4 GB needs the larger fields.
            self._name, self._file = file, self._zip.open(info, "w", force_zip64=True)
        for chunk in chunks:
            self._file.write(chunk)

    def close(self) -> int:
        self._end_file()
        self._zip.close()
        self._upload.complete()
        return self._upload.size_bytes

    def abort(self) -> None:
        self._upload.abort()
        # Ends the objects of the zip file; their bytes go nowhere.
        self._end_file()
        self._zip.close()

    def _end_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class _Upload(io.RawIOBase):
    """A file without a position, whose bytes go into the parts of an upload."""

    def __init__(self, bucket: str, key: str, part_bytes: int) -> None:
        self._place = {"Bucket": bucket, "Key": key}
        self._part_bytes = part_bytes
        self._upload_id: str | None = None
        self._buffer = bytearray()
        self._parts: list[dict[str, str | int]] = []
        self._is_dropped = False
        self.size_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self._is_dropped:
            return len(data)
        self._buffer += data
        self.size_bytes += len(data)
        while len(self._buffer) >= self._part_bytes:
            self._put_part(bytes(self._buffer[: self._part_bytes]))
            del self._buffer[: self._part_bytes]
        return len(data)

    def complete(self) -> None:
        self._put_part(bytes(self._buffer))
        self._buffer.clear()
        parts = {"Parts": self._parts}
        client("s3").complete_multipart_upload(**self._place, UploadId=self._upload_id, MultipartUpload=parts)

    def abort(self) -> None:
        """Drop what was written, and what comes."""
        self._is_dropped = True
        if self._upload_id is not None:
            client("s3").abort_multipart_upload(**self._place, UploadId=self._upload_id)

    def _put_part(self, data: bytes) -> None:
        s3 = client("s3")
        if self._upload_id is None:
            begun = s3.create_multipart_upload(**self._place, ContentType="application/zip")
            self._upload_id = begun["UploadId"]
        number = len(self._parts) + 1
        put = s3.upload_part(**self._place, UploadId=self._upload_id, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": put["ETag"]})
