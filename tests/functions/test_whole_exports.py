"""Exports of everything: functions/api/exports, functions/streams/exports and functions/tasks/write_whole_export."""

from __future__ import annotations

import io
import json
import random
import urllib.request
import zipfile
from dataclasses import dataclass, replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.generations.transactions import put_new
from atelier.adapters.aws.zip_files import S3ZipFiles
from atelier.audit_log.model import Origin, audit_event
from atelier.audit_log.seal_events import seal_events
from atelier.audit_log.seals import event_form
from atelier.caller import Caller
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.exports.ports import ExportChanged
from atelier.exports.whole_schemas import create_whole_export, read_whole_export
from atelier.exports.write_whole_export import write_whole_export
from atelier.generations.model import DeliveredFile, Generation
from atelier.ids import new_id
from atelier.ledger.verify import verify, verify_events
from atelier.wiring import audit_log, exports, generations, whole_exports
from tests.functions.conftest import AwsResources
from tests.functions.example_data import (
    ASSET,
    ORGANIZATION,
    OWN_KEY,
    PROMPT,
    TOKEN_TEXT,
    USER,
    WORKSPACE,
    add_api_token,
    add_provider_key,
    create_character,
    create_organization,
    create_project,
    create_template,
    submit_example,
)
from tests.functions.responses import Reply, error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, load_function
from tests.recorded_assets import record_asset

MEDIA = b"\x89PNG" + bytes(range(256)) * 40
ORIGIN = Origin(USER, None, "203.0.113.7", "tests", "req-1")


@dataclass(frozen=True)
class TimeLeft:
    """The context of a function with this much time."""

    milliseconds: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/exports")


@pytest.fixture
def example(cloud: AwsResources) -> Generation:
    """A workspace with something of many kinds."""
    found = submit_example()
    delivered = DeliveredFile(ASSET, "image", "0" * 64, "png", len(MEDIA), 512, 512, has_thumbnail=True)
    record_asset(found, delivered, 0)
    for key, data in ((f"media/{WORKSPACE}/{'0' * 64}.png", MEDIA), ("media/wsp_OTHER/1.png", b"not mine")):
        client("s3").put_object(Bucket=cloud.bucket, Key=key, Body=data)
    add_provider_key()
    add_api_token()
    create_project()
    create_organization()
    create_character()
    create_template()
    for log in (WORKSPACE, USER):
        new = audit_event(log, "session.opened", ORIGIN, system_clock() - timedelta(hours=1), note=f"of {log}")
        audit_log.events().append(new)
        seal_events(log, [event_form(new)], deps=audit_log.seal_deps(), now=system_clock())
    return found


def request(app: ModuleType, key: str | None = None) -> Reply:
    headers = {"idempotency-key": key} if key else {}
    return invoke_app(app, event("api/exports/export_everything", headers=headers))


def requested(app: ModuleType) -> str:
    response = request(app)
    assert response["statusCode"] == 202, response["body"]
    id: str = success_data(response)["export"]["id"]
    return id


def run(export_id: str, **changes: Any) -> bool:
    """One visit of the state machine; whether the export has ended."""
    ids = {"workspace_id": WORKSPACE, "export_id": export_id}
    answer = load_function("tasks/write_whole_export").handler({**ids, **changes}, TimeLeft())
    assert answer.items() >= ids.items()
    ended: bool = answer["has_ended"]
    return ended


def read(app: ModuleType, export_id: str) -> dict[str, Any]:
    call = event("api/exports/get_export_of_everything")
    call["rawPath"] = call["requestContext"]["http"]["path"] = f"/api/exports/workspace/{export_id}"
    view: dict[str, Any] = success_data(invoke_app(app, call))["export"]
    return view


def downloaded(app: ModuleType, export_id: str) -> list[dict[str, bytes]]:
    """The files of each zip file; each zip file is tested."""
    found = list[dict[str, bytes]]()
    for file in read(app, export_id)["files"]:
        with urllib.request.urlopen(file["url"]) as response:
            data = response.read()
        assert len(data) == file["size_bytes"]
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            assert len(set(archive.namelist())) == len(archive.namelist()) > 0
            found.append({name: archive.read(name) for name in archive.namelist()})
    return found


def lines(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.decode().splitlines()]


def test_an_export_has_everything_of_the_workspace_and_its_owner(app: ModuleType, example: Generation) -> None:
    id = requested(app)
    assert read(app, id)["status"] == "queued"
    assert read(app, id)["files"] == []
    assert run(id)
    (files,) = downloaded(app, id)
    assert next(iter(files)) == "README.txt"
    assert "account/sessions.ndjson: digest, rotations" in files["README.txt"].decode()
    (generation,) = lines(files["generations.ndjson"])
    assert generation["key"] == example.id
    assert (generation["recipe"]["prompt"], generation["kind"]) == (PROMPT, "image")
    assert generation["credits_held"] == example.credits_held
    assert files[f"media/{'0' * 64}.png"] == MEDIA
    assert lines(files["assets.ndjson"])[0]["sha256"] == "0" * 64
    assert lines(files["account/profile.ndjson"])[0]["email"] == "of-the-examples@example.com"
    assert lines(files["provider_keys.ndjson"])[0]["last_four"] == OWN_KEY[-4:]
    assert lines(files["workspace/profile.ndjson"])[0]["owner_id"] == USER
    for name in (
        "projects",
        "characters",
        "templates",
        "workspace/api_tokens",
        "account/memberships",
        "credits/wallet",
    ):
        assert lines(files[f"{name}.ndjson"]), name
    assert not [name for name in files if b"not mine" in files[name]]


