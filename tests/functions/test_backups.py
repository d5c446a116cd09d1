"""functions/tasks/write_backup, fed with the steps of its state machine: what a backup has, whoever dies on the way."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import threading
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
import pyrage
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from atelier.adapters.aws.backup_files import S3BackupFolder, S3NewBackupFiles
from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.aws.dynamodb.backups.chain_forms import StoredChainForms
from atelier.adapters.aws.dynamodb.backups.point_in_time import ExportFailed
from atelier.adapters.aws.dynamodb.backups.segments import DynamoTableCatalog, TableSegments
from atelier.adapters.aws.media_inventory import S3MediaInventory
from atelier.adapters.aws.vault import vault_of
from atelier.audit_log.model import Origin, audit_event
from atelier.backups.lines import read_line
from atelier.backups.list_backups import backup_view, list_backups
from atelier.backups.model import LEFT_OUT, TABLES, Backup, BackupMethod, BackupState, PartProgress, table_of
from atelier.backups.ports import PartChanged, RecoveryKeyInvalid
from atelier.backups.signature import public_pem
from atelier.backups.verify import BackupReport, verify_backup
from atelier.backups.write_backup import (
    NO_ESCROW,
    CutImpossible,
    PartIncomplete,
    WriteBackupDeps,
    begin_backup,
    finish_backup,
    write_part,
)
from atelier.clock import rfc3339, system_clock
from atelier.identity.signing import new_key_set
from atelier.ledger.model import GrantSource
from atelier.ledger.post import grant
from atelier.ledger.seal_movements import seal_all
from atelier.provider_keys.model import SealContext
from atelier.wiring import audit_log, backups, payments, seals
from infra.local.templates import read_template
from tests.conftest import Tables
from tests.embedded_aws import ROOT, clear_wiring_caches, create_tables, table_definitions
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ATTEMPTS_KEY, KEY, OWN_KEY, USER, WORKSPACE, add_provider_key
from tests.invoke import event, load_function
from tests.lanes import need_age, not_run
from tests.polling import wait_until

PARAMETERS = {"Stage": "test", "Providers": "local"}
EMPTY_STACK = {
    "Parameters": {name: {"Type": "String"} for name in PARAMETERS},
    "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
}
CONTENT = "a" * 64


@dataclass(frozen=True)
class TimeLeft:
    """The context of a function with this much time."""

    milliseconds: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@dataclass(frozen=True)
class Place:
    """Where backups go."""

    cloud: AwsResources
    bucket: str
    key: dict[str, Any]

    def check(self, backup: Backup | dict[str, Any]) -> BackupReport:
        """The report of a backup, by its files alone."""
        prefix = backup.prefix if isinstance(backup, Backup) else backups.records().get(backup["backup_id"]).prefix
        return verify_backup(S3BackupFolder(self.bucket, prefix), StoredChainForms(), [public_pem(self.key)])

    def keys(self, prefix: str) -> list[str]:
        found = client("s3").list_objects_v2(Bucket=self.bucket, Prefix=prefix)
        return [entry["Key"] for entry in found.get("Contents", ())]

    def lines(self, backup: Backup, key: str) -> list[bytes]:
        data = b"".join(S3BackupFolder(self.bucket, backup.prefix).chunks(key))
        return gzip.decompress(data).splitlines()


def prepare(bucket: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The bucket, the signing key and the settings of backups; returns the key."""
    key = new_key_set()["keys"][0]
    client("s3").create_bucket(Bucket=bucket)
    client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    client("secretsmanager").create_secret(Name=f"{bucket}-key", SecretString=json.dumps({"keys": [key]}))
    for name, value in {
        "BACKUPS_BUCKET": bucket,
        "BACKUP_METHOD": "segments",
        "SECRET_BACKUPS": f"{bucket}-key",
        "STACK": bucket,
    }.items():
        monkeypatch.setenv(f"ATELIER_{name}", value)
    clear_wiring_caches(clients=False)
    return key


