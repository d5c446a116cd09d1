"""functions/api/exports, functions/streams/exports and functions/tasks/write_export, fed with events."""

from __future__ import annotations

import csv
import io
import json
import random
import urllib.request
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import duckdb
import pytest
from pynamodb.expressions.operand import Path

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.analytics.items import RowItem, row_key
from atelier.adapters.aws.dynamodb.generations.transactions import put_new
from atelier.adapters.aws.dynamodb.ledger.items import movement_item
from atelier.analytics.model import Dataset, Group, Row
from atelier.audit_log.model import Origin, audit_event
from atelier.caller import Caller
from atelier.clock import parse_rfc3339, rfc3339, system_clock
from atelier.errors import Forbidden, NotFound
from atelier.exports.columns import AUDIT, ENTRIES, GENERATIONS
from atelier.exports.model import Export, ExportDataset, ExportFormat, ExportProgress
from atelier.exports.ports import ExportChanged, UploadBroken
from atelier.exports.present import create_export, list_exports, read_export
from atelier.exports.schemas import ExportQuery, ExportRequest
from atelier.exports.write_export import write_export
from atelier.generations.model import Generation
from atelier.ids import new_id
from atelier.ledger.model import Account, Entry, Movement, order_at
from atelier.wiring import analytics, audit_log, exports, generations, ledger
from tests.functions.conftest import AwsResources
from tests.functions.example_data import USER, WORKSPACE, submit_example
from tests.functions.responses import Reply, error_of, foreign_event, invoke_app, success_data
from tests.invoke import event, load_function

HOUR = timedelta(hours=1)
FORMULAS = ("=1+1", "+1", "-1", "@SUM(A1)", "\ttab", 'a, "quoted"\nline', "plain")


@dataclass(frozen=True)
class TimeLeft:
    """The context of a function with this much time."""

    milliseconds: int = 900_000

    def get_remaining_time_in_millis(self) -> int:
        return self.milliseconds


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/exports")


def store(example: Generation, number: int, at: datetime, prompt: str = "a lighthouse") -> str:
    """Store a generation, one millisecond after the last."""
    at += timedelta(milliseconds=number)
    recipe = replace(example.recipe, prompt=prompt)
    new = replace(example, id=new_id("gen", at), created_at=at, recipe=recipe, budgets=())
    generations.store()
    with transaction() as write:
        put_new(write, new)
    return new.id


@pytest.fixture
def example(cloud: AwsResources) -> Generation:
    return submit_example()


def body(**changes: Any) -> dict[str, Any]:
    now = system_clock()
    times = {"from": rfc3339(now - 24 * HOUR), "to": rfc3339(now + HOUR)}
    return {"dataset": "generations", "format": "csv", **times, **changes}


def request(app: ModuleType, key: str | None = None, **changes: Any) -> Reply:
    headers = {"idempotency-key": key} if key else {}
    return invoke_app(app, event("api/exports/request_export", body=body(**changes), headers=headers))


def requested(app: ModuleType, **changes: Any) -> dict[str, Any]:
    response = request(app, **changes)
    assert response["statusCode"] == 202, response["body"]
    return success_data(response)["export"]


def run(export_id: str, **changes: Any) -> bool:
    """One visit of the state machine; whether the export has ended."""
    ids = {"workspace_id": WORKSPACE, "export_id": export_id}
    answer = load_function("tasks/write_export").handler({**ids, **changes}, TimeLeft())
    assert answer.items() >= ids.items()
    return answer["has_ended"]


def read(app: ModuleType, export_id: str) -> dict[str, Any]:
    call = event("api/exports/get_export", rawPath=f"/api/analytics/exports/{export_id}")
    call["requestContext"]["http"]["path"] = call["rawPath"]
    return success_data(invoke_app(app, call))["export"]


def download(app: ModuleType, export_id: str) -> bytes:
    with urllib.request.urlopen(read(app, export_id)["url"]) as response:
        assert "attachment" in response.headers["Content-Disposition"]
        return response.read()


def export(app: ModuleType, **changes: Any) -> bytes:
    """The bytes of a new export's file."""
    new = requested(app, **changes)
    assert run(new["id"])
    return download(app, new["id"])


