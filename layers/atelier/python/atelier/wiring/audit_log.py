"""The audit log, composed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.settings import AuditTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.audit_log import DynamoAuditLog
    from atelier.adapters.aws.dynamodb.audit_seals import DynamoAuditReads, DynamoAuditSeals
    from atelier.audit_log.archive import ArchiveDeps
    from atelier.audit_log.read_log import LogReadDeps
    from atelier.audit_log.seal_events import SealEventsDeps
    from atelier.audit_log.seals import PublicForm


@cache
def bind_events() -> None:
    """Name the table of audit events. The wiring of each store whose transactions contain events calls it."""
    from atelier.adapters.aws.dynamodb.audit_log import bind

    bind(AuditTable.read().name)


@cache
def events() -> DynamoAuditLog:
    """The log, for events that belong to no other write."""
    from atelier.adapters.aws.dynamodb.audit_log import DynamoAuditLog

    bind_events()
    return DynamoAuditLog()


@cache
def reads() -> DynamoAuditReads:
    """The events of all logs, for reading."""
    from atelier.adapters.aws.dynamodb.audit_seals import DynamoAuditReads

    bind_events()
    return DynamoAuditReads()


@cache
def seals() -> DynamoAuditSeals:
    """The seals of all logs."""
    from atelier.adapters.aws.dynamodb.audit_seals import DynamoAuditSeals, bind

    bind(AuditTable.read().name)
    return DynamoAuditSeals()


def read_deps() -> LogReadDeps:
    """The dependencies of reading a log."""
    from atelier.audit_log.read_log import LogReadDeps

    return LogReadDeps(reads(), seals())


def seal_deps() -> SealEventsDeps:
    """The dependencies of sealing."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.audit_log.seal_events import SealEventsDeps

    return SealEventsDeps(seals(), pause_with_jitter)


def new_events(records: Iterable[dict[str, Any]]) -> Mapping[str, Iterator[PublicForm]]:
    """The new events in a batch of the table's stream, by log."""
    from atelier.adapters.aws.dynamodb import audit_seals

    return audit_seals.new_events(records)


def changed_events(records: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """(log, sort key) of the events that a batch of the table's stream shows as changed."""
    from atelier.adapters.aws.dynamodb import audit_seals

    return audit_seals.changed_events(records)


def archive_deps() -> ArchiveDeps:
    """The dependencies of archiving."""
    from atelier.adapters.aws.audit_archive import S3AuditArchive
    from atelier.audit_log.archive import ArchiveDeps
    from atelier.settings import AuditArchive

    archive = AuditArchive.read()
    return ArchiveDeps(seals(), S3AuditArchive(archive.bucket), timedelta(days=archive.retention_days))