@pytest.fixture
def place(cloud: AwsResources, monkeypatch: pytest.MonkeyPatch) -> Place:
    bucket = f"backups-{uuid.uuid4().hex[:12]}"
    key = prepare(bucket, monkeypatch)
    client("cloudformation").create_stack(
        StackName=bucket,
        TemplateBody=json.dumps(EMPTY_STACK),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()],
    )
    client("s3").put_bucket_versioning(Bucket=cloud.bucket, VersioningConfiguration={"Status": "Enabled"})
    return Place(cloud, bucket, key)


def give(key: str, credits: int = 5, workspace_id: str = WORKSPACE) -> None:
    """Grant credits: a movement, an operation's key, and a change of the wallet."""
    grant(workspace_id, key, GrantSource.PURCHASE, credits, deps=payments.ledger(), now=system_clock())


def note(number: int) -> None:
    """An audit event of the workspace."""
    origin = Origin(USER, None, "203.0.113.7", "tests", f"req-{number}")
    event = audit_event(WORKSPACE, "key.added", origin, system_clock(), target=f"key_{number}", after={})
    audit_log.events().append(event)


def seal() -> None:
    seal_all(WORKSPACE, deps=seals.seal_deps(), now=system_clock())


def seal_log() -> None:
    """Seal the events of the workspace that no seal covers."""
    events = [
        image
        for (owner, key), image in read_table(backups.table_names()["audit"]).items()
        if owner == WORKSPACE and key.startswith("event#")
    ]
    batch = [
        {"eventName": "INSERT", "dynamodb": {"Keys": {"pk": each["pk"], "sk": each["sk"]}, "NewImage": each}}
        for each in events
    ]
    load_function("streams/audit").handler({"Records": batch}, None)


def step(name: str, **fields: Any) -> dict[str, Any]:
    """One visit of the state machine."""
    return load_function("tasks/write_backup").handler({"step": name, **fields}, TimeLeft())


def begin(execution: str = "first") -> dict[str, Any]:
    return step("begin", execution=execution, started_at=rfc3339(system_clock()), scope=None)


def whole(execution: str = "first") -> dict[str, Any]:
    """A backup, by all of its steps."""
    begun = begin(execution)
    for part in begun["parts"]:
        assert step("write", backup_id=begun["backup_id"], part=part)["has_ended"]
    return step("finish", backup_id=begun["backup_id"])


def read_table(name: str) -> dict[tuple[str, str], dict[str, Any]]:
    items = client("dynamodb").scan(TableName=name, ConsistentRead=True)["Items"]
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in items}


def import_end(arn: str) -> dict[str, Any] | None:
    found = client("dynamodb").describe_import(ImportArn=arn)["ImportTableDescription"]
    return None if found["ImportStatus"] == "IN_PROGRESS" else {n: found[n] for n in ("ImportStatus", "ErrorCount")}


# ---- one backup ------------------------------------------------------------------------------------------------------


