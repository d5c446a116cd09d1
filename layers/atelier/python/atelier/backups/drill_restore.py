"""Restore the newest backup into scratch tables, look at everything in them, and remove them: whether a backup can be
restored is known only by doing it.

A drill is written after each step of it, so a run that dies, or whose time is up, is followed by one that goes on from
there. Whatever is wrong with the backup is a problem that the result names, never an exception; an exception is ours.
Memory is bounded by one page and one wallet or log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from atelier.backups.drill import (
    ABANDONED_AFTER,
    Drill,
    DrillStage,
    DrillState,
    ScratchLoad,
    is_due,
    new_drill,
    scratch_name,
)
from atelier.backups.drill_checks import DrillFolder, check_next_file, check_next_page, check_sample
from atelier.backups.drill_ports import (
    BackupFolders,
    DrillExists,
    DrillRecords,
    LoadRefused,
    MediaVersions,
    ScratchTables,
    ScratchTaken,
)
from atelier.backups.drill_report import drill_ended, report_files
from atelier.backups.manifest import Manifest, ManifestTable, ManifestUnreadable
from atelier.backups.model import BackupState
from atelier.backups.ports import BackupFileMissing, BackupRecords, ChainForms
from atelier.backups.signature import SignatureInvalid
from atelier.backups.verify import read_signed_manifest
from atelier.clock import TimeLeft, parse_rfc3339
from atelier.dataclass import dataclass
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger, put_count

TIME_MARGIN_MILLISECONDS = 120_000
WAIT_SECONDS = 30
# Drills that are looked through for scratch tables that were left behind, and for the last good one.
LOOKED_AT = 50
NOT_CARRIED_OUT = "The drill could not be carried out; the log of drill_restore says why."


@dataclass(frozen=True, slots=True)
class DrillDeps:
    """Dependencies. stack: the deployment's name, with which the names of scratch tables begin. known_keys: the public
    keys (PEM) whose signature counts. is_erased: whether a workspace was erased, or is being erased."""

    drills: DrillRecords
    backups: BackupRecords
    folders: BackupFolders
    scratch: ScratchTables
    media: MediaVersions
    forms: ChainForms
    events: EventPublisher
    stack: str
    known_keys: Callable[[], Sequence[bytes]]
    is_erased: Callable[[str], bool]
    clock: Callable[[], datetime]


def begin_drill(execution: str, at: datetime, *, always: bool, deps: DrillDeps) -> Drill | None:
    """Remove what earlier drills have left, and record the drill of this execution, once; None when none is due, or
    there is no complete backup. always: also when none is due."""
    drills = deps.drills.newest(LOOKED_AT)
    for drill in drills:
        if not drill.is_cleared and (drill.has_ended or at - drill.started_at > ABANDONED_AFTER):
            _give_up(drill, deps)
    passed = next((each.started_at for each in drills if each.state is DrillState.PASSED), None)
    backups = [each for each in deps.backups.newest(LOOKED_AT) if each.state is BackupState.COMPLETE]
    # A deployment without a backup has another alarm; one without a drill counts from its oldest backup.
    if backups:
        put_count("DrillAgeDays", max((at - (passed or backups[-1].started_at)).days, 0))
    if not backups or not (always or is_due(passed, at)):
        logger.info("no drill is due", backups=len(backups))
        return None
    drill = new_drill(execution, at, backups[0])
    try:
        deps.drills.create(drill)
    except DrillExists:
        return deps.drills.get(drill.id)
    return drill


def carry_on(drill_id: str, *, deps: DrillDeps, context: TimeLeft | None) -> tuple[Drill, int]:
    """Carry a drill on until it has ended, or the time is nearly up, or something has to be waited for; returns it, and
    the seconds after which this is to be called again. Safe to repeat, and to stop at any point. Raises DrillChanged
    when another run works on it."""
    drill = deps.drills.get(drill_id)
    steps = _Steps(drill, deps)
    while not drill.has_ended:
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            return drill, 0
        after = steps.advance(drill)
        if after is None:
            return drill, WAIT_SECONDS
        drill = deps.drills.save(after)
    return drill, 0


def fail_drill(drill_id: str, *, deps: DrillDeps) -> Drill:
    """End a drill that its job could not carry out. Tables that are still being loaded are removed by the next one."""
    return _give_up(deps.drills.get(drill_id), deps)


def _give_up(drill: Drill, deps: DrillDeps) -> Drill:
    """End a drill if it has not ended, and remove its tables as far as that is possible now."""
    steps = _Steps(drill, deps)
    cleared = replace(drill, is_cleared=steps.clear(drill))
    if cleared.has_ended:
        return deps.drills.save(cleared)
    return deps.drills.save(steps.report(cleared.with_problems([NOT_CARRIED_OUT])))


class _Steps:
    """The steps of one drill. The manifest, whose signature is checked, is read once a run."""

    def __init__(self, drill: Drill, deps: DrillDeps) -> None:
        self._deps, self._folder = deps, DrillFolder(deps.folders, drill.backup_prefix)
        self._manifest: Manifest | None = None

    def advance(self, drill: Drill) -> Drill | None:
        """The drill after its next step; None when something has to be waited for."""
        if drill.stage is DrillStage.CLEAR:
            return replace(drill, is_cleared=True).at_stage(DrillStage.REPORT) if self.clear(drill) else None
        if drill.stage is DrillStage.REPORT:
            return self.report(drill)
        try:
            manifest = self._read_manifest()
        except (BackupFileMissing, ManifestUnreadable, SignatureInvalid) as error:
            # Nothing that it names can be trusted.
            text = f"{error}: the file is not there" if isinstance(error, BackupFileMissing) else str(error)
            return drill.with_problems([text]).at_stage(DrillStage.CLEAR)
        steps: Mapping[DrillStage, Callable[[Drill, Manifest], Drill | None]] = {
            DrillStage.FILES: partial(check_next_file, folder=self._folder),
            DrillStage.LOAD: self._load_next,
            DrillStage.WAIT: self._wait,
            DrillStage.TABLES: partial(check_next_page, folder=self._folder, deps=self._deps, name_of=self._name),
            DrillStage.MEDIA: partial(
                check_sample, folder=self._folder, media=self._deps.media, is_erased=self._deps.is_erased
            ),
        }
        return steps[drill.stage](drill, manifest)

    def _read_manifest(self) -> Manifest:
        if self._manifest is None:
            self._manifest = read_signed_manifest(self._folder, self._deps.known_keys())
        return self._manifest

    def _name(self, drill: Drill, table: str) -> str:
        return scratch_name(self._deps.stack, drill.id, table, drill.loads[table].number)

    # ---- scratch tables ----------------------------------------------------------------------------------------------

    def _load_next(self, drill: Drill, manifest: Manifest) -> Drill:
        tables = loaded_tables(manifest)
        if drill.place >= len(tables):
            return drill.at_stage(DrillStage.WAIT)
        table = tables[drill.place]
        load = drill.loads.get(table.name)
        if load is None:
            # Written before the import is started, so that whoever clears knows of it.
            return _with_load(drill, table.name, ScratchLoad())
        try:
            handle = self._deps.scratch.load(self._name(drill, table.name), drill.backup_prefix, table)
        except ScratchTaken:
            # An earlier run started it and died; what it has loaded cannot be asked for any more.
            return _with_load(drill, table.name, ScratchLoad(load.number + 1))
        except LoadRefused as error:
            return replace(_failed(drill, table.name, load, error), place=drill.place + 1)
        return replace(_with_load(drill, table.name, replace(load, handle=handle)), place=drill.place + 1)

    def _wait(self, drill: Drill, manifest: Manifest) -> Drill | None:
        tables = loaded_tables(manifest)
        if drill.place >= len(tables):
            return drill.at_stage(DrillStage.TABLES)
        name = tables[drill.place].name
        load = drill.loads[name]
        after = drill
        if load.handle and not load.has_ended:
            try:
                if not self._deps.scratch.has_ended(load.handle):
                    return None
                after = _with_load(drill, name, replace(load, has_ended=True))
            except LoadRefused as error:
                after = _failed(drill, name, load, error)
        return replace(after, place=drill.place + 1)

    def clear(self, drill: Drill) -> bool:
        """Remove all scratch tables, those of earlier tries too; whether all are gone."""
        names = [
            scratch_name(self._deps.stack, drill.id, table, number)
            for table, load in drill.loads.items()
            for number in range(load.number + 1)
        ]
        gone = [self._deps.scratch.remove(name) for name in names]
        return all(gone)

    # ---- result ------------------------------------------------------------------------------------------------------

    def report(self, drill: Drill) -> Drill:
        """The ended drill, after its report was written and its event published; both may be done again."""
        state = DrillState.FAILED if drill.problems else DrillState.PASSED
        ended = replace(drill.at_stage(DrillStage.ENDED), state=state, finished_at=self._deps.clock())
        for name, (data, content_type) in report_files(ended).items():
            self._deps.folders.put_report(ended.report_prefix + name, data, content_type)
        self._deps.events.publish(drill_ended(ended))
        put_count("DrillsPassed" if state is DrillState.PASSED else "DrillsFailed")
        logger.info("drill ended", drill=ended.id, backup=ended.backup_id, state=state.value, problems=ended.problems)
        return ended


def loaded_tables(manifest: Manifest) -> list[ManifestTable]:
    """The tables that have items, which are those that can be imported."""
    return [table for table in manifest.tables if table.files]


def _with_load(drill: Drill, table: str, load: ScratchLoad) -> Drill:
    return replace(drill, loads={**drill.loads, table: load})


def _failed(drill: Drill, table: str, load: ScratchLoad, error: LoadRefused) -> Drill:
    failed = _with_load(drill, table, replace(load, has_ended=True, failure=str(error)))
    return failed.with_problems([f"table {table}: it could not be restored: {error}"])


def run_drill_step(event: Mapping[str, Any], *, deps: DrillDeps, context: TimeLeft | None) -> dict[str, Any]:
    """One visit of the state machine. event, by `step`: begin {execution, started_at, always} → {drill_id}, null when
    none is due; carry_on and fail {drill_id} → the same, has_ended, state, wait_seconds."""
    if event["step"] == "begin":
        at = parse_rfc3339(event["started_at"])
        begun = begin_drill(event["execution"], at, always=bool(event.get("always")), deps=deps)
        return {"drill_id": begun.id if begun else None}
    if event["step"] == "fail":
        drill, wait_seconds = fail_drill(event["drill_id"], deps=deps), 0
    else:
        drill, wait_seconds = carry_on(event["drill_id"], deps=deps, context=context)
    return {
        "drill_id": drill.id,
        "has_ended": drill.has_ended,
        "state": drill.state.value,
        "wait_seconds": wait_seconds,
    }
