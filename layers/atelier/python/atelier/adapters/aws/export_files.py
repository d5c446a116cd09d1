"""Files of exports in a bucket: written in parts, and addressed by signed URLs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from atelier.adapters.aws.clients import client, session
from atelier.exports.ports import UploadBroken

URL_LIFETIME = timedelta(minutes=15)
# Errors of S3 for an upload that is gone, and for parts that are not those that were named.
BROKEN_CODES = {"NoSuchUpload", "InvalidPart", "InvalidPartOrder"}


class S3ExportFiles:
    """ExportFiles on S3's multipart uploads."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def begin(self, key: str, content_type: str) -> str:
        begun = client("s3").create_multipart_upload(Bucket=self._bucket, Key=key, ContentType=content_type)
        return str(begun["UploadId"])

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        from botocore.exceptions import ClientError

        try:
            tag: str = client("s3").upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=data
            )["ETag"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in BROKEN_CODES:
                raise UploadBroken(key) from error
            raise
        return tag

    def complete(self, key: str, upload: str, parts: Sequence[str]) -> None:
        from botocore.exceptions import ClientError

        listed = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(parts, 1)]
        try:
            client("s3").complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code not in BROKEN_CODES:
                raise
            # A run that died after this call has completed the file already.
            if code != "NoSuchUpload" or not self._exists(key):
                raise UploadBroken(key) from error

    def _exists(self, key: str) -> bool:
        found = client("s3").list_objects_v2(Bucket=self._bucket, Prefix=key, MaxKeys=1)
        return any(each["Key"] == key for each in found.get("Contents", ()))


class S3ExportUrls:
    """ExportUrls signed with the function's own credentials, without an SDK client, whose creation would cost half a
    second of a cold start. endpoint_url: base URL of S3 if it is not the public one."""

    def __init__(self, bucket: str, *, region: str, endpoint_url: str = "") -> None:
        self._region = region
        suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
        self._url = f"{endpoint_url}/{bucket}" if endpoint_url else f"https://{bucket}.s3.{region}.{suffix}"

    def url(self, key: str, file_name: str, now: datetime) -> tuple[str, datetime]:
        from botocore.auth import S3SigV4QueryAuth
        from botocore.awsrequest import AWSRequest

        disposition = urlencode(
            {"response-content-disposition": f'attachment; filename="{file_name}"'}, quote_via=quote
        )
        request = AWSRequest("GET", f"{self._url}/{key}?{disposition}")
        seconds = int(URL_LIFETIME.total_seconds())
        credentials = session().get_credentials()
        assert credentials is not None, "a function has a role"
        S3SigV4QueryAuth(credentials, "s3", self._region, expires=seconds).add_auth(request)
        return str(request.url), now + URL_LIFETIME