def test_a_backup_has_every_item_of_every_table(place: Place) -> None:
    for number in range(3):
        give(f"grant#{number}")
        note(number)
    seal()
    give("grant#late")
    client("s3").put_object(Bucket=place.cloud.bucket, Key=f"media/{WORKSPACE}/{CONTENT}.png", Body=b"a picture")
    client("s3").put_object(Bucket=place.cloud.bucket, Key="staging/gen_1/att_1/0", Body=b"not yet")

    ended = whole()
    assert ended["state"] == "complete"
    report = place.check(ended)
    assert report.problems == ()
    assert (report.wallets, report.logs) == (1, 1)

    backup, manifest = backups.records().get(ended["backup_id"]), report.manifest
    assert manifest is not None
    for name, table in backups.table_names().items():
        described = manifest.table(name)
        assert described is not None
        items = [read_line(line) for file in described.files for line in place.lines(backup, file.key)]
        assert {(item["pk"]["S"], item["sk"]["S"]): item for item in items} == read_table(table)
        assert described.items == len(items)
        assert place.keys(backup.prefix + described.prefix) == [backup.prefix + file.key for file in described.files]
    assert (backup.items, backup.files) == (report.items, report.files)

    (entry,) = [json.loads(line) for file in manifest.media.files for line in place.lines(backup, file.key)]
    assert (entry["bytes"], entry["sha256"]) == (9, CONTENT)
    found = client("s3").get_object(Bucket=manifest.media.bucket, Key=entry["key"], VersionId=entry["version"])
    assert found["Body"].read() == b"a picture"

    folder = S3BackupFolder(place.bucket, backup.prefix)
    assert json.loads(b"".join(folder.chunks("configuration/parameters.json"))) == PARAMETERS
    assert [file.key for file in manifest.configuration][1:] == [
        "configuration/compiled.json",
        "configuration/tiers.yaml",
    ]
    assert manifest.notes == [NO_ESCROW]
    assert manifest.escrow is None


def test_each_tables_files_are_loaded_by_import_table(place: Place) -> None:
    give("grant#1")
    note(1)
    report = place.check(whole())
    assert report.manifest is not None
    backup = backups.records().get(report.manifest.id)
    names = backups.table_names()
    for name in ("ledger", "identity", "audit"):
        table = report.manifest.table(name)
        assert table is not None
        restored = f"restored-{names[name]}"
        settings: dict[str, Any] = {
            "TableName": restored,
            "KeySchema": table.settings.key_schema,
            "AttributeDefinitions": table.settings.attributes,
            "BillingMode": "PAY_PER_REQUEST",
        }
        indexes = {"GlobalSecondaryIndexes": table.settings.indexes} if table.settings.indexes else {}
        begun = client("dynamodb").import_table(
            S3BucketSource={"S3Bucket": place.bucket, "S3KeyPrefix": backup.prefix + table.prefix},
            InputFormat="DYNAMODB_JSON",
            InputCompressionType="GZIP",
            TableCreationParameters=settings | indexes,
        )["ImportTableDescription"]["ImportArn"]
        assert wait_until(partial(import_end, begun)) == {"ImportStatus": "COMPLETED", "ErrorCount": 0}
        assert read_table(restored) == read_table(names[name])
        created = client("dynamodb").describe_table(TableName=restored)["Table"]
        assert {each["IndexName"] for each in created.get("GlobalSecondaryIndexes", ())} == {
            each["IndexName"] for each in table.settings.indexes
        }


def test_the_settings_of_a_table_are_those_of_the_template(place: Place) -> None:
    for name, table in backups.table_names().items():
        settings, defined = DynamoTableCatalog({name: table}).settings(name), table_definitions()[name]
        assert settings.key_schema == defined["KeySchema"]
        assert sorted(map(str, settings.attributes)) == sorted(map(str, defined["AttributeDefinitions"]))
        assert settings.indexes == defined.get("GlobalSecondaryIndexes", [])


def test_a_backup_leaves_out_no_table_without_a_reason() -> None:
    resources = read_template(ROOT / "infra/data.yaml")["Resources"]
    declared = {name for name, resource in resources.items() if resource["Type"] == "AWS::DynamoDB::Table"}
    named = {f"{name.title()}Table" for name in (*TABLES, *LEFT_OUT)}
    assert declared == named
    assert all(len(reason) > 30 for reason in LEFT_OUT.values())
    assert set(TABLES) == {field.name for field in fields(Tables)} - set(LEFT_OUT)


def test_an_execution_begins_one_backup_and_another_one_another(place: Place) -> None:
    started_at = rfc3339(system_clock())
    again = [step("begin", execution=name, started_at=started_at) for name in ("one", "one", "two")]
    assert again[0] == again[1]
    assert again[0]["backup_id"] != again[2]["backup_id"]
    example = load_function("tasks/write_backup").handler(event("tasks/write_backup/begin"), TimeLeft())
    assert example["parts"][0] == "media/0/1"
    assert len(list_backups(records=backups.records())) == 3