def test_the_proofs_in_an_export_are_sound(app: ModuleType, example: Generation) -> None:
    id = requested(app)
    run(id)
    (files,) = downloaded(app, id)
    pages = [json.loads(data) for name, data in sorted(files.items()) if name.startswith("credits/proof-")]
    assert verify(pages).startswith("sound: 2 entries")
    for log in (WORKSPACE, USER):
        parts = [lines(data) for name, data in sorted(files.items()) if name.startswith(f"audit/{log}")]
        assert verify_events(parts).startswith("sound: 1 events")
        assert f"of {log}" in json.dumps(parts)


def test_no_secret_is_in_an_export(app: ModuleType, example: Generation, cloud: AwsResources) -> None:
    secrets = {OWN_KEY, TOKEN_TEXT[56:], "no hash"}
    for table in (cloud.tables.identity, cloud.tables.providers):
        for item in cloud.items(table):
            values = [item[name] for name in ("digest", "record", "password_hash", "rotations") if name in item]
            secrets |= {text for value in values for text in value.values() if len(text) > 4}
    assert len(secrets) > 5
    id = requested(app)
    run(id)
    (files,) = downloaded(app, id)
    found = {(name, secret) for name, data in files.items() for secret in secrets if secret.encode() in data}
    assert found == set()


def test_an_export_of_an_organisation_has_no_account(cloud: AwsResources, example: Generation) -> None:
    deps, caller, now = exports.whole_deps(), Caller(USER, ORGANIZATION, "owner"), system_clock()
    view, _ = create_whole_export(deps, caller, None, ORIGIN, now, personal_workspace=exports.personal_workspace)
    assert not view.export.with_account
    assert write_whole_export(ORGANIZATION, view.export.id, deps=whole_exports.write_whole_deps(), context=None)
    export = deps.store.get(ORGANIZATION, view.export.id)
    data = client("s3").get_object(Bucket=f"exports-{cloud.tables.identity}", Key=export.files[0].key)["Body"].read()
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert "workspace/members.ndjson" in names
    assert [name for name in names if name.startswith("account/")] == []


# ---- in parts --------------------------------------------------------------------------------------------------------


def store_many(example: Generation, count: int, characters: int) -> list[str]:
    generations.store()
    at, ids = system_clock() - timedelta(hours=2), list[str]()
    for number in range(count):
        moment = at + timedelta(milliseconds=number)
        recipe = replace(example.recipe, prompt=f"{number} " + "x" * characters)
        new = replace(example, id=new_id("gen", moment), created_at=moment, recipe=recipe, budgets=())
        with transaction() as write:
            put_new(write, new)
        ids.append(new.id)
    return ids


class DiesBehind:
    """WholeExportStore whose process dies before it stores the zip file of this number."""

    def __init__(self, store: Any, number: int) -> None:
        self._store, self._number = store, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save(self, before: Any, after: Any) -> None:
        if len(after.files) == self._number:
            raise ConnectionResetError
        self._store.save(before, after)


def test_a_killed_job_goes_on_and_no_record_is_lost_or_doubled(app: ModuleType, example: Generation) -> None:
    ids = store_many(example, 60, 100_000)
    id = requested(app)
    deps = replace(whole_exports.write_whole_deps(), zip_bytes=1000)
    with pytest.raises(ConnectionResetError):
        write_whole_export(WORKSPACE, id, deps=replace(deps, store=DiesBehind(deps.store, 3)), context=TimeLeft())
    assert read(app, id)["status"] == "running"
    assert not write_whole_export(WORKSPACE, id, deps=deps, context=TimeLeft(1000))
    assert write_whole_export(WORKSPACE, id, deps=deps, context=TimeLeft())

    zips = downloaded(app, id)
    assert len(zips) > 5
    names = [name for files in zips for name in files]
    assert len(names) == len(set(names)), "unpacked into one folder, no file replaces another"
    keys = [line["key"] for files in zips for name, data in files.items() for line in _recipes(name, data)]
    assert sorted(keys) == sorted(f"request#{each}" for each in [*ids])
    assert [name for name in names if name.startswith("recipes.part")]


def _recipes(name: str, data: bytes) -> list[dict[str, Any]]:
    return lines(data) if name.startswith("recipes.") else []


