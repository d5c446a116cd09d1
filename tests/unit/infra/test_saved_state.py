"""Copies of the local stack's state: complete, or not used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local import saved_state


def written(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "deeper").mkdir()
        (folder / "table.json").write_text(text)
        (folder / "deeper/code.zip").write_bytes(b"code")

    return write


def saved(folder: Path, text: str) -> saved_state.Snapshot:
    return saved_state.write_snapshot(folder, 4566, written(text), is_clean_stop=False)


def test_the_newest_copy_is_used_and_old_copies_are_removed(tmp_path: Path) -> None:
    copies = [saved(tmp_path, text) for text in ("one", "two", "three")]
    assert saved_state.newest_snapshot(tmp_path) == copies[-1]
    assert sorted(tmp_path.iterdir()) == [copies[1].folder, copies[2].folder]


@pytest.mark.parametrize("harm", ["cut", "gone", "deeper", "manifest", "unread"])
def test_a_damaged_copy_is_skipped_for_the_previous_one(tmp_path: Path, harm: str) -> None:
    before, last = saved(tmp_path, "before"), saved(tmp_path, "last")
    table, manifest = last.folder / "table.json", last.folder / saved_state.MANIFEST
    {
        "cut": lambda: table.write_text("la"),
        "gone": table.unlink,
        "deeper": (last.folder / "deeper/code.zip").unlink,
        "manifest": manifest.unlink,
        "unread": lambda: manifest.write_text('{"port": 45'),
    }[harm]()
    assert saved_state.newest_snapshot(tmp_path) == before


def test_a_failed_copy_leaves_no_files_and_raises_the_cause(tmp_path: Path) -> None:
    before = saved(tmp_path, "before")

    def full(folder: Path) -> None:
        (folder / "table.json").write_text("begun")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        saved_state.write_snapshot(tmp_path, 4566, full, is_clean_stop=True)
    assert list(tmp_path.iterdir()) == [before.folder]
    assert saved_state.newest_snapshot(tmp_path / "nowhere") is None