def test_finish_may_run_twice_and_never_before_the_parts(place: Place) -> None:
    begun = begin()
    with pytest.raises(PartIncomplete, match="ledger/0/1"):
        step("finish", backup_id=begun["backup_id"])
    for part in begun["parts"]:
        step("write", backup_id=begun["backup_id"], part=part)
    first = step("finish", backup_id=begun["backup_id"])
    assert step("finish", backup_id=begun["backup_id"]) == first
    assert step("fail", backup_id=begun["backup_id"])["state"] == "failed"
    # What is complete stays so.
    assert backups.records().get(begun["backup_id"]).state is BackupState.COMPLETE


def test_a_failed_backup_has_no_manifest_and_is_listed(place: Place) -> None:
    begun = begin()
    assert step("fail", backup_id=begun["backup_id"])["state"] == "failed"
    (listed,) = list_backups(records=backups.records())
    view = backup_view(listed)
    assert (view["id"], view["state"], view["finished_at"] is None) == (begun["backup_id"], "failed", False)
    assert view["failure"]
    assert place.check(begun).problems == ("manifest.json: the file is not there",)
    # A task that comes late writes nothing more.
    assert step("write", backup_id=begun["backup_id"], part="ledger/0/1")["has_ended"]
    assert place.keys(listed.prefix) == []


def test_a_task_whose_time_is_up_is_to_be_repeated_at_once(place: Place) -> None:
    begun = begin()
    app = load_function("tasks/write_backup")
    write = {"step": "write", "backup_id": begun["backup_id"], "part": "ledger/0/1"}
    answer = app.handler(write, TimeLeft(1000))
    assert (answer["has_ended"], answer["wait_seconds"]) == (False, 0)


# ---- deaths and races ------------------------------------------------------------------------------------------------


class ProcessDied(BaseException):
    """The process has died."""


@contextmanager
def dying_at(number: int, moment: str) -> Iterator[list[str]]:
    """The process dies at the call of AWS with this number (from 0), before it is sent or after it was answered;
    returns the calls so far."""
    calls = list[str]()

    def count(model: Any, **_: Any) -> None:
        calls.append(model.name)
        if len(calls) == number + 1:
            raise ProcessDied

    clients = [client("s3"), client("dynamodb"), connection().client]
    for each in clients:
        each.meta.events.register(f"{moment}-call", count)
    try:
        yield calls
    finally:
        for each in clients:
            each.meta.events.unregister(f"{moment}-call", count)


def small_files(place: Place, **changes: Any) -> WriteBackupDeps:
    """Dependencies with pages of three items and a file for each page."""
    deps = backups.write_deps()
    files = S3NewBackupFiles(place.bucket)
    tables = TableSegments(backups.table_names(), files, system_clock, file_bytes=1, page={"Limit": 3})
    return replace(deps, tables=tables, media=S3MediaInventory(place.cloud.bucket, files, file_objects=1), **changes)


def write_all(begun: Backup, deps: WriteBackupDeps) -> Backup:
    for part in begun.parts:
        assert write_part(begun.id, part, deps=deps, context=TimeLeft()) is None
    return finish_backup(begun.id, deps=deps)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("part", ["ledger/0/1", "identity/0/1", "media/0/1"])
def test_a_part_goes_on_wherever_its_process_dies(place: Place, part: str, moment: str) -> None:
    for number in range(4):
        give(f"grant#{number}")
        client("s3").put_object(Bucket=place.cloud.bucket, Key=f"media/{WORKSPACE}/{number}", Body=b"x")
    deps = small_files(place)
    begun = begin_backup("first", system_clock(), None, deps=deps)
    deaths = 0
    # It dies once at each call, and goes on from what is stored.
    for number in range(200):
        with dying_at(number % 7, moment), suppress(ProcessDied):
            write_part(begun.id, part, deps=deps, context=TimeLeft())
            break
        deaths += 1
    assert deaths > 5
    ended = write_all(begun, deps)
    assert place.check(ended).problems == ()
    table = table_of(part)[0]
    progress = deps.records.progress(begun.id, part)
    assert place.keys(f"{begun.prefix}{'media' if table == 'media' else f'tables/{table}'}/") == [
        begun.prefix + file.key for file in progress.files
    ]


