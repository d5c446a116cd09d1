"""Ports of backups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from atelier.audit_log.seals import AuditSeal
from atelier.backups.lines import RawItem
from atelier.backups.manifest import TableSettings
from atelier.backups.model import Backup, PartProgress
from atelier.ledger.hash_chain import PublicForm, Seal
from atelier.ledger.model import Wallet


class BackupExists(Exception):
    """A backup with this id was begun before."""


class PartChanged(Exception):
    """Another run has written the progress of this part meanwhile."""


class BackupFileMissing(Exception):
    """There is no such file in the backup."""


class RecoveryKeyInvalid(Exception):
    """The recovery key that the deployment was given is none."""


class RecoveryRecipient(Protocol):
    """Encrypts for the operator's recovery key. key: its public form."""

    @property
    def key(self) -> str: ...

    def encrypt(self, data: bytes) -> bytes:
        """Raises RecoveryKeyInvalid."""
        ...


class BackupRecords(Protocol):
    """The records of backups, and how far their parts have come."""

    def create(self, backup: Backup) -> None:
        """Raises BackupExists."""
        ...

    def get(self, backup_id: str) -> Backup:
        """Raises NotFound."""
        ...

    def newest(self, limit: int) -> Sequence[Backup]:
        """The newest backups, the newest first."""
        ...

    def page(self, after: str | None, limit: int) -> tuple[Sequence[Backup], str | None]:
        """The next backups after the one with this id, the newest first, and the id after which the next page begins;
        None at the end."""
        ...

    def end(self, backup: Backup) -> bool:
        """Write the final state; whether the backup was running until now. Safe to repeat."""
        ...

    def progress(self, backup_id: str, part: str) -> PartProgress:
        """How far a part has come (consistent read)."""
        ...

    def save_progress(self, backup: Backup, part: str, before: PartProgress, after: PartProgress) -> None:
        """Write how far a part has come. Raises PartChanged unless the stored progress is still `before`."""
        ...


class PartSource(Protocol):
    """Writes the files of one part of a backup."""

    def advance(self, backup: Backup, part: str, progress: PartProgress) -> PartProgress | None:
        """Write at most one more file, and return the progress with it; None when what goes on elsewhere has to be
        waited for. Called again with the same progress, it must not leave a second file behind."""
        ...


class TableCatalog(Protocol):
    """What is known of the deployment's tables."""

    def settings(self, table: str) -> TableSettings:
        """How the table of a context was created."""
        ...

    def segments(self, table: str) -> int:
        """In how many parts a table is read."""
        ...


class NewBackupFiles(Protocol):
    """Small files of a backup that is being made."""

    def put(self, backup: Backup, key: str, data: bytes) -> None:
        """Write a file, in place of an earlier one. key: below the backup's folder."""
        ...

    def read(self, backup: Backup, key: str) -> bytes | None:
        """A file; None when there is none."""
        ...


class DeploymentFacts(Protocol):
    """What the deployment was made with."""

    def parameters(self) -> Mapping[str, str]:
        """The parameters of the template."""
        ...


class BackupFolder(Protocol):
    """The files of one backup, wherever they are."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of a file. Raises BackupFileMissing, at the latest when the first chunk is read."""
        ...


class ChainForms(Protocol):
    """Reads stored items of the ledger's and the audit log's tables."""

    def wallet(self, item: RawItem) -> Wallet: ...

    def movement(self, item: RawItem) -> PublicForm:
        """A movement as it is digested and shown."""
        ...

    def seal(self, item: RawItem) -> Seal:
        """A seal of movements."""
        ...

    def event(self, item: RawItem) -> dict[str, Any]:
        """An audit event as it is digested and shown."""
        ...

    def event_seal(self, item: RawItem) -> AuditSeal:
        """A seal of audit events."""
        ...
