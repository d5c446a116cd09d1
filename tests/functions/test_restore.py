"""`make restore STACK=…` on the embedded AWS: into the empty tables of a new deployment, and one workspace beside."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atelier.adapters.aws.backup_files import S3BackupFolder
from atelier.adapters.aws.clients import client
from atelier.backups.model import TABLES, Backup
from atelier.backups.signature import public_pem
from atelier.clock import rfc3339, system_clock
from atelier.wiring import backups
from infra.local.templates import read_template
from infra.restore import RestoreRefused, Target, find_backup, restore, take_out
from infra.restore_streams import begin_after, pause, younger_than
from tests.embedded_aws import ROOT, create_tables
from tests.functions.conftest import ROLE
from tests.functions.example_data import WORKSPACE
from tests.functions.people import create_person
from tests.functions.test_backups import (
    Place,
    ProcessDied,
    dying_at,
    give,
    note,
    place,
    read_table,
    seal,
    seal_log,
    whole,
)
from tests.invoke import load_function

__all__ = ["place"]


def silent(_: str) -> None:
    """Says nothing."""


@pytest.fixture
def backup(place: Place) -> Backup:
    for number in range(3):
        give(f"grant#{number}")
        note(number)
    seal()
    seal_log()
    create_person("bob")
    sunsets = {"pk": {"S": "sunsets"}, "sk": {"S": "observed"}, "is": {"S": "older"}}
    client("dynamodb").put_item(TableName=place.cloud.tables.providers, Item=sunsets)
    return backups.records().get(whole()["backup_id"])


@pytest.fixture
def source(place: Place, backup: Backup) -> S3BackupFolder:
    return S3BackupFolder(place.bucket, backup.prefix)


@pytest.fixture
def here(place: Place) -> Target:
    """The deployment that was backed up."""
    return Target("old", backups.table_names(), place.cloud.tables.backups)


@pytest.fixture
def new(place: Place) -> Target:
    """A new deployment, whose tables are empty."""
    with pytest.MonkeyPatch.context() as patch:
        names = create_tables(client("dynamodb"), patch)
        tables = backups.table_names()
    return Target("new", tables, names.backups)


def contents(target: Target) -> dict[str, dict[tuple[str, str], Any]]:
    return {name: read_table(table) for name, table in target.tables.items()}


def keys(place: Place) -> list[bytes]:
    return [public_pem(place.key)]


def test_a_new_deployment_gets_every_item(place: Place, source: S3BackupFolder, here: Target, new: Target) -> None:
    said = list[str]()
    assert restore(source, new, keys(place), apply=False, say=said.append) == 0
    assert not any(contents(new).values())
    assert said[-1] == "nothing was written; APPLY=1 does it"

    assert restore(source, new, keys(place), apply=True, say=said.append) > 0
    assert contents(new) == contents(here)
    # Again it does nothing.
    assert restore(source, new, keys(place), apply=True, say=said.append) == 0
    assert "was restored from" in said[-1]


def test_a_deployment_that_is_used_is_refused(place: Place, source: S3BackupFolder, here: Target) -> None:
    before = contents(here)
    with pytest.raises(RestoreRefused, match="never over one that is used"):
        restore(source, here, keys(place), apply=True, say=silent)
    assert contents(here) == before


def test_a_backup_that_is_not_sound_is_refused_with_what_is_wrong(
    place: Place, backup: Backup, source: S3BackupFolder, new: Target
) -> None:
    client("s3").delete_object(Bucket=place.bucket, Key=f"{backup.prefix}tables/ledger/00-00000.json.gz")
    said = list[str]()
    with pytest.raises(RestoreRefused, match="not sound"):
        restore(source, new, keys(place), apply=True, say=said.append)
    assert any("tables/ledger/00-00000.json.gz: the file is not there" in line for line in said)
    assert not any(contents(new).values())
    with pytest.raises(RestoreRefused, match="not sound"):
        restore(source, new, [b"another key"], apply=True, say=silent)


def test_what_a_schedule_has_written_is_not_overwritten(place: Place, source: S3BackupFolder, new: Target) -> None:
    other = {"pk": {"S": "sunsets"}, "sk": {"S": "observed"}, "is": {"S": "newer"}}
    client("dynamodb").put_item(TableName=new.tables["providers"], Item=other)
    said = list[str]()
    restore(source, new, keys(place), apply=True, say=said.append)
    assert read_table(new.tables["providers"])[("sunsets", "observed")] == other
    assert any("kept as it was there" in line for line in said)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_restore_goes_on_wherever_it_dies(
    place: Place, source: S3BackupFolder, here: Target, new: Target, moment: str
) -> None:
    deaths = 0
    for number in range(500):
        with dying_at(30 + number, moment), suppress(ProcessDied):
            # One write at a time, so that the process dies in the thread that counts.
            restore(source, new, keys(place), apply=True, say=silent, writes_at_once=1)
            break
        deaths += 1
    assert deaths > 3
    assert contents(new) == contents(here)


def test_the_newer_list_of_erasures_replaces_that_of_the_backup(
    place: Place, source: S3BackupFolder, here: Target, new: Target
) -> None:
    since = {"pk": {"S": "begun"}, "sk": {"S": "2026-11#usr_1"}}
    client("dynamodb").put_item(TableName=here.tables["erasures"], Item=since)
    target = replace(new, erasures=here.tables["erasures"])
    restore(source, target, keys(place), apply=True, say=silent)
    assert read_table(new.tables["erasures"])[("begun", "2026-11#usr_1")] == since


class EraseDue:
    """Lambda with the new deployment's function `erase_due`, which fails the first time; notes what it was called with,
    and how many items there were then."""

    def __init__(self, new: Target) -> None:
        self.new = new
        self.calls = list[tuple[str, dict[str, Any], int]]()

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        items = sum(len(found) for found in contents(self.new).values())
        self.calls.append((FunctionName, json.loads(Payload), items))
        return {"FunctionError": "Unhandled"} if len(self.calls) == 1 else {}


def test_who_was_erased_since_is_erased_again_once_everything_is_written(
    place: Place, backup: Backup, source: S3BackupFolder, here: Target, new: Target
) -> None:
    functions, target = EraseDue(new), replace(new, erase_due="new-EraseDue", erasures=here.tables["erasures"])
    with pytest.raises(RestoreRefused, match="new-EraseDue failed: run this again"):
        restore(source, target, keys(place), apply=True, say=silent, functions=functions)
    assert restore(source, target, keys(place), apply=True, say=silent, functions=functions) == 0
    assert contents(new) == contents(here)
    everything = sum(len(found) for found in contents(here).values())
    assert backup.cut_at is not None
    event = {"repeat_since": rfc3339(backup.cut_at)}
    assert functions.calls == [("new-EraseDue", event, everything)] * 2
    # Once complete, it is not called again. The function takes this event.
    restore(source, target, keys(place), apply=True, say=silent, functions=functions)
    assert len(functions.calls) == 2
    assert load_function("schedules/erase_due").handler(event, None) == {"begun": 0, "open": 0, "repeated": 0}


def test_another_backup_is_refused_once_one_was_begun(place: Place, source: S3BackupFolder, new: Target) -> None:
    with dying_at(120, "after"), suppress(ProcessDied):
        restore(source, new, keys(place), apply=True, say=silent)
    other = backups.records().get(whole("other")["backup_id"])
    with pytest.raises(RestoreRefused, match="was begun to be restored from"):
        restore(S3BackupFolder(place.bucket, other.prefix), new, keys(place), apply=True, say=silent)


def test_one_workspace_is_taken_out_beside_the_present(source: S3BackupFolder, here: Target, tmp_path: Path) -> None:
    give("grant#since")
    before, to = contents(here), tmp_path / "taken"
    assert take_out(source, here, WORKSPACE, to, apply=False, say=silent) == 1
    assert not to.exists()
    assert take_out(source, here, WORKSPACE, to, apply=True, say=silent) == 1
    assert contents(here) == before
    [difference] = [json.loads(line) for line in (to / "differences.ndjson").read_text().splitlines()]
    assert difference == {"table": "ledger", "pk": WORKSPACE, "sk": "wallet", "is": "changed"}
    items = [json.loads(line)["Item"] for line in (to / "ledger.ndjson").read_text().splitlines()]
    assert {item["pk"]["S"] for item in items} == {WORKSPACE}
    assert len(items) == sum(owner == WORKSPACE for owner, _ in before["ledger"]) - 2
    assert stat.S_IMODE(to.stat().st_mode) == 0o700
    with pytest.raises(RestoreRefused, match="exists already"):
        take_out(source, here, WORKSPACE, to, apply=True, say=silent)
    with pytest.raises(RestoreRefused, match="has nothing of"):
        take_out(source, here, "wsp_01M7XCN60QTRG4N8C2V6K0B5X9", tmp_path / "none", apply=True, say=silent)


def test_a_backup_is_found_by_its_id(place: Place, backup: Backup) -> None:
    assert b"".join(find_backup(place.bucket, backup.id).chunks("manifest.json"))
    with pytest.raises(RestoreRefused, match="has no complete backup"):
        find_backup(place.bucket, "bak_01M7XCN60QTRG4N8C2V6K0B5X9")


def test_streams_leave_out_what_is_as_old_as_the_restore() -> None:
    age = {"ApproximateCreationDateTime": [{"numeric": [">", 7]}]}
    assert younger_than(7, {}) == {"Filters": [{"Pattern": json.dumps({"dynamodb": age}, separators=(",", ":"))}]}
    keys_of_mails = {"Keys": {"sk": {"S": [{"prefix": "mail#"}]}}}
    given = {"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"], "dynamodb": keys_of_mails})}]}
    [narrowed] = younger_than(7, given)["Filters"]
    assert json.loads(narrowed["Pattern"]) == {"eventName": ["INSERT"], "dynamodb": {**keys_of_mails, **age}}
    # Done twice, the later time counts.
    [again] = younger_than(9, younger_than(7, given))["Filters"]
    assert json.loads(again["Pattern"])["dynamodb"]["ApproximateCreationDateTime"] == [{"numeric": [">", 9]}]


def test_what_cloudformation_is_asked_for_is_in_the_templates() -> None:
    data = read_template(ROOT / "infra/data.yaml")["Outputs"]
    assert {f"{name.title()}Table" for name in (*TABLES, "backups")} <= data.keys()
    assert sum(key.endswith("StreamArn") for key in data) > 5
    assert "BackupsBucket" in read_template(ROOT / "infra/backups.yaml")["Outputs"]
    resources = read_template(ROOT / "template.yaml")["Resources"]
    assert {"Data", "BackupStorage", "SchedulesEraseDueFunction"} <= resources.keys()


def test_the_readers_of_a_stream_are_disabled_and_begin_after_the_restore(place: Place) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", "def handler(event, context): pass")
    name = f"reader-{place.bucket}"
    client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=ROLE,
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
    )
    keys_of_it = [{"AttributeName": "pk", "KeyType": "HASH"}]
    table = client("dynamodb").create_table(
        TableName=name,
        KeySchema=keys_of_it,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    mapping = client("lambda").create_event_source_mapping(
        EventSourceArn=table["LatestStreamArn"], FunctionName=name, StartingPosition="TRIM_HORIZON", Enabled=True
    )

    def read() -> dict[str, Any]:
        return dict(client("lambda").get_event_source_mapping(UUID=mapping["UUID"]))

    paused = pause([table["LatestStreamArn"]])
    assert read()["State"] == "Disabled"
    # A restore that is run again finds them disabled.
    assert [each["UUID"] for each in pause([table["LatestStreamArn"]])] == [mapping["UUID"]]
    begin_after(paused)
    [pattern] = [json.loads(each["Pattern"]) for each in read()["FilterCriteria"]["Filters"]]
    [[operator, seconds]] = [each["numeric"] for each in pattern["dynamodb"]["ApproximateCreationDateTime"]]
    assert (operator, seconds > system_clock().timestamp()) == (">", True)
    assert read()["State"] in ("Enabled", "Enabling")
    client("lambda").delete_event_source_mapping(UUID=mapping["UUID"])
    client("lambda").delete_function(FunctionName=name)
