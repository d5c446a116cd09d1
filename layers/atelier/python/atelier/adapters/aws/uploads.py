"""Files that users send directly to the media bucket, by a form whose fields S3 checks.

The form is signed here (Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST"), because
creating an SDK client only for this would cost half a second of a cold start.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from atelier.adapters.aws.clients import session
from atelier.adapters.aws.s3 import MediaStore
from atelier.clock import rfc3339
from atelier.library.ports import UploadForm
from atelier.library.upload import Upload

FORM_LIFETIME = timedelta(minutes=5)


class BucketUploads:
    """The library's UploadedFiles on a bucket. key: (workspace id, upload id) → object key; endpoint_url: base URL of
    S3 if it is not the public one."""

    def __init__(self, bucket: str, key: Callable[[str, str], str], *, region: str, endpoint_url: str = "") -> None:
        self._bucket = bucket
        self._key = key
        self._region = region
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = f"{endpoint_url}/{bucket}" if endpoint_url else f"https://{bucket}.s3.{region}.{suffix}/"

    def form(self, upload: Upload, now: datetime) -> UploadForm:
        credentials = session().get_credentials()
        assert credentials is not None, "a function has a role"
        credentials_now = credentials.get_frozen_credentials()
        at = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = [at[:8], self._region, "s3", "aws4_request"]
        fields: dict[str, str] = {
            "key": self._key(upload.workspace_id, upload.id),
            "Content-Type": upload.content_type,
            "x-amz-algorithm": "AWS4-HMAC-SHA256",
            "x-amz-credential": "/".join([str(credentials_now.access_key), *scope]),
            "x-amz-date": at,
        }
        if credentials_now.token:
            fields["x-amz-security-token"] = credentials_now.token
        size = upload.size_bytes
        conditions: list[Any] = [{"bucket": self._bucket}, *({name: value} for name, value in fields.items())]
        conditions.append(["content-length-range", size, size])
        policy = {"expiration": rfc3339(now + FORM_LIFETIME), "conditions": conditions}
        fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
        key = reduce(_mac, scope, f"AWS4{credentials_now.secret_key}".encode())
        return UploadForm(self._url, {**fields, "x-amz-signature": _mac(key, fields["policy"]).hex()})

    def read(self, upload: Upload, bytes_max: int) -> bytes:
        return MediaStore(self._bucket).get(self._key(upload.workspace_id, upload.id), bytes_max)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