def rows_of(data: bytes, format: str, tmp_path: Any) -> list[dict[str, Any]]:
    """The rows of a file, whatever its format."""
    if format == "csv":
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    if format == "ndjson":
        return [json.loads(line) for line in data.decode().splitlines()]
    (tmp_path / "file.parquet").write_bytes(data)
    found = duckdb.sql(f"SELECT * FROM '{tmp_path / 'file.parquet'}'")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


# ---- one export ------------------------------------------------------------------------------------------------------


def test_an_export_has_the_workspaces_generations_of_the_time(app: ModuleType, example: Generation) -> None:
    at = system_clock() - 2 * HOUR
    ids = [store(example, number, at, text) for number, text in enumerate(FORMULAS)]
    store(example, 0, at - 40 * HOUR)
    new = requested(app)
    assert new["status"] == "queued"
    assert new["url"] is None

    assert run(new["id"])
    ended = read(app, new["id"])
    assert (ended["status"], ended["rows"], ended["failure"]) == ("succeeded", len(ids), None)
    rows = rows_of(download(app, new["id"]), "csv", None)
    assert [row["id"] for row in rows] == ids
    assert list(rows[0]) == [column.name for column in GENERATIONS]
    assert [row["prompt"].removeprefix("'") for row in rows] == list(FORMULAS)
    assert [row["prompt"][0] == "'" for row in rows] == [text[0] in "=+-@\t" for text in FORMULAS]
    assert rows[0]["credits_held"] == str(example.credits_held)
    assert rows[0]["token_id"] == ""


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_each_format_has_the_same_rows(app: ModuleType, example: Generation, format: str, tmp_path: Any) -> None:
    at = system_clock() - 2 * HOUR
    ids = [store(example, number, at, text) for number, text in enumerate(("été 🌊", "x" * 5000, "half \ud83d pair"))]
    rows = rows_of(export(app, format=format), format, tmp_path)
    assert [row["id"] for row in rows] == ids
    # JSON has an escape for half of a surrogate pair, the others show it as text.
    half = "half \ud83d pair" if format == "ndjson" else "half \\ud83d pair"
    assert [row["prompt"] for row in rows] == ["été 🌊", "x" * 5000, half]
    assert list(rows[0]) == [column.name for column in GENERATIONS]
    assert str(rows[0]["created_at"])[:10] == f"{at:%Y-%m-%d}"


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_an_export_of_nothing_is_a_file_without_rows(app: ModuleType, format: str, tmp_path: Any) -> None:
    assert rows_of(export(app, format=format), format, tmp_path) == []


def test_a_filter_selects_rows(app: ModuleType, example: Generation) -> None:
    at = system_clock() - 2 * HOUR
    store(example, 0, at)
    mine = store(replace(example, project_id="prj_01M7XCN60Q4D8K2M6R0V4Z8B3F"), 1, at)
    rows = rows_of(export(app, filters={"project_id": "prj_01M7XCN60Q4D8K2M6R0V4Z8B3F"}), "csv", None)
    assert [row["id"] for row in rows] == [mine]


def test_the_entries_of_a_movement_are_rows(app: ModuleType, tmp_path: Any) -> None:
    now = system_clock()
    ledger.wallets()
    for minutes in (20, 1):
        # The second was written after the cut.
        at = now - timedelta(minutes=minutes)
        entries = (Entry(Account.ISSUED, -5), Entry(Account.AVAILABLE, 5, "grt_1"))
        movement = Movement(f"adjust#{minutes}", order_at(at), "adjust", "=1", at, entries, {"reason": "a gift"})
        movement_item(WORKSPACE, movement).save()
    rows = rows_of(export(app, dataset="entries", format="ndjson"), "ndjson", tmp_path)
    assert list(rows[0]) == [column.name for column in ENTRIES]
    shown = [(row["movement"], row["number"], row["account"], row["credits"], row["facts"]) for row in rows]
    facts = {"reason": "a gift"}
    assert shown == [("adjust#20", 0, "issued", -5, facts), ("adjust#20", 1, "available", 5, facts)]