def test_a_file_that_another_run_has_written_is_taken_as_it_is(place: Place) -> None:
    give("grant#1")
    deps = small_files(place)
    begun = begin_backup("first", system_clock(), None, deps=deps)
    first = deps.tables.advance(begun, "ledger/0/1", PartProgress())
    # What was written meanwhile is not in the file that the other run has left.
    give("grant#2")
    assert deps.tables.advance(begun, "ledger/0/1", PartProgress()) == first
    assert first is not None
    deps.records.save_progress(begun, "ledger/0/1", PartProgress(), first)
    with pytest.raises(PartChanged):
        deps.records.save_progress(begun, "ledger/0/1", PartProgress(), first)
    assert place.check(write_all(begun, deps)).problems == ()


@contextmanager
def each_time(operation: str, act: Callable[[], object], table: str) -> Iterator[list[int]]:
    """Calls `act` before each request of this kind to this table, but for those that it makes itself."""
    calls, here = list[int](), threading.local()

    def before(params: dict[str, Any], **_: Any) -> None:
        if getattr(here, "inside", False) or table not in str(params["body"]):
            return
        here.inside = True
        calls.append(1)
        act()
        here.inside = False

    events = client("dynamodb").meta.events
    events.register(f"before-call.dynamodb.{operation}", before)
    try:
        yield calls
    finally:
        events.unregister(f"before-call.dynamodb.{operation}", before)


def test_a_wallet_that_changes_while_it_is_read_belongs_together(place: Place) -> None:
    for number in range(6):
        give(f"grant#{number}")
    seal()
    deps, names = small_files(place), iter(range(100))
    begun = begin_backup("first", system_clock(), None, deps=deps)
    changes = iter([True, True, False, False, False])
    # Two of its readings find it changed.
    act = lambda: next(changes, False) and give(f"grant#while-{next(names)}")  # noqa: E731
    with each_time("Query", act, place.cloud.tables.ledger) as calls:
        ended = write_all(begun, deps)
    assert len(calls) >= 3
    report = place.check(ended)
    assert report.problems == ()
    assert ended.notes == (NO_ESCROW,)


def test_a_wallet_that_never_rests_is_noted(place: Place) -> None:
    give("grant#1")
    deps, names = small_files(place), iter(range(1000))
    begun = begin_backup("first", system_clock(), None, deps=deps)
    with each_time("Query", lambda: give(f"grant#while-{next(names)}"), place.cloud.tables.ledger):
        ended = write_all(begun, deps)
    assert ended.notes[0] == f"ledger: {WORKSPACE} changed each time it was read; it may not verify."


def test_a_log_that_grows_while_it_is_read_belongs_together(place: Place) -> None:
    for number in range(5):
        note(number)
    deps, numbers = small_files(place), iter(range(100, 1000))
    begun = begin_backup("first", system_clock(), None, deps=deps)

    def grow() -> None:
        note(next(numbers))
        seal_log()

    with each_time("Query", grow, place.cloud.tables.audit):
        ended = write_all(begun, deps)
    assert place.check(ended).problems == ()


