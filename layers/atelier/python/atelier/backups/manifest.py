"""The manifest of a backup: everything that a restore needs to know, and to check the files by.

A backup is a folder, in a bucket or on a disk. All keys are relative to it:

    manifest.json  manifest.sig  public_key.pem     signed (ES256); `signature.py` says how to check it without Atelier
    tables/<table>/…                                gzip, lines {"Item": …} in DynamoDB's JSON, as ImportTable reads
    heads/<table>/…                                 the newest seal of each chain when its items were read
    media/…                                         the inventory of the media bucket, not the files themselves
    configuration/…                                 template parameters, model catalogue, price list
    escrow.age                                      the secrets, for the recovery key alone
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from atelier.backups.model import BackupFile, BackupMethod, BackupScope

FORMAT = 1
MANIFEST_KEY = "manifest.json"
SIGNATURE_KEY = "manifest.sig"
PUBLIC_KEY_KEY = "public_key.pem"
ESCROW_KEY = "escrow.age"


class ManifestUnreadable(Exception):
    """The manifest is none, or one of a newer format."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class ManifestFile(_Part):
    """One file. key: below the backup's folder. items: its lines; 1 for a file that has none."""

    key: str
    bytes: int
    sha256: str
    items: int

    @classmethod
    def of(cls, file: BackupFile) -> ManifestFile:
        """The entry of a file."""
        return cls(key=file.key, bytes=file.size_bytes, sha256=file.sha256, items=file.items)


class TableSettings(_Part):
    """What CreateTable (or ImportTable) and UpdateTimeToLive need to create the table anew, in AWS's own words. ttl:
    the attribute with the time after which DynamoDB deletes an item. stream: what its stream shows."""

    key_schema: list[dict[str, str]]
    attributes: list[dict[str, str]]
    indexes: list[dict[str, Any]] = []
    ttl: str | None = None
    stream: str | None = None


class ManifestTable(_Part):
    """One table. prefix: below it are its data files and nothing else. heads: files of the newest seals."""

    name: str
    prefix: str
    settings: TableSettings
    items: int
    files: list[ManifestFile]
    heads: list[ManifestFile] = []


class ManifestMedia(_Part):
    """The media bucket at the time. Each line of the files is {"key", "version", "bytes", "etag", "sha256"}: the
    version that was current; sha256 is null where the key does not say it."""

    bucket: str
    objects: int
    files: list[ManifestFile]


class ManifestEscrow(_Part):
    """The secrets, encrypted in age's format for a recipient (`age1…`), whose key only the operator has."""

    file: ManifestFile
    recipient: str
    secrets: list[str]


class Manifest(_Part):
    """See the module. cut_at: with the method `point-in-time` the tables are as of this time; with `segments` what was
    written before is there, and what was written while it was read may be. notes: what is missing, in plain words."""

    format: int = FORMAT
    id: str
    scope: BackupScope
    method: BackupMethod
    stack: str
    stage: str
    created_at: datetime
    cut_at: datetime
    tables: list[ManifestTable]
    left_out: dict[str, str]
    media: ManifestMedia
    configuration: list[ManifestFile]
    escrow: ManifestEscrow | None
    signed_by: str
    notes: list[str]

    def files(self) -> Iterator[ManifestFile]:
        """All files but the manifest itself and what signs it."""
        for table in self.tables:
            yield from table.files
            yield from table.heads
        yield from self.media.files
        yield from self.configuration
        if self.escrow:
            yield self.escrow.file

    def table(self, name: str) -> ManifestTable | None:
        """The table of a context."""
        return next((table for table in self.tables if table.name == name), None)

    def to_bytes(self) -> bytes:
        """The bytes of the manifest's file, which are signed."""
        return self.model_dump_json(indent=1).encode() + b"\n"


def read_manifest(data: bytes) -> Manifest:
    """The inverse of `to_bytes`. Raises ManifestUnreadable."""
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        raise ManifestUnreadable(f"{MANIFEST_KEY} cannot be read: {error.error_count()} fields are wrong") from error
    if manifest.format != FORMAT:
        raise ManifestUnreadable(f"{MANIFEST_KEY} has the format {manifest.format}; this version reads {FORMAT}")
    return manifest
