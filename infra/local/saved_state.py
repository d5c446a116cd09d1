"""Copies of the embedded AWS's state, each whole or worthless: `<folder>/<time>/`, its manifest written last.

A copy that was cut short (the process killed, the disk full) has no manifest, or one that does not fit; then the copy
before it is the state. Times are nanoseconds since 1970.
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
class Copy:
    """A whole copy. port: of the emulator that wrote it. in_order: written when that emulator was stopped."""

    folder: Path
    saved_at_ns: int
    port: int
    in_order: bool


def write(folder: Path, port: int, write_files: Callable[[Path], None], *, in_order: bool) -> Copy:
    """Has `write_files` fill a new copy, and removes copies that are older than the one before. Raises what goes wrong,
    and leaves nothing of the attempt."""
    now = time.time_ns()
    new = folder / str(now)
    try:
        new.mkdir(parents=True)
        write_files(new)
        manifest = {"port": port, "in_order": in_order, "files": _digests(new)}
        (new / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    for old in _names(folder)[:-COPIES_KEPT]:
        shutil.rmtree(folder / old, ignore_errors=True)
    return Copy(new, now, port, in_order)


def newest(folder: Path) -> Copy | None:
    """The newest whole copy; None where there is none."""
    for name in reversed(_names(folder)):
        manifest = _manifest(folder / name)
        if manifest:
            return Copy(folder / name, int(name), int(manifest["port"]), bool(manifest["in_order"]))
    return None


def _manifest(copy: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((copy / MANIFEST).read_text("utf-8"))
        return manifest if manifest["files"] == _digests(copy) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted((each.name for each in folder.iterdir() if each.name.isdigit()), key=int)


def _digests(copy: Path) -> dict[str, str]:
    files = sorted(each for each in copy.rglob("*") if each.is_file() and each != copy / MANIFEST)
    return {str(each.relative_to(copy)): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}