def test_segments_together_have_every_item_once(place: Place) -> None:
    for number in range(30):
        client("dynamodb").put_item(
            TableName=place.cloud.tables.library, Item={"pk": {"S": f"wsp_{number}"}, "sk": {"S": "x"}}
        )
    catalog = DynamoTableCatalog(backups.table_names(), segment_bytes=1)
    deps = small_files(place, catalog=catalog)
    begun = begin_backup("first", system_clock(), None, deps=deps)
    assert len([part for part in begun.parts if part.startswith("library/")]) > 1
    report = place.check(write_all(begun, deps))
    assert report.problems == ()
    table = report.manifest.table("library") if report.manifest else None
    assert table is not None
    assert table.items == len(read_table(place.cloud.tables.library))


def test_a_locked_backup_is_written_and_cannot_be_deleted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = f"{place.bucket}-locked"
    client("s3").create_bucket(Bucket=locked, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 35}}
    client("s3").put_object_lock_configuration(
        Bucket=locked, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    monkeypatch.setenv("ATELIER_BACKUPS_BUCKET", locked)
    monkeypatch.setenv("ATELIER_BACKUP_LOCK_DAYS", "35")
    clear_wiring_caches(clients=False)
    backup = backups.records().get(whole()["backup_id"])
    assert (backup.state, backup.bucket, backup.lock_days) == (BackupState.COMPLETE, locked, 35)
    for version in client("s3").list_object_versions(Bucket=locked)["Versions"]:
        with pytest.raises(ClientError, match="AccessDenied"):
            client("s3").delete_object(Bucket=locked, Key=version["Key"], VersionId=version["VersionId"])
    report = verify_backup(S3BackupFolder(locked, backup.prefix), StoredChainForms(), [public_pem(place.key)])
    assert report.problems == ()


# ---- escrow ----------------------------------------------------------------------------------------------------------

RECOVERY = "ATELIER_RECOVERY_KEY"


@pytest.fixture
def recovery(place: Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A made recovery key, which the deployment has the public half of; returns the private one."""
    identity = pyrage.x25519.Identity.generate()
    monkeypatch.setenv(RECOVERY, str(identity.to_public()))
    clear_wiring_caches(clients=False)
    return identity


def escrow(backup_id: str) -> dict[str, Any]:
    return load_function("tasks/escrow_secrets").handler({"backup_id": backup_id}, None)


def whole_with_escrow() -> Backup:
    begun = begin()
    for part in begun["parts"]:
        step("write", backup_id=begun["backup_id"], part=part)
    assert escrow(begun["backup_id"]) == {"escrowed": True}
    step("finish", backup_id=begun["backup_id"])
    return backups.records().get(begun["backup_id"])


def read_bytes(place: Place, backup: Backup, key: str) -> bytes:
    return b"".join(S3BackupFolder(place.bucket, backup.prefix).chunks(key))


def test_the_recovery_key_opens_the_secrets_and_they_a_restored_provider_key(place: Place, recovery: Any) -> None:
    stored = add_provider_key()
    backup = whole_with_escrow()
    report = place.check(backup)
    assert report.problems == ()
    assert report.manifest is not None
    assert report.manifest.escrow is not None
    assert report.manifest.escrow.recipient == str(recovery.to_public())
    assert report.manifest.notes == []

    opened = json.loads(pyrage.decrypt(read_bytes(place, backup, "escrow.age"), [recovery]))
    assert sorted(opened["secrets"]) == report.manifest.escrow.secrets
    names = backups.secret_ids()
    manager = client("secretsmanager")
    assert opened["secrets"] == {
        name: json.loads(manager.get_secret_value(SecretId=secret)["SecretString"]) for name, secret in names.items()
    }
    # In another deployment: its own secret with the escrowed value, and the item as the backup's file has it.
    secret = manager.create_secret(
        Name=f"restored-{place.bucket}", SecretString=json.dumps(opened["secrets"]["provider_keys"])
    )["ARN"]
    table = report.manifest.table("providers")
    assert table is not None
    items = [read_line(line) for file in table.files for line in place.lines(backup, file.key)]
    [record] = [b64decode(item["record"]["S"]) for item in items if item["sk"]["S"].endswith(f"#{KEY}")]
    assert record == stored.record
    assert vault_of(secret, "").open(record, SealContext(WORKSPACE, "replicate", KEY)).key == OWN_KEY


def test_no_byte_of_a_backup_has_a_secret_in_plain(place: Place, recovery: Any, kept_secret: list[str]) -> None:
    add_provider_key()
    backup = whole_with_escrow()
    everything = b""
    for key in place.keys(backup.prefix):
        data = read_bytes(place, backup, key.removeprefix(backup.prefix))
        everything += gzip.decompress(data) if key.endswith(".gz") else data
    plain = [json.loads(text) for text in secret_texts()]
    values = {value for each in plain for value in strings(each) if len(value) >= 20}
    # Public halves of keys may be seen.
    public = {place.key["kid"], place.key["x"], place.key["y"]}
    assert len(values) > 10
    found = [value for value in values - public if value.encode() in everything]
    assert found == []
    assert str(recovery).encode() not in everything


def secret_texts() -> list[str]:
    ids = backups.secret_ids().values()
    return [client("secretsmanager").get_secret_value(SecretId=each)["SecretString"] for each in ids]


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in strings(each)]
    return [value] if isinstance(value, str) else []


def test_the_program_age_opens_an_escrow(place: Place, recovery: Any, tmp_path: Path) -> None:
    age = need_age()
    backup = whole_with_escrow()
    (tmp_path / "key.txt").write_text(str(recovery))
    (tmp_path / "escrow.age").write_bytes(read_bytes(place, backup, "escrow.age"))
    command = [age, "--decrypt", "--identity", str(tmp_path / "key.txt"), str(tmp_path / "escrow.age")]
    opened = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert opened["secrets"]["attempts"] == {"key": ATTEMPTS_KEY}
    (tmp_path / "other.txt").write_text(str(pyrage.x25519.Identity.generate()))
    other = [*command[:3], str(tmp_path / "other.txt"), command[4]]
    assert subprocess.run(other, check=False, capture_output=True).returncode != 0


def test_the_program_openssl_checks_a_manifest(place: Place, tmp_path: Path) -> None:
    openssl = shutil.which("openssl") or not_run("there is no openssl here")
    backup = backups.records().get(whole()["backup_id"])
    for name in ("manifest.json", "manifest.sig", "public_key.pem"):
        (tmp_path / name).write_bytes(read_bytes(place, backup, name))
    command = [
        openssl,
        *["dgst", "-sha256", "-verify", "public_key.pem", "-signature", "manifest.sig", "manifest.json"],
    ]
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode == 0
    (tmp_path / "manifest.json").write_bytes(b" " + (tmp_path / "manifest.json").read_bytes())
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0


def test_without_a_recovery_key_nothing_is_escrowed(place: Place) -> None:
    begun = begin()
    assert escrow(begun["backup_id"]) == {"escrowed": False}
    assert place.keys("") == []


def test_a_recovery_key_with_a_slip_fails_the_backup(
    place: Place, recovery: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = str(recovery.to_public())
    monkeypatch.setenv(RECOVERY, key[:-1] + ("q" if key[-1] != "q" else "p"))
    clear_wiring_caches(clients=False)
    begun = begin()
    with pytest.raises(RecoveryKeyInvalid, match="no age key"):
        escrow(begun["backup_id"])
    assert place.keys("") == []


def test_every_secret_of_the_template_is_escrowed(place: Place) -> None:
    resources = read_template(ROOT / "infra/data.yaml")["Resources"]
    declared = {name for name, each in resources.items() if each["Type"] == "AWS::SecretsManager::Secret"}
    names = backups.secret_ids()
    assert {name.lower() for name in declared} == {f"{name.replace('_', '')}secret" for name in names}


# ---- DynamoDB's own export -------------------------------------------------------------------------------------------


@pytest.fixture
def exporting(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Tables on another emulator, which really exports; returns the bucket of backups. The embedded AWS's export
    writes nothing."""
    with mock_aws():
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        clear_wiring_caches()
        names = create_tables(botocore.session.get_session().create_client("dynamodb"), monkeypatch)
        for name in astuple(names):
            client("dynamodb").update_continuous_backups(
                TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
            )
        prepare("backups", monkeypatch)
        client("s3").create_bucket(Bucket="media-of-moto")
        monkeypatch.setenv("ATELIER_MEDIA_BUCKET", "media-of-moto")
        monkeypatch.setenv("ATELIER_STAGE", "test")
        monkeypatch.setenv("ATELIER_PUBLIC_URL", "https://media.example.com")
        monkeypatch.setenv("ATELIER_BACKUP_METHOD", "point-in-time")
        clear_wiring_caches(clients=False)
        yield "backups"
    clear_wiring_caches()


@dataclass(frozen=True)
class Facts:
    """This emulator has no CloudFormation."""

    def parameters(self) -> dict[str, str]:
        return PARAMETERS


def test_tables_are_exported_by_dynamodb_where_it_can(exporting: str) -> None:
    names = backups.table_names()
    for number in range(5):
        item = {"pk": {"S": f"wsp_{number}"}, "sk": {"S": "ast_1"}, "data": {"B": b"\x00\xff"}}
        client("dynamodb").put_item(TableName=names["library"], Item=item)
    deps = replace(backups.write_deps(), facts=Facts())
    begun = begin_backup("first", system_clock(), None, deps=deps)
    for part in begun.parts:
        # Until DynamoDB has written its files there is nothing to do but to wait.
        wait_until(lambda part=part: write_part(begun.id, part, deps=deps, context=TimeLeft()) is None)
    ended = finish_backup(begun.id, deps=deps)
    assert (ended.method, ended.state) == (BackupMethod.POINT_IN_TIME, BackupState.COMPLETE)
    folder = S3BackupFolder(exporting, begun.prefix)
    report = verify_backup(folder, StoredChainForms(), None)
    assert report.problems == ()
    assert report.manifest is not None
    table = report.manifest.table("library")
    assert table is not None
    assert table.items == 5
    # What DynamoDB writes about the export is outside of what ImportTable reads.
    assert table.prefix.endswith("/data/")
    assert report.manifest.cut_at == begun.started_at - timedelta(minutes=15)
    assert all(part.endswith("/0/1") for part in begun.parts)


def test_tables_as_of_an_earlier_time_are_exported_and_never_scanned(exporting: str) -> None:
    deps, now = replace(backups.write_deps(), facts=Facts()), system_clock()
    earlier = now - timedelta(days=3)
    assert begin_backup("first", now, None, earlier, deps=deps).cut_at == earlier
    # The last minutes cannot be exported.
    assert begin_backup("second", now, None, now, deps=deps).cut_at == now - timedelta(minutes=15)
    scanning = replace(deps, place=replace(deps.place, method=BackupMethod.SEGMENTS))
    with pytest.raises(CutImpossible):
        begin_backup("third", now, None, earlier, deps=scanning)


def test_an_export_whose_files_are_not_all_there_is_no_backup(exporting: str) -> None:
    names = backups.table_names()
    client("dynamodb").put_item(TableName=names["library"], Item={"pk": {"S": "wsp_1"}, "sk": {"S": "ast_1"}})
    deps = replace(backups.write_deps(), facts=Facts())
    begun = begin_backup("first", system_clock(), None, deps=deps)
    started = deps.tables.advance(begun, "library/0/1", PartProgress())
    assert started is not None
    wait_until(lambda: deps.tables.advance(begun, "library/0/1", started))
    for entry in client("s3").list_objects_v2(Bucket=exporting, Prefix=begun.prefix)["Contents"]:
        client("s3").delete_object(Bucket=exporting, Key=entry["Key"])
    with pytest.raises(ExportFailed, match="1 items were exported, and the files have 0"):
        deps.tables.advance(begun, "library/0/1", started)
