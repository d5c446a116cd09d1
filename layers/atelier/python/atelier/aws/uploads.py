"""Files that people send straight to the media bucket, by a form that S3 checks (a presigned POST)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from atelier.aws.clients import session
from atelier.aws.s3 import MediaStore
from atelier.library.ports import Form
from atelier.library.upload import Upload

FORM_SECONDS = 300


@cache
def _signer() -> Any:
    """A client that signs as every region understands it; it sends nothing."""
    import botocore.config

    return session().create_client("s3", config=botocore.config.Config(signature_version="s3v4"))


class BucketUploads:
    """The library's UploadedFiles over a bucket. key: of a workspace's upload."""

    def __init__(self, bucket: str, key: Callable[[str, str], str]) -> None:
        self._bucket = bucket
        self._key = key

    def form(self, upload: Upload) -> Form:
        fields = {"Content-Type": upload.content_type}
        made = _signer().generate_presigned_post(
            Bucket=self._bucket,
            Key=self._key(upload.workspace_id, upload.id),
            Fields=fields,
            Conditions=[fields, ["content-length-range", upload.size_bytes, upload.size_bytes]],
            ExpiresIn=FORM_SECONDS,
        )
        return Form(made["url"], made["fields"])

    def read(self, upload: Upload, bytes_max: int) -> bytes:
        return MediaStore(self._bucket).get(self._key(upload.workspace_id, upload.id), bytes_max)