def test_an_audit_export_has_the_workspaces_events(app: ModuleType, tmp_path: Any) -> None:
    now = system_clock()
    origin = Origin(USER, None, "203.0.113.7", "=cmd", "req-1")
    events = [
        audit_event(WORKSPACE, "key.added", origin, now - HOUR, target="key_1", before=number) for number in (1, 2)
    ]
    audit_log.events().append(*events)
    audit_log.events().append(audit_event(USER, "session.opened", origin, now - HOUR))
    rows = rows_of(export(app, dataset="audit"), "csv", tmp_path)
    assert sorted(row["id"] for row in rows) == sorted(each.id for each in events)
    assert list(rows[0]) == [column.name for column in AUDIT]
    assert {row["user_agent"] for row in rows} == {"'=cmd"}
    assert {json.loads(row["facts"])["before"] for row in rows} == {1, 2}


def test_usage_is_summed_by_day(app: ModuleType, tmp_path: Any) -> None:
    analytics.bind_table()
    end = system_clock().replace(hour=0, minute=0, second=0, microsecond=0)
    first, second = end - timedelta(days=2), end - timedelta(days=1)
    mine, other = Group("prj_1", "", USER, "local/painter", "image"), Group("", "", USER, "", "text")
    for hour, group, counts in (
        (first, mine, {"requests": 2, "credits": 8, "bucket_40": 1}),
        (first + 23 * HOUR, mine, {"requests": 1, "credits": 4}),
        (first + 23 * HOUR, other, {"requests": 1}),
        (second, mine, {"requests": 7}),
        (end, mine, {"requests": 100}),
        (first - HOUR, mine, {"requests": 100}),
    ):
        actions = [Path([name]).set(value) for name, value in counts.items()]
        RowItem(WORKSPACE, row_key(Row(Dataset.USAGE, hour, group))).update(actions)
    times = {"from": rfc3339(first), "to": rfc3339(end)}
    rows = rows_of(export(app, dataset="usage", format="ndjson", **times), "ndjson", tmp_path)
    shown = [(row["day"], row["model"], row["provider"], row["requests"], row["credits"]) for row in rows]
    assert set(shown) == {
        (f"{first:%Y-%m-%d}", None, None, 1, 0),
        (f"{first:%Y-%m-%d}", "local/painter", "local", 3, 12),
        (f"{second:%Y-%m-%d}", "local/painter", "local", 7, 0),
    }
    assert [row["day"] for row in rows] == sorted(row["day"] for row in rows)
    assert len(rows) == 3


def test_a_request_is_an_audit_event(app: ModuleType, cloud: AwsResources) -> None:
    new = requested(app)
    (found,) = [item for item in cloud.items(cloud.tables.audit) if item.get("target", {}).get("S") == new["id"]]
    assert found["action"]["S"] == "export.requested"


def test_a_repeated_request_answers_with_the_first_export(app: ModuleType) -> None:
    to = rfc3339(system_clock())
    same = {"from": "2026-11-20T00:00:00Z", "to": to}
    first, second = request(app, "one", **same), request(app, "one", **same)
    assert success_data(first)["export"]["id"] == success_data(second)["export"]["id"]
    assert second["headers"]["Idempotent-Replayed"] == "true"
    assert error_of(request(app, "one", **same, format="ndjson")) == (422, "IDEMPOTENCY_MISMATCH")


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "secrets"},
        {"format": "xlsx"},
        {"filters": {"prompt": "a"}},
        {"filters": {"action": "a"}},
        {"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T00:00:00Z"},
        {"from": "2026-11-20"},
        {"columns": ["id"]},
    ],
    ids=str,
)
def test_a_wrong_request_is_refused(app: ModuleType, changes: dict[str, Any]) -> None:
    assert error_of(request(app, **changes)) == (422, "VALIDATION_FAILED")


def test_a_workspace_has_a_bounded_number_of_open_exports(app: ModuleType) -> None:
    first, *_ = [requested(app)["id"] for _ in range(3)]
    same = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"}
    assert error_of(request(app, "again", **same)) == (409, "CONFLICT")
    run(first)
    # The repeated request finds its export, although there is no room for another.
    assert [request(app, "again", **same)["statusCode"] for _ in range(2)] == [202, 202]
    assert error_of(request(app)) == (409, "CONFLICT")


