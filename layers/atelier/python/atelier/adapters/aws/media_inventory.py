"""The inventory of the media bucket: which objects there are, in which version, with which checksum. The files stay
where they are: the bucket keeps earlier versions of what is deleted for a month."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from atelier.adapters.aws.backup_files import S3NewBackupFiles
from atelier.adapters.aws.clients import client
from atelier.backups.lines import GzipFile, describe_file
from atelier.backups.model import Backup, PartProgress

PREFIX = "media/"
# Objects of one file of the inventory, at least.
FILE_OBJECTS = 100_000
# A processed file is named by its content: media/<workspace>/<sha256>.<ext>.
_CONTENT_NAME = re.compile(r"/([0-9a-f]{64})\.[a-z0-9]+\Z")


class S3MediaInventory:
    """PartSource of the inventory. progress.after: the markers of the next page of S3's list."""

    def __init__(self, bucket: str, files: S3NewBackupFiles, file_objects: int = FILE_OBJECTS) -> None:
        self._bucket, self._files, self._file_objects = bucket, files, file_objects

    def advance(self, backup: Backup, part: str, progress: PartProgress) -> PartProgress:
        file, after = GzipFile(), progress.after
        while True:
            start: dict[str, str] = json.loads(after) if after else {}
            page = client("s3").list_object_versions(Bucket=self._bucket, Prefix=PREFIX, **start)
            file.add([_line(entry) for entry in page.get("Versions", ()) if entry["IsLatest"]])
            after = _next_markers(page)
            if after is None or file.items >= self._file_objects:
                break
        if not file.items:
            return replace(progress, after=None, is_complete=True)
        key, data = f"media/{len(progress.files):05}.ndjson.gz", file.end()
        files = (*progress.files, describe_file(key, data, file.items))
        ended = replace(progress, after=after, files=files, is_complete=after is None)
        return self._files.add(backup, key, data, ended)


def _next_markers(page: dict[str, Any]) -> str | None:
    if not page.get("IsTruncated"):
        return None
    return json.dumps({"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]})


def _line(entry: dict[str, Any]) -> bytes:
    found = _CONTENT_NAME.search(entry["Key"])
    facts = {
        "key": entry["Key"],
        "version": entry["VersionId"],
        "bytes": entry["Size"],
        "etag": entry["ETag"].strip('"'),
        "sha256": found[1] if found else None,
    }
    return json.dumps(facts, separators=(",", ":")).encode() + b"\n"
