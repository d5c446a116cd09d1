"""Backups of a local stack: its data folder, copied so that it belongs together, whether the stack runs or not.

    python -m infra.local.backup backup --data .local --to folder
    python -m infra.local.backup restore --data .local --from folder

A backup has everything that the stack keeps: tables, files, accounts of simulators, and its secrets in plain. So its
folder is readable by its owner alone (0700, files 0600). `backup.json` has the size and SHA-256 of each file.

Of a running stack the newest copy of the embedded AWS's state is taken (`saved_state.py`), one that is written after
this command began; then the files, which are never older than what names them; then the simulator's account at Stripe,
which must not be older than the tables (`payments.py`). What was accepted later is not in it. A backup, and a data
folder, appears under its name only when it is complete.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from infra.local import saved_state
from infra.local.deploy import Aws
from infra.local.payments import ACCOUNT_FILE

FORMAT = 1
LIST_FILE = "backup.json"
DATA = "data"
SAVED, OBJECTS, LOCK, HANDLES = "saved", "s3", "lock", "stack.json"
# What a start makes anew, and what was set aside.
LEFT_OUT = {SAVED, LOCK, HANDLES, "state", "layers", "template.json", "emulator.log"}
SET_ASIDE = "unusable-"
# The embedded AWS copies its state every two seconds if something has changed, and less often when it is large.
COPY_SECONDS_MAX = 60.0
COPIES_TRIED_MAX = 5


class BackupRefused(Exception):
    """Nothing was done; the text is for the person at the terminal."""


def back_up(data: Path, target: Path) -> str:
    """Back a data folder up; returns a sentence about it. Raises BackupRefused."""
    _require_free(target, "a backup is never written over something else")
    if not (data / SAVED).is_dir():
        raise BackupRefused(f"{data} has no state of a local stack")
    with _building(target) as folder:
        kept = folder / DATA
        with _held(data) as is_running:
            begun_at_ns = time.time_ns()
            if is_running:
                _ask_for_a_copy(data)
            saved_at_ns = _copy_state(data, kept, begun_at_ns if is_running else 0)
            _copy_others(data, kept)
        _protect(folder)
        files = list(_describe(kept))
        # Empty folders are buckets.
        folders = sorted(str(each.relative_to(kept)) for each in kept.rglob("*") if each.is_dir())
        facts = {"format": FORMAT, "saved_at_ns": saved_at_ns, "was_running": is_running}
        _write_list(folder, {**facts, "folders": folders, "files": files})
    saved_at = time.strftime("%H:%M:%S on %d %b %Y", time.localtime(saved_at_ns / 1e9))
    size = sum(file["bytes"] for file in files)
    return f"{target} has {len(files)} files, {size} bytes: what was saved at {saved_at}, with its secrets"


def restore(source: Path, data: Path) -> str:
    """Make a data folder of a backup; returns a sentence about it. Raises BackupRefused."""
    _require_free(data, "a data folder is never written over; move it away, or choose another with DATA=…")
    folders, files = _check(source)
    with _building(data) as folder:
        for each in folders:
            (folder / each).mkdir(parents=True, exist_ok=True)
        for file in files:
            shutil.copyfile(source / DATA / file["path"], folder / file["path"])
        _protect(folder)
        # What was read for the check may have changed since.
        if list(_describe(folder)) != files:
            raise BackupRefused(f"{source} was changed while it was read")
    return f"{data} is as it was backed up; start it with make run DATA={data}"


@contextmanager
def _building(target: Path) -> Generator[Path]:
    """A new folder that gets the name `target` when the block ends without an exception, and is removed otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{target.name}.unfinished-", dir=target.parent))
    try:
        yield folder
        # An empty folder of that name is replaced; a filled one makes this fail.
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _held(data: Path) -> Generator[bool]:
    """Whether a stack runs on the folder; if not, none can be started on it within the block."""
    with (data / LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield True
            return
        yield False


def _ask_for_a_copy(data: Path) -> None:
    """Make the embedded AWS copy its state soon: it does so after each request that may change something."""
    from botocore.exceptions import BotoCoreError, ClientError

    # A stack that has just begun to start has no address yet; it is going to write a copy by itself.
    with suppress(FileNotFoundError, BotoCoreError, ClientError):
        Aws(json.loads((data / HANDLES).read_text("utf-8"))["endpoint"]).client("sts").get_caller_identity()


def _copy_state(data: Path, kept: Path, not_before_ns: int) -> int:
    """Copy the newest whole copy of the state; returns its time. Raises BackupRefused."""
    deadline = time.monotonic() + COPY_SECONDS_MAX
    for _ in range(COPIES_TRIED_MAX):
        snapshot = saved_state.newest_snapshot(data / SAVED)
        while (snapshot is None or snapshot.saved_at_ns < not_before_ns) and time.monotonic() < deadline:
            time.sleep(0.1)
            snapshot = saved_state.newest_snapshot(data / SAVED)
        if snapshot is None or snapshot.saved_at_ns < not_before_ns:
            raise BackupRefused(f"the stack on {data} writes no copy of its state; its terminal may say why")
        # The stack removes older copies while this one is copied.
        with suppress(FileNotFoundError, shutil.Error):
            shutil.copytree(snapshot.folder, kept / SAVED / snapshot.folder.name)
            if saved_state.newest_snapshot(kept / SAVED):
                return snapshot.saved_at_ns
        shutil.rmtree(kept / SAVED, ignore_errors=True)
    raise BackupRefused(f"the state under {data} changes faster than it can be copied")


def _copy_others(data: Path, kept: Path) -> None:
    """Copy all the rest; the account at Stripe's simulator last."""
    names = [each for each in sorted(data.iterdir()) if each.name not in LEFT_OUT and SET_ASIDE not in each.name]
    for each in sorted(names, key=lambda path: path.name == ACCOUNT_FILE):
        if each.name == ACCOUNT_FILE:
            _copy_database(each, kept / each.name)
        elif not each.name.startswith(f"{ACCOUNT_FILE}-"):
            for file in sorted([each] if each.is_file() else each.rglob("*")):
                _copy_file(file, kept / file.relative_to(data))


def _copy_file(file: Path, target: Path) -> None:
    # A running stack may remove a file meanwhile.
    with suppress(FileNotFoundError):
        if file.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        elif file.is_dir():
            target.mkdir(parents=True, exist_ok=True)


def _copy_database(file: Path, target: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def _describe(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(each for each in folder.rglob("*") if each.is_file()):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        yield {"path": str(file.relative_to(folder)), "bytes": file.stat().st_size, "sha256": digest}


def _write_list(folder: Path, listed: dict[str, Any]) -> None:
    file = folder / LIST_FILE
    file.write_text(json.dumps(listed, indent=1), "utf-8")
    file.chmod(0o600)


def _check(source: Path) -> tuple[list[str], list[dict[str, Any]]]:
    """The folders and files of a backup, which are all as they were written. Raises BackupRefused with the first that
    is not."""
    try:
        listed = json.loads((source / LIST_FILE).read_text("utf-8"))
        folders, files = list[str](listed["folders"]), list[dict[str, Any]](listed["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupRefused(f"{source} is no backup of a local stack: its {LIST_FILE} cannot be read") from error
    if listed.get("format") != FORMAT:
        raise BackupRefused(f"{source} has the format {listed.get('format')}; this version reads {FORMAT}")
    present = {file["path"]: file for file in _describe(source / DATA)}
    for file in files:
        if file["path"] not in present:
            raise BackupRefused(f"{source / DATA / file['path']} is not there")
        if present.pop(file["path"]) != file:
            raise BackupRefused(f"{source / DATA / file['path']} is not as it was written")
    if present:
        raise BackupRefused(f"{source / DATA / min(present)} does not belong to the backup")
    return folders, files


def _require_free(folder: Path, rule: str) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BackupRefused(f"{folder} exists already: {rule}")


def _protect(folder: Path) -> None:
    """Let nobody but the owner read it: it has secrets."""
    for each in (folder, *folder.rglob("*")):
        each.chmod(0o700 if each.is_dir() else 0o600)


def main(arguments: Sequence[str]) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.backup", description="Backups of a local stack.")
    parser.add_argument("action", choices=("backup", "restore"))
    parser.add_argument("--data", type=Path, default=Path(".local"), help="the stack's data folder")
    parser.add_argument("--to", type=Path, help="a new folder for the backup")
    parser.add_argument("--from", type=Path, dest="source", help="the folder of a backup")
    chosen = parser.parse_args(arguments)
    place: Path | None = chosen.to if chosen.action == "backup" else chosen.source
    if place is None:
        parser.error("say where to: --to folder" if chosen.action == "backup" else "say from where: --from folder")
    data, place = chosen.data.resolve(), place.resolve()
    try:
        print(f"atelier: {back_up(data, place) if chosen.action == 'backup' else restore(place, data)}")
    except (BackupRefused, OSError) as error:
        print(f"atelier: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
