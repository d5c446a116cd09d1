"""Find what the media bucket has and nothing needs, report it, and delete it when the run is told to act.

One workspace after the other: the versions of its files are compared with its assets. A file counts as left only after
a day, because a result is stored before its asset is recorded. It is deleted as a deleted asset's file is: the bucket
keeps its bytes for a month. A run stores where it is, so the next one goes on after a kill or when the time was up;
memory holds the hashes of one workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from atelier.clock import TimeLeft, rfc3339
from atelier.dataclass import dataclass
from atelier.events.catalogue import CleanUpFinished
from atelier.events.ports import EventPublisher
from atelier.library.clean_archived import CleanArchivedDeps, clean_archived, find_expired
from atelier.library.ports import Assets, StoredFiles
from atelier.telemetry import logger, put_count

# How old something is before it may count as left over.
LEFT_AFTER = timedelta(days=1)
# How long the bucket keeps what was deleted or overwritten.
VERSIONS_KEPT = timedelta(days=30)
EXAMPLES_MAX = 50
TIME_MARGIN_MILLISECONDS = 60_000
# Below a workspace's folder: the files of livestreams, which no asset names, and which their service removes.
STREAMS = "streams/"
# Prefixes whose files are needed for minutes.
PASSING = ("staging/", "uploads/", "media/answers/")


class Finding(StrEnum):
    """What is left over."""

    PASSING_FILE = "passing_files"
    UNFINISHED_UPLOAD = "unfinished_uploads"
    OLD_VERSION = "old_versions"
    FILE_WITHOUT_ASSET = "files_without_asset"
    ASSET_WITHOUT_FILE = "assets_without_file"
    # Archived assets whose time is over; in a run that acts, those that were deleted.
    EXPIRED_ASSET = "expired_assets"


@dataclass(frozen=True, slots=True)
class FileVersion:
    """One version of a file, or its deletion. is_latest: no other follows. replaced_at: when the next one was written;
    None for the latest."""

    key: str
    version: str
    written_at: datetime
    is_latest: bool
    is_deletion: bool = False
    size_bytes: int = 0
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was not completed."""

    key: str
    id: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What an asset says of its file."""

    asset_id: str
    sha256: str
    format: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CleanUpState:
    """A run. acts: whether it deletes. workspace: the last one that is done; None = none. counts: by finding, how many
    and how many bytes."""

    started_at: str
    acts: bool
    workspace: str | None = None
    counts: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    examples: tuple[str, ...] = ()


class CleanedBucket(Protocol):
    """The media bucket, as a clean-up sees it."""

    def versions(self, prefix: str) -> Iterator[FileVersion]:
        """All versions of the files below a prefix; those of one file follow each other, the newest first."""
        ...

    def workspaces(self, after: str | None) -> Iterator[str]:
        """The workspaces that have files, in order."""
        ...

    def unfinished(self) -> Iterator[UnfinishedUpload]: ...

    def delete(self, file: FileVersion) -> None:
        """Delete one version for good."""
        ...

    def abort(self, upload: UnfinishedUpload) -> None: ...


class CleanedAssets(Assets, Protocol):
    """Assets, as a clean-up sees them."""

    def file_records(self, workspace_id: str) -> Iterator[FileRecord]:
        """The files of all assets that are not deleted (consistent read)."""
        ...


class CleanUpReports(Protocol):
    """Where runs are stored."""

    def state(self) -> CleanUpState | None:
        """The run that is under way; None = the last one has ended."""
        ...

    def save(self, state: CleanUpState) -> None: ...

    def finish(self, report: Mapping[str, Any]) -> None:
        """Store the report of a run that has ended."""
        ...


# Whether something else needs the files of a workspace with these hashes: a page, a listing, a move.
Hold = Callable[[str, str], bool]


@dataclass(frozen=True, slots=True)
class CleanUpDeps:
    """Dependencies. holds: a file that one of them needs is left alone. archive: what archived assets are cleaned up
    with. events: gets the event of a run that has ended."""

    bucket: CleanedBucket
    assets: CleanedAssets
    files: StoredFiles
    reports: CleanUpReports
    holds: Sequence[Hold]
    archive: CleanArchivedDeps
    events: EventPublisher


def clean_up(*, acts: bool, deps: CleanUpDeps, now: datetime, context: TimeLeft | None) -> dict[str, Any]:
    """Go on with the run that is under way, or begin one; returns its report, with `has_ended`. acts: of a new run.
    Safe to repeat, in parallel too, and to stop at any point."""
    state = deps.reports.state() or CleanUpState(rfc3339(now), acts)
    if state.workspace is None:
        state = _clean_passing(state, deps, now)
    for workspace_id in deps.bucket.workspaces(state.workspace):
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            return _report(state, has_ended=False)
        state = replace(_clean_workspace(workspace_id, state, deps, now), workspace=workspace_id)
        deps.reports.save(state)
    report = _report(state, has_ended=True)
    deps.events.publish(_event(state, now))
    deps.reports.finish(report)
    for name, (count, _) in state.counts.items():
        put_count("LeftOver", count, finding=name)
    logger.info("cleaned up", acts=state.acts, counts={name: count for name, (count, _) in state.counts.items()})
    return report


def _clean_passing(state: CleanUpState, deps: CleanUpDeps, now: datetime) -> CleanUpState:
    """What the bucket's lifecycle has left: files that are needed for minutes, and uploads that were not completed."""
    for prefix in PASSING:
        for file in deps.bucket.versions(prefix):
            if file.written_at < now - LEFT_AFTER:
                state = _found(state, Finding.PASSING_FILE, file.key, file.size_bytes)
                if state.acts:
                    deps.bucket.delete(file)
    for upload in deps.bucket.unfinished():
        if upload.begun_at < now - LEFT_AFTER:
            state = _found(state, Finding.UNFINISHED_UPLOAD, upload.key, 0)
            if state.acts:
                deps.bucket.abort(upload)
    return state