def test_a_zip_file_ends_when_the_time_is_nearly_up(app: ModuleType, example: Generation) -> None:
    id = requested(app)

    class Ending:
        left = 900_000

        def get_remaining_time_in_millis(self) -> int:
            self.left -= 300_000
            return self.left

    assert not write_whole_export(WORKSPACE, id, deps=whole_exports.write_whole_deps(), context=Ending())
    assert len(exports.whole_store().get(WORKSPACE, id).files) == 1
    assert run(id)
    assert "README.txt" in downloaded(app, id)[0]
    assert "generations.ndjson" in downloaded(app, id)[1]


def test_of_two_runs_one_writes_the_file(app: ModuleType, example: Generation) -> None:
    id = requested(app)
    deps = whole_exports.write_whole_deps()

    class OvertakenStore(DiesBehind):
        def save(self, before: Any, after: Any) -> None:
            assert run(id)
            self._store.save(before, after)

    with pytest.raises(ExportChanged):
        write_whole_export(WORKSPACE, id, deps=replace(deps, store=OvertakenStore(deps.store, 0)), context=None)
    assert "README.txt" in downloaded(app, id)[0]
    assert len(downloaded(app, id)) == 1


def test_an_upload_of_many_parts_is_one_sound_zip_file(cloud: AwsResources) -> None:
    bucket = f"exports-{cloud.tables.identity}"
    writer = S3ZipFiles(bucket, part_bytes=5 * 1024 * 1024).begin("exports/a.zip")
    content = {f"{number}.bin": (new_id("gen", system_clock()) * 30_000).encode() for number in range(3)}
    big = random.Random(7).randbytes(12 * 1024 * 1024)
    writer.write("big.bin", [big[:1], big[1:7_000_000], big[7_000_000:]])
    for name, data in content.items():
        writer.write(name, [data])
    size = writer.close()
    stored = client("s3").get_object(Bucket=bucket, Key="exports/a.zip")["Body"].read()
    assert len(stored) == size
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {"big.bin": big, **content}


def test_an_aborted_zip_file_leaves_nothing(cloud: AwsResources) -> None:
    bucket = f"exports-{cloud.tables.identity}"
    writer = S3ZipFiles(bucket, part_bytes=5 * 1024 * 1024).begin("exports/b.zip")
    writer.write("big.bin", [random.Random(7).randbytes(6 * 1024 * 1024)])
    assert client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads")
    writer.abort()
    assert not client("s3").list_multipart_uploads(Bucket=bucket).get("Uploads")


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_repeated_request_answers_with_the_first_export(app: ModuleType) -> None:
    first, second = request(app, "one"), request(app, "one")
    assert success_data(first)["export"]["id"] == success_data(second)["export"]["id"]
    assert second["headers"]["Idempotent-Replayed"] == "true"


def test_one_export_of_everything_is_written_at_a_time(app: ModuleType) -> None:
    id = requested(app)
    assert error_of(request(app)) == (409, "CONFLICT")
    assert run(id)
    requested(app)


def test_a_request_is_an_audit_event_of_the_workspace_and_of_the_owner(app: ModuleType, cloud: AwsResources) -> None:
    id = requested(app)
    found = [item for item in cloud.items(cloud.tables.audit) if item.get("target", {}).get("S") == id]
    assert sorted(item["pk"]["S"] for item in found) == [USER, WORKSPACE]
    assert {item["action"]["S"] for item in found} == {"export.everything_requested"}


def test_a_failed_job_says_so_and_another_export_may_be_requested(app: ModuleType) -> None:
    id = requested(app)
    assert run(id, failed=True)
    ended = read(app, id)
    assert (ended["status"], ended["files"]) == ("failed", [])
    assert "Request the export again" in ended["failure"]
    assert run(id)
    assert read(app, id)["status"] == "failed"
    requested(app)


def test_a_new_export_starts_its_job_once(app: ModuleType, cloud: AwsResources) -> None:
    id = requested(app)
    keys = {"pk": {"S": WORKSPACE}, "sk": {"S": f"whole#{id}"}}
    records = [{"eventName": "INSERT", "dynamodb": {"Keys": keys}}] * 2
    load_function("streams/exports").handler({"Records": records}, None)
    started = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    assert [each["name"] for each in started] == [id]


def test_another_workspace_sees_no_export(app: ModuleType) -> None:
    id = requested(app)
    call = foreign_event("api/exports/get_export_of_everything")
    call["requestContext"]["http"]["path"] = f"/api/exports/workspace/{id}"
    assert invoke_app(app, call)["statusCode"] in (403, 404)


def test_files_have_no_address_after_their_lifetime(app: ModuleType) -> None:
    id, caller, now = requested(app), Caller(USER, WORKSPACE, "owner"), system_clock()
    assert run(id)
    for days, count in ((6, 1), (8, 0)):
        view = read_whole_export(exports.whole_deps(), caller, id, now + timedelta(days=days)).export
        assert len(view.files) == count
    with pytest.raises(NotFound):
        read_whole_export(exports.whole_deps(), caller, new_id("exp", now), now)


def test_exports_are_listed_newest_first(app: ModuleType) -> None:
    first = requested(app)
    run(first)
    second = requested(app)
    listed = success_data(invoke_app(app, event("api/exports/list_exports_of_everything")))
    assert [each["id"] for each in listed["items"]] == [second, first]
