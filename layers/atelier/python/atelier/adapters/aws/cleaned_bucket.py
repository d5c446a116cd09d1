"""CleanedBucket and CleanUpReports on S3."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.library.clean_up import CleanUpState, FileVersion, UnfinishedUpload

MEDIA = "media/"
ANSWERS = "answers"
STATE_KEY = "reports/clean_up/state.json"


class S3CleanedBucket:
    """CleanedBucket on the media bucket."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def versions(self, prefix: str) -> Iterator[FileVersion]:
        newer: FileVersion | None = None
        pages = client("s3").get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            listed = [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]
            # S3 lists versions and deletions apart; those of a key belong together, the newest first.
            listed.sort(key=lambda each: each["LastModified"], reverse=True)
            listed.sort(key=lambda each: (each["Key"], not each["IsLatest"]))
            for each in listed:
                is_older = newer is not None and newer.key == each["Key"]
                newer = FileVersion(
                    each["Key"],
                    each["VersionId"],
                    each["LastModified"],
                    each["IsLatest"],
                    is_deletion="Size" not in each,
                    size_bytes=each.get("Size", 0),
                    replaced_at=newer.written_at if newer is not None and is_older else None,
                )
                yield newer

    def workspaces(self, after: str | None) -> Iterator[str]:
        # Versions are listed, because a workspace may have nothing else any more. "~" is behind every character of a
        # key, so the listing begins with the next workspace.
        marker = f"{MEDIA}{after}/~" if after else ""
        while True:
            page = client("s3").list_object_versions(Bucket=self._bucket, Prefix=MEDIA, Delimiter="/", KeyMarker=marker)
            for each in page.get("CommonPrefixes", ()):
                workspace_id = each["Prefix"].removeprefix(MEDIA).rstrip("/")
                # Other prefixes are answers of texts, and the copies of published works.
                if workspace_id.startswith("wsp_") and each["Prefix"] > marker:
                    yield workspace_id
            if not page.get("IsTruncated"):
                return
            marker = page["NextKeyMarker"]

    def unfinished(self) -> Iterator[UnfinishedUpload]:
        for page in client("s3").get_paginator("list_multipart_uploads").paginate(Bucket=self._bucket):
            for each in page.get("Uploads", ()):
                yield UnfinishedUpload(each["Key"], each["UploadId"], each["Initiated"])

    def delete(self, file: FileVersion) -> None:
        client("s3").delete_object(Bucket=self._bucket, Key=file.key, VersionId=file.version)

    def abort(self, upload: UnfinishedUpload) -> None:
        client("s3").abort_multipart_upload(Bucket=self._bucket, Key=upload.key, UploadId=upload.id)


class S3CleanUpReports:
    """CleanUpReports as files of a bucket: the state of the run that is under way, and a report for each run."""

    def __init__(self, bucket: str) -> None:
        self._bucket = bucket

    def state(self) -> CleanUpState | None:
        s3 = client("s3")
        try:
            body = s3.get_object(Bucket=self._bucket, Key=STATE_KEY)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        data: dict[str, Any] = json.loads(body)
        counts = {name: (int(count), int(size)) for name, (count, size) in data["counts"].items()}
        return CleanUpState(data["started_at"], data["acts"], data["workspace"], counts, tuple(data["examples"]))

    def save(self, state: CleanUpState) -> None:
        data = {
            "started_at": state.started_at,
            "acts": state.acts,
            "workspace": state.workspace,
            "counts": state.counts,
            "examples": state.examples,
        }
        self._put(STATE_KEY, data)

    def finish(self, report: Mapping[str, Any]) -> None:
        self._put(f"reports/clean_up/{report['started_at']}.json", report)
        client("s3").delete_object(Bucket=self._bucket, Key=STATE_KEY)

    def _put(self, key: str, data: Mapping[str, Any]) -> None:
        body = json.dumps(data, ensure_ascii=False).encode()
        client("s3").put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")
