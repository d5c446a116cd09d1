"""Backups of a local stack's data folder: what they refuse, and what is left when they do."""

from __future__ import annotations

import fcntl
import json
import sqlite3
import stat
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from infra.local import saved_state
from infra.local.backup import BackupRefused, back_up, main, restore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder of a stack that was stopped."""
    folder = tmp_path / "local"
    (folder / "s3/media").mkdir(parents=True)
    (folder / "s3/empty-bucket").mkdir()
    (folder / "s3/media/picture").write_bytes(b"a picture")
    (folder / "layers").mkdir()
    (folder / "layers/big").write_bytes(b"made anew")
    (folder / "stripe.json").write_text('{"api_key": "sk_test_secret"}')
    with closing(sqlite3.connect(folder / "stripe.sqlite3")) as database:
        database.execute("CREATE TABLE customers (id TEXT)")
        database.execute("INSERT INTO customers VALUES ('cus_1')")
        database.commit()
    for number in range(2):
        saved_state.write_snapshot(
            folder / "saved", 4566, lambda new, n=number: write_state(new, n), is_clean_stop=True
        )
    return folder


def write_state(folder: Path, number: int) -> None:
    (folder / "dynamodb.json").write_text(json.dumps({"payload": number}))


def contents(folder: Path) -> dict[str, bytes | None]:
    return {str(each.relative_to(folder)): each.read_bytes() if each.is_file() else None for each in folder.rglob("*")}


def test_a_restored_folder_has_what_the_stack_keeps(data: Path, tmp_path: Path) -> None:
    said = back_up(data, tmp_path / "backup")
    assert "with its secrets" in said
    restored = tmp_path / "again"
    restore(tmp_path / "backup", restored)
    snapshot = saved_state.newest_snapshot(restored / "saved")
    assert snapshot is not None
    assert json.loads((snapshot.folder / "dynamodb.json").read_text()) == {"payload": 1}
    assert (restored / "s3/media/picture").read_bytes() == b"a picture"
    assert (restored / "stripe.json").read_bytes() == (data / "stripe.json").read_bytes()
    with closing(sqlite3.connect(restored / "stripe.sqlite3")) as database:
        assert database.execute("SELECT id FROM customers").fetchall() == [("cus_1",)]
    assert (restored / "s3/empty-bucket").is_dir()
    assert not (restored / "layers").exists()


def test_a_backup_is_readable_by_its_owner_alone(data: Path, tmp_path: Path) -> None:
    back_up(data, tmp_path / "backup")
    restore(tmp_path / "backup", tmp_path / "again")
    for folder in (tmp_path / "backup", tmp_path / "again"):
        modes = {(each.is_dir(), stat.S_IMODE(each.stat().st_mode)) for each in (folder, *folder.rglob("*"))}
        assert modes == {(True, 0o700), (False, 0o600)}


def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    backup, before = tmp_path / "backup", contents(data)
    back_up(data, backup)
    kept = contents(backup)
    with pytest.raises(BackupRefused, match="exists already"):
        back_up(data, backup)
    with pytest.raises(BackupRefused, match="a data folder is never written over"):
        restore(backup, data)
    assert (contents(backup), {**contents(data), "lock": b""}) == (kept, {**before, "lock": b""})
    (tmp_path / "empty").mkdir()
    restore(backup, tmp_path / "empty")
    assert (tmp_path / "empty/s3/media/picture").exists()


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("data/s3/media/picture", lambda file: file.write_bytes(b"b picture"), "is not as it was written"),
    ("data/s3/media/picture", Path.unlink, "is not there"),
    ("data/s3/media/other", lambda file: file.write_bytes(b"x"), "does not belong to the backup"),
    ("backup.json", lambda file: file.write_text("{"), "is no backup of a local stack"),
    ("backup.json", lambda file: file.write_text('{"format": 2, "folders": [], "files": []}'), "has the format 2"),
]


@pytest.mark.parametrize(("name", "damage", "problem"), DAMAGES)
def test_a_damaged_backup_is_refused_and_leaves_nothing(
    data: Path, tmp_path: Path, name: str, damage: Callable[[Path], object], problem: str
) -> None:
    back_up(data, tmp_path / "backup")
    damage(tmp_path / "backup" / name)
    with pytest.raises(BackupRefused, match=problem):
        restore(tmp_path / "backup", tmp_path / "again")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["backup", "local"]


def test_a_backup_that_is_interrupted_leaves_nothing(data: Path, tmp_path: Path) -> None:
    (data / "stripe.sqlite3").write_bytes(b"no database at all, which is found when it is read" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        back_up(data, tmp_path / "backup")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["local"]


def test_a_folder_without_a_stack_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["backup", "--data", str(tmp_path / "nothing"), "--to", str(tmp_path / "backup")]
    assert main(arguments) == 1
    assert "has no state of a local stack" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_running_stack_is_backed_up_with_a_copy_that_is_newer(data: Path, tmp_path: Path) -> None:
    with (data / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # What another process of the stack writes while this command waits.
        later = data / "saved" / str(time.time_ns() + 10**12)
        saved_state.newest_snapshot(data / "saved")
        write_later(data, later)
        back_up(data, tmp_path / "backup")
    listed = json.loads((tmp_path / "backup/backup.json").read_text())
    assert (listed["was_running"], listed["saved_at_ns"]) == (True, int(later.name))


def write_later(data: Path, folder: Path) -> None:
    """A copy of the state with this time."""
    made = saved_state.write_snapshot(data / "saved", 4566, lambda new: write_state(new, 2), is_clean_stop=False)
    made.folder.rename(folder)
