"""Copies of the embedded AWS's state in `<folder>/<time>/`. A copy is valid when its manifest is: it is written last.

A copy that was cut short (process killed, disk full) has no manifest, or one that does not match its files; then the
copy before it is used. Times are nanoseconds since 1970.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
COPIES_KEPT = 2


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A valid copy. port: of the emulator that wrote it. in_order: it was written when that emulator was stopped, so
    nothing that came later is missing."""

    folder: Path
    saved_at_ns: int
    port: int
    is_clean_stop: bool


def write_snapshot(folder: Path, port: int, write_files: Callable[[Path], None], *, is_clean_stop: bool) -> Snapshot:
    """Lets `write_files` fill the folder of a new copy, then removes all copies but the newest COPIES_KEPT. When
    something fails, the new copy is removed and the exception raised."""
    now = time.time_ns()
    new = folder / str(now)
    try:
        new.mkdir(parents=True)
        write_files(new)
        manifest = {"port": port, "in_order": is_clean_stop, "files": _digests(new)}
        (new / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for old in _snapshot_names(folder)[:-COPIES_KEPT]:
        shutil.rmtree(folder / old, ignore_errors=True)
    return Snapshot(new, now, port, is_clean_stop)


def newest_snapshot(folder: Path) -> Snapshot | None:
    """The newest valid copy; None when there is none."""
    for name in reversed(_snapshot_names(folder)):
        manifest = _read_manifest(folder / name)
        if manifest:
            return Snapshot(folder / name, int(name), int(manifest["port"]), bool(manifest["in_order"]))
    return None


def _read_manifest(snapshot: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((snapshot / MANIFEST).read_text("utf-8"))
        return manifest if manifest["files"] == _digests(snapshot) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _snapshot_names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted((each.name for each in folder.iterdir() if each.name.isdigit()), key=int)


def _digests(snapshot: Path) -> dict[str, str]:
    files = sorted(each for each in snapshot.rglob("*") if each.is_file() and each != snapshot / MANIFEST)
    return {str(each.relative_to(snapshot)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
