"""Write a backup: its parts (segments of tables, the inventory of the media bucket), each by itself and several at the
same time, then what is not a table, and the signed manifest last. A backup without a manifest is none.

Memory is bounded by one file. The progress of a part is stored after each file, so a run that dies, or whose time is
up, is followed by one that goes on from there; a file that was written and not noted is found and not written again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from atelier.backups.lines import describe_file
from atelier.backups.manifest import (
    ESCROW_KEY,
    MANIFEST_KEY,
    PUBLIC_KEY_KEY,
    SIGNATURE_KEY,
    Manifest,
    ManifestEscrow,
    ManifestFile,
    ManifestMedia,
    ManifestTable,
)
from atelier.backups.model import (
    CUT_BEFORE,
    LEFT_OUT,
    MEDIA,
    TABLES,
    Backup,
    BackupMethod,
    BackupScope,
    BackupState,
    PartProgress,
    backup_id,
    part_of,
    scope_of,
    table_of,
)
from atelier.backups.ports import (
    BackupExists,
    BackupRecords,
    DeploymentFacts,
    NewBackupFiles,
    PartSource,
    TableCatalog,
)
from atelier.backups.signature import sign_manifest
from atelier.clock import TimeLeft, parse_rfc3339, rfc3339
from atelier.dataclass import dataclass
from atelier.telemetry import logger, put_count

TIME_MARGIN_MILLISECONDS = 120_000
# How long the state machine waits for work that goes on elsewhere.
WAIT_SECONDS = 60
FAILED = "A part could not be written; the log of write_backup says which."
NO_ESCROW = (
    "No recovery key is set (the parameter RecoveryKey): the secrets are not in this backup. Without them, provider "
    "keys and second factors of a restored table cannot be opened."
)
ESCROW_FACTS_KEY = "escrow.json"


@dataclass(frozen=True, slots=True)
class BackupPlace:
    """Where a deployment's backups go, and what their manifests say about it. lock_days: for how long nobody can
    delete a file; 0 = they are not locked."""

    bucket: str
    media_bucket: str
    stack: str
    stage: str
    method: BackupMethod
    lock_days: int


@dataclass(frozen=True, slots=True)
class WriteBackupDeps:
    """Dependencies. tables: writes the parts of tables; media: the inventory. configuration: names and bytes of files
    of the product. signing_key: the private JWK."""

    records: BackupRecords
    place: BackupPlace
    catalog: TableCatalog
    tables: PartSource
    media: PartSource
    files: NewBackupFiles
    facts: DeploymentFacts
    configuration: Callable[[], Mapping[str, bytes]]
    signing_key: Callable[[], Mapping[str, str]]
    clock: Callable[[], datetime]


class CutImpossible(Exception):
    """A scan reads what is there now."""


class PartIncomplete(Exception):
    """A part is not written, although its job has ended."""


def begin_backup(
    execution: str, at: datetime, scope: BackupScope | None, cut_at: datetime | None = None, *, deps: WriteBackupDeps
) -> Backup:
    """Record the backup that an execution makes, once. execution: its name. at: when it began. scope: None = what the
    day says. cut_at: an earlier time, as of which the tables are wanted. Raises CutImpossible."""
    place = deps.place
    if cut_at is not None and place.method is not BackupMethod.POINT_IN_TIME:
        raise CutImpossible(f"tables as of an earlier time need the method {BackupMethod.POINT_IN_TIME.value}")
    parts = [part_of(MEDIA, 0, 1)]
    for table in TABLES:
        count = deps.catalog.segments(table)
        parts += [part_of(table, segment, count) for segment in range(count)]
    backup = Backup(
        backup_id(at, execution),
        scope or scope_of(at),
        place.method,
        place.bucket,
        at,
        min(cut_at or at, at - CUT_BEFORE),
        tuple(parts),
        lock_days=place.lock_days,
    )
    try:
        deps.records.create(backup)
    except BackupExists:
        return deps.records.get(backup.id)
    return backup


def write_part(backup_id: str, part: str, *, deps: WriteBackupDeps, context: TimeLeft | None) -> int | None:
    """Write a part until it is complete (None) or the time is nearly up, or until something has to be waited for: the
    seconds after which it is to be called again. Safe to repeat, and to stop at any point. Raises PartChanged when
    another run works on it."""
    backup = deps.records.get(backup_id)
    source = deps.media if table_of(part)[0] == MEDIA else deps.tables
    progress = deps.records.progress(backup_id, part)
    while backup.is_running and not progress.is_complete:
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            return 0
        written = source.advance(backup, part, progress)
        if written is None:
            return WAIT_SECONDS
        deps.records.save_progress(backup, part, progress, written)
        progress = written
    return None


def finish_backup(backup_id: str, *, deps: WriteBackupDeps) -> Backup:
    """Write what is no part, and the manifest. Safe to repeat. Raises PartIncomplete."""
    backup = deps.records.get(backup_id)
    if not backup.is_running:
        return backup
    progress = {part: deps.records.progress(backup_id, part) for part in backup.parts}
    incomplete = [part for part, each in progress.items() if not each.is_complete]
    if incomplete:
        raise PartIncomplete(f"{backup_id}: {', '.join(incomplete)}")
    manifest = _manifest(backup, progress, deps)
    data = manifest.to_bytes()
    signed = sign_manifest(deps.signing_key(), data)
    deps.files.put(backup, PUBLIC_KEY_KEY, signed.public_key)
    deps.files.put(backup, SIGNATURE_KEY, signed.signature)
    deps.files.put(backup, MANIFEST_KEY, data)
    return _end_complete(backup, manifest, deps)


def fail_backup(backup_id: str, *, deps: WriteBackupDeps) -> Backup:
    """End a backup whose job has failed for good. What it has written is deleted in its time."""
    backup = deps.records.get(backup_id).as_failed(FAILED, deps.clock())
    deps.records.end(backup)
    logger.warning("backup failed", backup=backup_id)
    return backup


def _end_complete(backup: Backup, manifest: Manifest, deps: WriteBackupDeps) -> Backup:
    files = list(manifest.files())
    ended = replace(
        backup,
        state=BackupState.COMPLETE,
        finished_at=deps.clock(),
        items=sum(table.items for table in manifest.tables),
        media_objects=manifest.media.objects,
        files=len(files),
        size_bytes=sum(file.bytes for file in files),
        notes=tuple(manifest.notes),
    )
    deps.records.end(ended)
    # Counted again when this step is repeated; the alarm only sees whether there was one.
    put_count("BackupsCompleted")
    logger.info("backup complete", backup=ended.id, items=ended.items, files=ended.files, bytes=ended.size_bytes)
    return ended


def _manifest(backup: Backup, progress: Mapping[str, PartProgress], deps: WriteBackupDeps) -> Manifest:
    of_table: dict[str, list[PartProgress]] = {}
    for part, each in progress.items():
        of_table.setdefault(table_of(part)[0], []).append(each)
    escrow = _escrow(backup, deps.files)
    notes = [note for each in progress.values() for note in each.notes]
    inventory = _entries([file for each in of_table[MEDIA] for file in each.files])
    return Manifest(
        id=backup.id,
        scope=backup.scope,
        method=backup.method,
        stack=deps.place.stack,
        stage=deps.place.stage,
        created_at=backup.started_at,
        cut_at=backup.cut_at,
        tables=[_table(name, of_table[name], deps.catalog) for name in TABLES],
        left_out=LEFT_OUT,
        media=ManifestMedia(
            bucket=deps.place.media_bucket, objects=sum(file.items for file in inventory), files=inventory
        ),
        configuration=_write_configuration(backup, deps),
        escrow=escrow,
        signed_by=str(deps.signing_key()["kid"]),
        notes=[*notes, *([] if escrow else [NO_ESCROW])],
    )


def _table(name: str, parts: Sequence[PartProgress], catalog: TableCatalog) -> ManifestTable:
    files = _entries([file for part in parts for file in part.files])
    heads = _entries([file for part in parts for file in part.heads])
    items = sum(file.items for file in files)
    # DynamoDB writes its data into a folder of its own choice, which is the same for all files of a table.
    prefix = files[0].key.rpartition("/")[0] + "/" if files else f"tables/{name}/"
    return ManifestTable(
        name=name, prefix=prefix, settings=catalog.settings(name), items=items, files=files, heads=heads
    )


def _entries(files: Sequence[Any]) -> list[ManifestFile]:
    return [ManifestFile.of(file) for file in files]


def _write_configuration(backup: Backup, deps: WriteBackupDeps) -> list[ManifestFile]:
    parameters = json.dumps(deps.facts.parameters(), indent=1, sort_keys=True).encode()
    written = list[ManifestFile]()
    for name, data in {"parameters.json": parameters, **deps.configuration()}.items():
        key = f"configuration/{name}"
        deps.files.put(backup, key, data)
        written.append(ManifestFile.of(describe_file(key, data, 1)))
    return written


def _escrow(backup: Backup, files: NewBackupFiles) -> ManifestEscrow | None:
    """What the step before has written, if there is a recovery key."""
    facts, sealed = files.read(backup, ESCROW_FACTS_KEY), files.read(backup, ESCROW_KEY)
    if facts is None or sealed is None:
        return None
    said = json.loads(facts)
    file = ManifestFile.of(describe_file(ESCROW_KEY, sealed, 1))
    return ManifestEscrow(file=file, recipient=said["recipient"], secrets=said["secrets"])


def run_backup_step(event: Mapping[str, Any], *, deps: WriteBackupDeps, context: TimeLeft | None) -> dict[str, Any]:
    """One visit of the state machine. event, by `step`: begin {execution, started_at, scope?, input?: {cut_at?}} →
    {backup_id, parts};
    write {backup_id, part} → the same, has_ended, wait_seconds; finish and fail {backup_id} → {backup_id, state}."""
    if event["step"] == "begin":
        scope = BackupScope(event["scope"]) if event.get("scope") else None
        given: Mapping[str, str | None] = event.get("input") or {}
        cut_at = given.get("cut_at")
        cut = parse_rfc3339(cut_at) if cut_at else None
        began = begin_backup(event["execution"], parse_rfc3339(event["started_at"]), scope, cut, deps=deps)
        logger.info("backup begun", backup=began.id, scope=began.scope.value, parts=len(began.parts))
        return {"backup_id": began.id, "started_at": rfc3339(began.started_at), "parts": list(began.parts)}
    ids = {"backup_id": event["backup_id"]}
    if event["step"] == "write":
        wait_seconds = write_part(event["backup_id"], event["part"], deps=deps, context=context)
        logger.info("backup part", **ids, part=event["part"], has_ended=wait_seconds is None)
        return {
            **ids,
            "part": event["part"],
            "has_ended": wait_seconds is None,
            "wait_seconds": wait_seconds or 0,
        }
    ended = finish_backup(**ids, deps=deps) if event["step"] == "finish" else fail_backup(**ids, deps=deps)
    return {**ids, "state": ended.state.value}