def test_an_export_whose_job_died_does_not_count_as_open(app: ModuleType) -> None:
    long_ago = system_clock() - timedelta(days=2)
    audit_log.bind_events()
    for number in range(3):
        id = new_id("exp", long_ago + timedelta(seconds=number))
        old = Export(id, WORKSPACE, USER, ExportDataset.USAGE, ExportFormat.CSV, long_ago, long_ago, long_ago, long_ago)
        exports.store().create(old, 3, [])
    assert request(app)["statusCode"] == 202


def test_another_workspace_sees_no_export(app: ModuleType) -> None:
    new = requested(app)
    call = foreign_event("api/exports/get_export")
    call["requestContext"]["http"]["path"] = f"/api/analytics/exports/{new['id']}"
    assert invoke_app(app, call)["statusCode"] in (403, 404)


def test_exports_are_listed_newest_first(app: ModuleType) -> None:
    ids = [requested(app)["id"] for _ in range(2)]
    listed = success_data(invoke_app(app, event("api/exports/list_exports")))
    assert [each["id"] for each in listed["items"]] == sorted(ids, reverse=True)


def test_a_failed_job_is_shown_with_a_reason(app: ModuleType) -> None:
    new = requested(app)
    assert run(new["id"], failed=True)
    ended = read(app, new["id"])
    assert (ended["status"], ended["url"]) == ("failed", None)
    assert "Request the export again" in ended["failure"]
    assert run(new["id"])
    assert read(app, new["id"])["status"] == "failed"


def test_a_new_export_starts_its_job_once(app: ModuleType, cloud: AwsResources) -> None:
    new = requested(app)
    keys = {"pk": {"S": WORKSPACE}, "sk": {"S": new["id"]}}
    other = {"pk": {"S": WORKSPACE}, "sk": {"S": f"progress#{new['id']}"}}
    records = [{"eventName": "INSERT", "dynamodb": {"Keys": each}} for each in (keys, other, keys)]
    records.append(
        {"eventName": "MODIFY", "dynamodb": {"Keys": {**keys, "sk": {"S": "exp_01M7XCN60Q4D8K2M6R0V4Z8B3F"}}}}
    )
    load_function("streams/exports").handler({"Records": records}, None)
    started = client("stepfunctions").list_executions(stateMachineArn=cloud.machine)["executions"]
    assert [each["name"] for each in started] == [new["id"]]


def test_a_file_has_no_address_after_its_lifetime(app: ModuleType) -> None:
    new = requested(app)
    run(new["id"])
    caller = Caller(USER, WORKSPACE, "owner")
    now = system_clock()
    for days, has_address in ((6, True), (8, False)):
        view = read_export(exports.deps(), caller, new["id"], now + timedelta(days=days)).export
        assert (view.url is not None) == has_address


@pytest.mark.parametrize(("dataset", "role", "seen"), [
    ("generations", "editor", True),
    ("usage", "editor", False),
    ("entries", "editor", False),
    ("audit", "editor", False),
    ("entries", "admin", True),
    ("audit", "admin", True),
])  # fmt: skip
def test_a_dataset_is_for_those_who_may_read_it(cloud: AwsResources, dataset: str, role: str, seen: bool) -> None:
    now, caller = system_clock(), Caller(USER, WORKSPACE, role)
    deps = exports.deps()
    wanted = ExportRequest.model_validate(body(dataset=dataset))
    if not seen:
        with pytest.raises(Forbidden):
            create_export(deps, caller, wanted, None, Origin(), now)
    admin = Caller(USER, WORKSPACE, "admin")
    id = create_export(deps, admin, wanted, None, Origin(), now)[0].export.id
    assert len(list_exports(deps, caller, ExportQuery(), now).items) == seen
    if not seen:
        with pytest.raises(NotFound):
            read_export(deps, caller, id, now)


# ---- in parts --------------------------------------------------------------------------------------------------------


class WrittenMeanwhile:
    """Records of which new ones are stored before each page is read, each with the time of its storing."""

    def __init__(self, records: Any, store_one: Any) -> None:
        self._records, self._store_one = records, store_one
        self.pages = 0

    def page(self, export: Export, after: str | None) -> Any:
        self.pages += 1
        self._store_one(self.pages)
        return self._records.page(export, after)


