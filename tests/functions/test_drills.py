"""functions/tasks/drill_restore: the newest backup is restored and verified; what is wrong with it is found and named;
nothing is left behind, whoever dies on the way."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.backup_files import S3BackupFolder
from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.backups.scratch import DynamoScratchTables
from atelier.backups.drill import Drill, DrillStage, DrillState
from atelier.backups.drill_ports import DrillChanged
from atelier.backups.drill_restore import NOT_CARRIED_OUT, begin_drill, carry_on, fail_drill
from atelier.backups.manifest import read_manifest
from atelier.backups.model import Backup
from atelier.backups.signature import sign_manifest
from atelier.clock import rfc3339, system_clock
from atelier.settings import Backups
from atelier.wiring import backups, drills
from infra.simulators.kit.samples import sample_png
from tests.functions.example_data import WORKSPACE
from tests.functions.people import call, create_administrator, create_person
from tests.functions.responses import error_of, success_data
from tests.functions.test_backups import (
    Place,
    ProcessDied,
    TimeLeft,
    dying_at,
    give,
    note,
    place,
    read_table,
    seal,
    seal_log,
    whole,
)
from tests.invoke import event, load_function
from tests.polling import wait_until

__all__ = ["place"]
LEDGER = "tables/ledger/00-00000.json.gz"


@pytest.fixture
def backup(place: Place) -> Backup:
    """A backup of a deployment with two wallets, a log and a picture."""
    picture = sample_png(4, 4, "drill")
    key = f"media/{WORKSPACE}/{hashlib.sha256(picture).hexdigest()}.png"
    client("s3").put_object(Bucket=place.cloud.bucket, Key=key, Body=picture)
    for number in range(3):
        give(f"grant#{number}")
        note(number)
    seal()
    seal_log()
    give("grant#late")
    give("grant#other", workspace_id=create_person("bob").workspace_id)
    return backups.records().get(whole()["backup_id"])


def step(name: str, **fields: Any) -> dict[str, Any]:
    """One visit of the state machine."""
    return load_function("tasks/drill_restore").handler({"step": name, **fields}, TimeLeft())


def run(execution: str = "first", *, always: bool = True) -> Drill:
    """A drill, by all of its steps."""
    begun = step("begin", execution=execution, started_at=rfc3339(system_clock()), always=always)
    # Loaded once: a drill is some thirty visits, most of them while a table is imported.
    app = load_function("tasks/drill_restore")

    def ended() -> bool:
        return bool(app.handler({"step": "carry_on", "drill_id": begun["drill_id"]}, TimeLeft())["has_ended"])

    wait_until(ended, 60)
    return drills.records().get(begun["drill_id"])


def scratch_tables(place: Place) -> list[str]:
    names = client("dynamodb").get_paginator("list_tables").paginate()
    return [name for page in names for name in page["TableNames"] if name.startswith(f"{place.bucket}-drill-")]


def report(place: Place, drill: Drill, name: str = "report.txt") -> str:
    return b"".join(S3BackupFolder(place.bucket, drill.report_prefix).chunks(name)).decode()


def test_a_good_backup_passes_and_leaves_nothing_behind(place: Place, backup: Backup) -> None:
    before = {name: read_table(table) for name, table in backups.table_names().items()}
    drill = run()
    assert (drill.state, drill.problems, drill.is_cleared) == (DrillState.PASSED, (), True)
    figures = drill.figures
    assert (figures.files, figures.items, figures.wallets, figures.logs) == (backup.files, backup.items, 2, 1)
    assert figures.size_bytes == backup.size_bytes
    assert figures.tables == sum(1 for items in before.values() if items)
    assert figures.media == backup.media_objects == 1
    assert scratch_tables(place) == []
    # The deployment's own tables are as they were.
    assert {name: read_table(table) for name, table in backups.table_names().items()} == before
    assert json.loads(report(place, drill, "report.json"))["state"] == "passed"
    assert f"{backup.id} can be restored." in report(place, drill)
    [published] = place.cloud.take_messages(place.cloud.events_queue, seconds_max=10)
    assert (published["detail-type"], published["detail"]["wallets"]) == ("drill.passed", 2)


# ---- what is found ---------------------------------------------------------------------------------------------------


def read(place: Place, backup: Backup, key: str) -> bytes:
    return b"".join(S3BackupFolder(place.bucket, backup.prefix).chunks(key))


def write(place: Place, backup: Backup, key: str, data: bytes) -> None:
    client("s3").put_object(Bucket=place.bucket, Key=backup.prefix + key, Body=data)


def without_movement(data: bytes) -> bytes:
    """The file of a table without its first movement."""
    lines = gzip.decompress(data).splitlines(keepends=True)
    lines.remove(next(line for line in lines if b'"movement#' in line))
    return gzip.compress(b"".join(lines))


def flip_byte(place: Place, backup: Backup) -> None:
    data = bytearray(read(place, backup, LEDGER))
    data[len(data) // 2] ^= 1
    write(place, backup, LEDGER, bytes(data))


def lose_file(place: Place, backup: Backup) -> None:
    client("s3").delete_object(Bucket=place.bucket, Key=backup.prefix + LEDGER)


def remove_entry(place: Place, backup: Backup) -> None:
    write(place, backup, LEDGER, without_movement(read(place, backup, LEDGER)))


def remove_entry_and_sign(place: Place, backup: Backup) -> None:
    """As somebody who has the key, or a scan that missed an item: only the chain can tell."""
    data = without_movement(read(place, backup, LEDGER))
    write(place, backup, LEDGER, data)
    manifest = json.loads(read(place, backup, "manifest.json"))
    (table,) = [each for each in manifest["tables"] if each["name"] == "ledger"]
    (file,) = table["files"]
    file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "items": file["items"] - 1}
    table["items"] -= 1
    text = json.dumps(manifest).encode()
    assert read_manifest(text)
    write(place, backup, "manifest.json", text)
    write(place, backup, "manifest.sig", sign_manifest(place.key, text).signature)


def change_manifest(place: Place, backup: Backup) -> None:
    data = read(place, backup, "manifest.json")
    write(place, backup, "manifest.json", data.replace(b'"items"', b'"items" ', 1))


def take_file_of_another_backup(place: Place, backup: Backup) -> None:
    give("grant#of-the-other-one")
    other = backups.records().get(whole("other")["backup_id"])
    write(place, backup, LEDGER, read(place, other, LEDGER))
    # The newest one is looked at.
    client("dynamodb").delete_item(
        TableName=place.cloud.tables.backups, Key={"pk": {"S": "platform"}, "sk": {"S": other.id}}
    )


def add_file(place: Place, backup: Backup) -> None:
    line = b'{"Item":{"pk":{"S":"wsp_1"},"sk":{"S":"wallet"}}}\n'
    write(place, backup, "tables/ledger/zz.json.gz", gzip.compress(line))


def lose_picture(place: Place, backup: Backup) -> None:
    [version] = client("s3").list_object_versions(Bucket=place.cloud.bucket, Prefix="media/")["Versions"]
    client("s3").delete_object(Bucket=place.cloud.bucket, Key=version["Key"], VersionId=version["VersionId"])


def test_a_picture_that_an_erasure_has_deleted_since_is_no_problem(place: Place, backup: Backup) -> None:
    lose_picture(place, backup)
    client("dynamodb").put_item(
        TableName=place.cloud.tables.erasures,
        Item={
            "pk": {"S": WORKSPACE},
            "sk": {"S": "erasure"},
            "subject": {"S": WORKSPACE},
            "workspace_id": {"S": WORKSPACE},
            "claimed_at": {"S": rfc3339(system_clock())},
        },
    )
    drill = run()
    assert (drill.state, drill.problems) == (DrillState.PASSED, ())


FINDINGS: list[tuple[Callable[[Place, Backup], None], list[str]]] = [
    (flip_byte, [f"{LEDGER}: ", "table ledger: it could not be restored"]),
    (lose_file, [f"{LEDGER}: the file is not there", "table ledger: it could not be restored"]),
    (remove_entry, [f"{LEDGER}: its bytes are not those", f"{LEDGER}: it has ", f"wallet {WORKSPACE}: entry"]),
    (remove_entry_and_sign, [f"wallet {WORKSPACE}: entry"]),
    (change_manifest, ["the manifest is not what was signed"]),
    (take_file_of_another_backup, [f"{LEDGER}: its bytes are not those that were written", "table ledger: it has"]),
    (add_file, ["tables/ledger/zz.json.gz: the manifest does not name this file", "wallet wsp_1: "]),
    (lose_picture, [f"media/{WORKSPACE}/"]),
]


@pytest.mark.parametrize(("damage", "expected"), FINDINGS, ids=[damage.__name__ for damage, _ in FINDINGS])
def test_what_is_wrong_is_found_and_named(
    place: Place, backup: Backup, damage: Callable[[Place, Backup], None], expected: list[str]
) -> None:
    damage(place, backup)
    drill = run()
    assert (drill.state, drill.backup_id, drill.is_cleared) == (DrillState.FAILED, backup.id, True)
    for beginning in expected:
        assert any(problem.startswith(beginning) for problem in drill.problems), drill.problems
    assert scratch_tables(place) == []
    text = report(place, drill)
    assert f"{backup.id} is NOT sound." in text
    assert all(problem in text for problem in drill.problems)
    [event_of_it] = place.cloud.take_messages(place.cloud.events_queue, seconds_max=10)
    assert (event_of_it["detail-type"], event_of_it["detail"]["problems"]) == ("drill.failed", len(drill.problems))


# ---- deaths, races, repetitions --------------------------------------------------------------------------------------


def small_pages() -> Any:
    """The dependencies, with pages of two items."""
    deps = drills.deps()
    return replace(deps, scratch=DynamoScratchTables(Backups.read().bucket, page={"Limit": 2}))


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_drill_goes_on_wherever_its_process_dies(place: Place, backup: Backup, moment: str) -> None:
    deps = small_pages()
    begun = begin_drill("first", system_clock(), always=True, deps=deps)
    assert begun is not None
    deaths, numbers = 0, iter(range(10_000))

    def ended() -> bool:
        nonlocal deaths
        try:
            with dying_at(next(numbers) % 24, moment):
                return carry_on(begun.id, deps=deps, context=TimeLeft())[0].has_ended
        except ProcessDied:
            deaths += 1
            return False

    wait_until(ended, 100)
    assert deaths > 20
    drill = drills.records().get(begun.id)
    assert (drill.state, drill.problems, drill.is_cleared) == (DrillState.PASSED, (), True)
    assert (drill.figures.items, drill.figures.wallets, drill.figures.logs) == (backup.items, 2, 1)
    assert drill.figures.files == backup.files
    assert scratch_tables(place) == []


def test_what_an_abandoned_drill_has_left_is_removed_by_a_later_one(place: Place, backup: Backup) -> None:
    deps = drills.deps()
    begun = begin_drill("first", system_clock(), always=True, deps=deps)
    assert begun is not None
    wait_until(lambda: scratch_tables(place) or die_soon(begun))
    assert scratch_tables(place)
    # While it may still be running nobody touches it.
    begin_drill("second", system_clock() + timedelta(hours=2), always=False, deps=deps)
    assert scratch_tables(place)
    begin_drill("third", system_clock() + timedelta(hours=25), always=False, deps=deps)
    assert scratch_tables(place) == []
    abandoned = drills.records().get(begun.id)
    assert (abandoned.state, abandoned.problems) == (DrillState.FAILED, (NOT_CARRIED_OUT,))
    # A run that comes late does nothing more.
    assert carry_on(begun.id, deps=deps, context=TimeLeft())[0] == abandoned


def die_soon(begun: Drill) -> None:
    """A run that dies once it has begun to load tables."""
    deps = drills.deps()
    with suppress(ProcessDied), dying_at(60, "after"):
        carry_on(begun.id, deps=deps, context=TimeLeft())


def test_a_drill_that_cannot_be_carried_out_says_so_and_leaves_nothing(place: Place, backup: Backup) -> None:
    begun = step("begin", execution="first", started_at=rfc3339(system_clock()), always=True)
    assert step("fail", drill_id=begun["drill_id"])["state"] == "failed"
    drill = drills.records().get(begun["drill_id"])
    assert (drill.stage, drill.problems) == (DrillStage.ENDED, (NOT_CARRIED_OUT,))
    assert NOT_CARRIED_OUT in report(place, drill)
    assert step("fail", drill_id=begun["drill_id"])["state"] == "failed"


def test_two_runs_at_once_are_one(place: Place, backup: Backup) -> None:
    deps = drills.deps()
    begun = begin_drill("first", system_clock(), always=True, deps=deps)
    assert begun is not None
    assert begin_drill("first", begun.started_at, always=True, deps=deps) == begun
    deps.drills.save(begun)
    with pytest.raises(DrillChanged):
        deps.drills.save(begun)


def test_a_drill_whose_time_is_up_is_to_be_carried_on_at_once(place: Place, backup: Backup) -> None:
    app = load_function("tasks/drill_restore")
    begun = step("begin", execution="first", started_at=rfc3339(system_clock()), always=True)
    answer = app.handler({"step": "carry_on", "drill_id": begun["drill_id"]}, TimeLeft(1000))
    assert (answer["has_ended"], answer["state"], answer["wait_seconds"]) == (False, "running", 0)


# ---- when one is due -------------------------------------------------------------------------------------------------


def test_one_is_due_a_week_after_the_last_good_one_and_a_night_after_a_failed_one(place: Place) -> None:
    example = event("tasks/drill_restore/begin")
    # Without a backup there is nothing to restore.
    assert load_function("tasks/drill_restore").handler(example, TimeLeft()) == {"drill_id": None}
    whole()
    deps, now = drills.deps(), system_clock()

    def begin(days: float) -> Drill | None:
        return begin_drill(f"after-{days}", now + timedelta(days=days), always=False, deps=deps)

    first = begin(0)
    assert first is not None
    fail_drill(first.id, deps=deps)
    second = begin(1)
    assert second is not None
    deps.drills.save(replace(second, state=DrillState.PASSED, stage=DrillStage.ENDED, is_cleared=True))
    assert [begin(days) is not None for days in (2, 7, 8)] == [False, False, True]


def test_the_age_of_the_last_good_drill_is_written_each_night(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    whole()
    deps, now = drills.deps(), system_clock()
    for days in (0, 9):
        begin_drill(f"after-{days}", now + timedelta(days=days), always=False, deps=deps)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "DrillAgeDays" in line]
    assert [line["DrillAgeDays"] for line in lines] == [[0.0], [9.0]]


# ---- administrators --------------------------------------------------------------------------------------------------


def test_administrators_list_backups_and_drills_in_pages(place: Place) -> None:
    ada, app = create_administrator("ada"), load_function("api/admin_backups")
    made = [whole(f"night-{night}")["backup_id"] for night in range(3)]
    drill = begin_drill("first", system_clock(), always=True, deps=drills.deps())
    assert drill is not None
    fail_drill(drill.id, deps=drills.deps())

    first = success_data(call(app, ada, "GET /api/admin/backups?limit=2"))
    second = success_data(call(app, ada, f"GET /api/admin/backups?limit=2&cursor={first['next_cursor']}"))
    listed = first["items"] + second["items"]
    assert [each["id"] for each in listed] == sorted(made, reverse=True)
    assert {each["state"] for each in listed} == {"complete"}
    assert second["next_cursor"] is None

    [shown] = success_data(call(app, ada, "GET /api/admin/drills"))["items"]
    assert (shown["id"], shown["backup_id"], shown["state"]) == (drill.id, max(made), "failed")
    assert shown["problems"] == [NOT_CARRIED_OUT]
    wrong = call(app, ada, f"GET /api/admin/drills?cursor={first['next_cursor']}")
    assert error_of(wrong) == (422, "VALIDATION_FAILED")
