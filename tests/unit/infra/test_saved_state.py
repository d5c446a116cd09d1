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


def saved(folder: Path, text: str) -> saved_state.Copy:
    return saved_state.write(folder, 4566, written(text), in_order=False)


def test_the_newest_copy_is_the_state_and_old_ones_go(tmp_path: Path) -> None:
    copies = [saved(tmp_path, text) for text in ("one", "two", "three")]
    assert saved_state.newest(tmp_path) == copies[-1]
    assert sorted(tmp_path.iterdir()) == [copies[1].folder, copies[2].folder]


@pytest.mark.parametrize("harm", ["cut", "gone", "deeper", "manifest", "unread"])
def test_a_copy_with_anything_missing_or_changed_leaves_the_one_before(tmp_path: Path, harm: str) -> None:
    before, last = saved(tmp_path, "before"), saved(tmp_path, "last")
    table, manifest = last.folder / "table.json", last.folder / saved_state.MANIFEST
    {
        "cut": lambda: table.write_text("la"),
        "gone": table.unlink,
        "deeper": (last.folder / "deeper/code.zip").unlink,
        "manifest": manifest.unlink,
        "unread": lambda: manifest.write_text('{"port": 45'),
    }[harm]()
    assert saved_state.newest(tmp_path) == before


def test_a_copy_that_cannot_be_written_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    before = saved(tmp_path, "before")

    def full(folder: Path) -> None:
        (folder / "table.json").write_text("begun")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        saved_state.write(tmp_path, 4566, full, in_order=True)
    assert list(tmp_path.iterdir()) == [before.folder]
    assert saved_state.newest(tmp_path / "nowhere") is None
