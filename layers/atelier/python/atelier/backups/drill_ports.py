"""Ports of drills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from atelier.backups.drill import Drill
from atelier.backups.lines import RawItem
from atelier.backups.manifest import ManifestTable


class DrillExists(Exception):
    """A drill with this id was begun before."""


class DrillChanged(Exception):
    """Another run has written this drill meanwhile."""


class ScratchTaken(Exception):
    """There is a table with this name, and nobody knows what was loaded into it."""


class LoadRefused(Exception):
    """DynamoDB does not take these files; the text says why."""


class MediaMissing(Exception):
    """There is no such version of a media file."""


class DrillRecords(Protocol):
    """The records of drills."""

    def create(self, drill: Drill) -> None:
        """Raises DrillExists."""
        ...

    def get(self, drill_id: str) -> Drill:
        """Raises NotFound. A consistent read."""
        ...

    def newest(self, limit: int) -> Sequence[Drill]:
        """The newest drills, the newest first."""
        ...

    def page(self, after: str | None, limit: int) -> tuple[Sequence[Drill], str | None]:
        """The next drills after the one with this id, the newest first, and the id after which the next page begins;
        None at the end."""
        ...

    def save(self, drill: Drill) -> Drill:
        """Write it, and return it with its next revision. Raises DrillChanged unless the stored one has this one's."""
        ...


class ScratchTables(Protocol):
    """Tables that a drill loads and removes. name: of `scratch_name`."""

    def load(self, name: str, prefix: str, table: ManifestTable) -> str:
        """Start the import of all files below the table's prefix in the backup at `prefix`; the same handle when it
        was started before. Raises ScratchTaken, LoadRefused."""
        ...

    def has_ended(self, handle: str) -> bool:
        """Whether the import has ended. Raises LoadRefused if it has failed."""
        ...

    def page(self, name: str, after: str | None) -> tuple[Sequence[RawItem], str | None]:
        """The next items, and where the page after them begins; None at the end. Items of a partition lie together."""
        ...

    def partition(self, name: str, owner: str) -> Iterator[RawItem]:
        """All items of a partition, in order."""
        ...

    def after_partition(self, name: str, owner: str, last_key: str) -> str:
        """Where the page after a partition with this last key begins."""
        ...

    def has(self, name: str, owner: str) -> bool:
        """Whether a partition has an item."""
        ...

    def remove(self, name: str) -> bool:
        """Remove a table if it is there; whether it is gone, or soon will be. False while it is still being loaded."""
        ...


class BackupFolders(Protocol):
    """The files of backups, and the reports of drills beside them."""

    def chunks(self, prefix: str, key: str) -> Iterator[bytes]:
        """The bytes of a file below a backup's prefix. Raises BackupFileMissing."""
        ...

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys below a prefix, whole."""
        ...

    def put_report(self, key: str, data: bytes, content_type: str) -> None:
        """Write a file of a report."""
        ...


class MediaVersions(Protocol):
    """The files of the media bucket, in any version that it still has."""

    def chunks(self, key: str, version: str) -> Iterator[bytes]:
        """The bytes of a file. Raises MediaMissing."""
        ...
