"""ErasedFiles on S3: all versions of files, and their deletions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.erasures.ports import CheckTime


class NotDeleted(Exception):
    """S3 has refused to delete some files."""


class S3ErasedFiles:
    """ErasedFiles on buckets. buckets: their names, as the use case calls them → as S3 does."""

    def __init__(self, buckets: Mapping[str, str]) -> None:
        self._buckets = buckets

    def delete(self, bucket: str, prefix: str, check_time: CheckTime) -> int:
        s3, name, count = client("s3"), self._buckets[bucket], 0
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name, Prefix=prefix):
            check_time()
            versions: list[dict[str, Any]] = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in versions]
            if objects:
                answer = s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
                if answer.get("Errors"):
                    raise NotDeleted(answer["Errors"][0].get("Code", ""))
                count += len(objects)
        return count