def _clean_workspace(workspace_id: str, state: CleanUpState, deps: CleanUpDeps, now: datetime) -> CleanUpState:
    """Delete archived assets whose time is over, then compare a workspace's files with its assets."""
    clean = clean_archived if state.acts else find_expired
    for asset in clean(workspace_id, deps=deps.archive, now=now):
        state = _found(state, Finding.EXPIRED_ASSET, f"{workspace_id}/{asset.id}", asset.size_bytes)
    needed = {record.sha256 for record in deps.assets.file_records(workspace_id)}
    present = set[str]()
    removed = set[str]()
    for file in deps.bucket.versions(f"media/{workspace_id}/"):
        if file.key.startswith(f"media/{workspace_id}/{STREAMS}"):
            continue
        sha256, format = _parts(file.key)
        if file.replaced_at is not None:
            if file.replaced_at < now - VERSIONS_KEPT:
                state = _found(state, Finding.OLD_VERSION, file.key, file.size_bytes)
                if state.acts:
                    deps.bucket.delete(file)
        elif not file.is_deletion:
            present.add(sha256)
            is_left = sha256 not in needed and file.written_at < now - LEFT_AFTER
            if is_left and not any(needs(workspace_id, sha256) for needs in deps.holds):
                state = _found(state, Finding.FILE_WITHOUT_ASSET, file.key, file.size_bytes)
                if state.acts and sha256 not in removed and format != "thumb":
                    _remove(workspace_id, sha256, format, deps)
                    removed.add(sha256)
    for record in deps.assets.file_records(workspace_id):
        if record.sha256 not in present and record.created_at < now - LEFT_AFTER:
            # Reported alone: its owner decides, and an earlier version may still be in the bucket or in a backup.
            state = _found(state, Finding.ASSET_WITHOUT_FILE, f"{workspace_id}/{record.asset_id}", 0)
    return state


def _remove(workspace_id: str, sha256: str, format: str, deps: CleanUpDeps) -> None:
    """Remove a file that no asset has. An asset that is recorded meanwhile takes the removal back."""
    if deps.assets.is_file_used(workspace_id, sha256):
        return
    removed = deps.files.remove(workspace_id, sha256, format)
    if deps.assets.is_file_used(workspace_id, sha256):
        deps.files.restore(removed)


def _parts(key: str) -> tuple[str, str]:
    """The hash and the format in the key of a file; the format of a thumbnail is `thumb`."""
    sha256, _, ending = key.rpartition("/")[2].partition(".")
    format = ending.partition(".")[0]
    return sha256, {"jpg": "jpeg"}.get(format, format)


def _found(state: CleanUpState, finding: Finding, name: str, size_bytes: int) -> CleanUpState:
    count, total = state.counts.get(finding.value, (0, 0))
    counts = {**state.counts, finding.value: (count + 1, total + size_bytes)}
    examples = (*state.examples, f"{finding.value}: {name}")[:EXAMPLES_MAX]
    return replace(state, counts=counts, examples=examples)


def _event(state: CleanUpState, now: datetime) -> CleanUpFinished:
    counts = {finding.value: state.counts.get(finding.value, (0, 0))[0] for finding in Finding}
    return CleanUpFinished(state.started_at, "act" if state.acts else "report", **counts, finished_at=rfc3339(now))


def _report(state: CleanUpState, *, has_ended: bool) -> dict[str, Any]:
    return {
        "started_at": state.started_at,
        "acts": state.acts,
        "has_ended": has_ended,
        "found": {name: {"count": count, "bytes": total} for name, (count, total) in state.counts.items()},
        "examples": list(state.examples),
    }