def test_what_is_stored_while_an_export_runs_is_in_the_next_one(app: ModuleType, example: Generation) -> None:
    at = system_clock() - 2 * HOUR
    ids = [store(example, number, at, "x" * 100_000) for number in range(60)]
    id = requested(app, format="ndjson")["id"]
    deps, stored = exports.write_deps(), list[str]()
    records = WrittenMeanwhile(
        deps.records[ExportDataset.GENERATIONS],
        lambda number: stored.append(store(example, number, system_clock(), "x" * 100_000)),
    )
    # Parts of one page each, by a run for each part.
    deps = replace(deps, records={ExportDataset.GENERATIONS: records}, part_bytes=5 * 1024 * 1024)
    assert write_export(WORKSPACE, id, deps=deps, context=TimeLeft())

    rows = rows_of(download(app, id), "ndjson", None)
    assert [row["id"] for row in rows] == ids
    assert len(stored) == records.pages > 1
    cut_at = parse_rfc3339(read(app, id)["cut_at"])
    export = exports.store().get(WORKSPACE, id)
    # An hour later an export from the cut on has the others, each once.
    later = replace(export, id=new_id("exp", system_clock()), begin=cut_at, end=system_clock() + HOUR)
    page = deps.records[ExportDataset.GENERATIONS].page(later, None)
    assert [row[0] for row in page.rows][: len(stored)] == sorted(stored)[: len(page.rows)]


class DiesInPart:
    """ExportFiles whose process dies after it has written a part, before the progress is stored."""

    def __init__(self, files: Any, number: int) -> None:
        self._files, self._number = files, number

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)

    def put_part(self, key: str, upload: str, number: int, data: bytes) -> str:
        tag: str = self._files.put_part(key, upload, number, data)
        if number == self._number:
            raise ConnectionResetError
        return tag


@pytest.mark.parametrize("format", ["csv", "ndjson", "parquet"])
def test_a_killed_run_is_continued_without_a_row_twice(
    app: ModuleType, example: Generation, format: str, tmp_path: Any
) -> None:
    """Real parts: prompts of 120 KB, which are more than two parts."""
    at = system_clock() - 2 * HOUR
    texts = [f"{number} " + random.Random(number).randbytes(60_000).hex() for number in range(160)]
    ids = [store(example, number, at, text) for number, text in enumerate(texts)]
    id = requested(app, format=format)["id"]
    deps = replace(exports.write_deps(), part_bytes=5 * 1024 * 1024)
    with pytest.raises(ConnectionResetError):
        write_export(WORKSPACE, id, deps=replace(deps, files=DiesInPart(deps.files, 2)), context=TimeLeft())
    assert read(app, id)["status"] == "running"
    assert 0 < read(app, id)["rows"] < 160
    assert not write_export(WORKSPACE, id, deps=deps, context=TimeLeft(1000))
    assert write_export(WORKSPACE, id, deps=deps, context=TimeLeft())
    rows = rows_of(download(app, id), format, tmp_path)
    assert [row["id"] for row in rows] == ids
    assert [row["prompt"] for row in rows] == texts


def test_a_run_that_another_has_overtaken_writes_nothing(app: ModuleType, example: Generation) -> None:
    id = requested(app)["id"]
    deps = exports.write_deps()
    export = exports.store().get(WORKSPACE, id)
    run(id)
    with pytest.raises(ExportChanged):
        deps.store.save_progress(export, ExportProgress(), ExportProgress(upload="other"))


def test_a_file_whose_parts_were_overwritten_is_begun_anew(app: ModuleType, example: Generation) -> None:
    ids = [store(example, number, system_clock() - HOUR) for number in range(3)]
    id = requested(app)["id"]
    deps = exports.write_deps()
    files = Overwritten(deps.files)
    assert not write_export(WORKSPACE, id, deps=replace(deps, files=files), context=TimeLeft())
    assert run(id)
    assert [row["id"] for row in rows_of(download(app, id), "csv", None)] == ids


class Overwritten(DiesInPart):
    """ExportFiles in which another run writes each part again with other bytes."""

    def __init__(self, files: Any) -> None:
        super().__init__(files, 0)

    def complete(self, key: str, upload: str, parts: Any) -> None:
        raise UploadBroken(key)
