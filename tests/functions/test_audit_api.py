"""functions/api/audit, functions/streams/audit and functions/schedules/archive_audit, fed with events."""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from atelier.audit_log.model import Origin, audit_event
from atelier.audit_log.seals import event_form
from atelier.ledger.verify import verify_events
from atelier.wiring import audit_log
from tests.functions.conftest import AwsResources
from tests.functions.example_data import USER, WORKSPACE
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function

AT = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
EVE = "usr_01M7XCN60QZZZZZZZZZZZZZZZZ"
ACTIONS = ("session.opened", "session.revoked", "token.issued", "key.added")


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/audit")


def write(log: str = WORKSPACE, *, number: int = 1, **facts: Any) -> list[dict[str, Any]]:
    """Events of each action, a minute apart; every other one by EVE. Returns them oldest first."""
    found = []
    for at in range(number * len(ACTIONS)):
        origin = Origin(EVE if at % 2 else USER, None, "203.0.113.7", "curl/8", f"req-{at}")
        each = audit_event(log, ACTIONS[at % len(ACTIONS)], origin, AT + timedelta(minutes=at), **facts)
        audit_log.events().append(each)
        found.append(event_form(each))
    return found


def read(app: ModuleType, name: str = "list_audit_events", **query: str) -> Reply:
    return invoke_app(app, event(f"api/audit/{name}", queryStringParameters=query))


def file_of(response: Reply) -> str:
    assert response["statusCode"] == 200, response["body"]
    return base64.b64decode(response["body"]).decode()


def items(response: Reply) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = success_data(response)["items"]
    return found


def stream_record(form: dict[str, Any], log: str = WORKSPACE) -> dict[str, Any]:
    """The record of the table's stream for a stored event."""
    stored = AuditEventItem.get(log, f"event#{form['id']}").to_dynamodb_dict()
    keys = {name: stored[name] for name in ("pk", "sk")}
    return {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": stored}}


def seal(*records: dict[str, Any]) -> None:
    load_function("streams/audit").handler({"Records": list(records)}, None, lambda: AT + timedelta(days=1))


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_workspaces_events_are_listed_newest_first_in_pages(app: ModuleType) -> None:
    forms = write(number=2)
    first = success_data(read(app, limit="5"))
    rest = success_data(read(app, limit="5", cursor=first["next_cursor"]))
    assert [each["id"] for page in (first, rest) for each in page["items"]] == [form["id"] for form in reversed(forms)]
    assert rest["next_cursor"] is None
    assert first["items"][0] | {"at": ""} == forms[-1] | {"at": ""}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"actor": EVE}, [7, 5, 3, 1]),
        ({"action": "session."}, [5, 4, 1, 0]),
        ({"action": "token.issued"}, [6, 2]),
        ({"action": "session.", "actor": USER}, [4, 0]),
        ({"from": "2026-11-20T21:05:00Z"}, [7, 6, 5]),
        ({"to": "2026-11-20T22:02:00+01:00"}, [1, 0]),
        ({"from": "2026-11-20T21:02:00Z", "to": "2026-11-20T21:04:00Z"}, [3, 2]),
        ({"from": "2026-11-20T21:04:00Z", "to": "2026-11-20T21:02:00Z"}, []),
        ({"action": "session"}, None),
        ({"from": "yesterday"}, None),
        ({"format": "xml"}, None),
        ({"cursor": "c2VhbCMx"}, None),
        ({"format": "proof", "actor": EVE}, None),
    ],
    ids=str,
)
def test_events_are_filtered(app: ModuleType, query: dict[str, str], expected: list[int] | None) -> None:
    forms = write(number=2)
    response = read(app, **query)
    if expected is None:
        assert error_of(response) == (422, "VALIDATION_FAILED")
    else:
        assert [forms.index(form) for form in map(as_form, items(response))] == expected


def as_form(view: dict[str, Any]) -> dict[str, Any]:
    """A view's time as it is stored."""
    return view | {"at": view["at"].replace("Z", ".000Z")}


def test_ones_own_security_log_has_ones_own_events_alone(app: ModuleType) -> None:
    own = write(USER)
    write(EVE)
    write(WORKSPACE)
    assert [each["id"] for each in items(read(app, "list_security_events"))] == [form["id"] for form in reversed(own)]


def test_an_export_as_ndjson_has_the_events_as_they_are_digested(app: ModuleType) -> None:
    forms = write(number=40)
    response = read(app, format="ndjson")
    assert [json.loads(line) for line in file_of(response).splitlines()] == forms[::-1]
    assert response["headers"]["Content-Type"] == "application/x-ndjson"
    assert response["headers"]["Content-Disposition"] == f'attachment; filename="{WORKSPACE}.ndjson"'
    assert "Atelier-Next-Cursor" not in response["headers"]
    some = read(app, format="ndjson", action="key.added", actor=EVE)
    assert len(file_of(some).splitlines()) == 40


def test_a_long_export_has_parts_with_a_cursor(app: ModuleType) -> None:
    forms = write(number=10, text="x" * 100_000)
    first = read(app, format="csv")
    rest = read(app, format="csv", cursor=first["headers"]["Atelier-Next-Cursor"])
    assert "Atelier-Next-Cursor" not in rest["headers"]
    rows = list(csv.DictReader(io.StringIO(file_of(first) + file_of(rest)), strict=True))
    assert [row["id"] for row in rows] == [form["id"] for form in reversed(forms)]
    assert len(first["body"]) < 5_500_000


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_of_a_csv_is_a_formula(app: ModuleType, begin: str) -> None:
    formula = f'{begin}HYPERLINK("https://evil.example";"a, b")'
    origin = Origin(USER, None, formula, formula, formula)
    audit_log.events().append(audit_event(WORKSPACE, "key.added", origin, AT, target=formula, name=formula))
    [row] = csv.DictReader(io.StringIO(file_of(read(app, format="csv")), newline=""), strict=True)
    assert row["user_agent"] == row["address"] == row["target"] == f"'{formula}"
    assert json.loads(row["facts"]) == {"name": formula}
    assert not [cell for cell in row.values() if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


# ---- what is recorded ------------------------------------------------------------------------------------------------


def recorded(log: str = WORKSPACE) -> list[tuple[str, str | None, dict[str, Any]]]:
    """(action, actor, facts) of a log's events, oldest first."""
    found = AuditEventItem.query(log, AuditEventItem.sk.startswith("event#"), consistent_read=True)
    return [(item.action, item.actor, item.facts or {}) for item in found]


def test_a_budget_that_changes_is_told_with_what_it_was_and_one_that_does_not_is_not(cloud: AwsResources) -> None:
    projects = load_function("api/projects")
    for budget in (7_000_000, 7_000_000, None):
        success_data(invoke_app(projects, event("api/projects/put_budget", body={"budget_microusd": budget})))
    assert [(action, actor) for action, actor, _ in recorded()] == [("budget.changed", USER)] * 2
    limits = [(facts["before"]["limit_microusd"], facts["after"]["limit_microusd"]) for _, _, facts in recorded()]
    assert limits == [(None, 7_000_000), (7_000_000, None)]


def test_a_token_is_told_to_its_workspace_and_its_user_with_its_origin(cloud: AwsResources) -> None:
    made = success_data(invoke_app(load_function("api/account"), example_event("api/account/issue_token")))
    for log in (WORKSPACE, USER):
        [item] = AuditEventItem.query(log, AuditEventItem.sk.startswith("event#"))
        assert (item.action, item.target, item.actor) == ("token.issued", made["id"], USER)
        assert (item.address, item.request_id) == ("203.0.113.7", "UVxhzg1BFiAEPLw=")
        assert "Firefox" in item.user_agent
        assert made["token"] not in str(item.attribute_values)


# ---- the chain -------------------------------------------------------------------------------------------------------


def test_what_the_stream_sealed_is_proven_and_a_change_is_named(app: ModuleType) -> None:
    forms = write()
    seal(*map(stream_record, forms[:3]))
    seal(*map(stream_record, forms))
    proof = [json.loads(line) for line in file_of(read(app, format="proof")).splitlines()]
    assert verify_events([proof]).startswith("sound: 4 events in 2 seals; head 2 ")
    proof[2]["event"]["address"] = "198.51.100.1"
    with pytest.raises(Exception, match=f"event 1, {forms[0]['id']}: its digest is not the sealed one"):
        verify_events([proof])


def test_the_head_of_each_seal_is_logged(cloud: AwsResources, log: io.StringIO) -> None:
    write()
    load_function("streams/audit").handler(example_event("streams/audit/written"), None)
    [line] = [json.loads(line) for line in log.getvalue().splitlines()]
    head = audit_log.seals().newest(WORKSPACE, consistent=True)
    assert head is not None
    assert (line["message"], line["log"], line["head"]) == ("sealed", WORKSPACE, f"1:{head.hash}")


@pytest.mark.parametrize("change", ["changed", "deleted", "marked", "expired"])
def test_an_event_that_was_changed_or_deleted_raises_the_alarm(
    cloud: AwsResources, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    record = example_event("streams/audit/written")["Records"][0]
    old = record["dynamodb"]["NewImage"]
    new = {
        "changed": old | {"address": {"S": "198.51.100.1"}},
        "marked": old | {"expires_at_seconds": {"N": "1795209020"}},
    }.get(change)
    record["eventName"] = "MODIFY" if new else "REMOVE"
    record["dynamodb"] |= {"OldImage": old}
    if new:
        record["dynamodb"]["NewImage"] = new
    else:
        del record["dynamodb"]["NewImage"]
    if change == "expired":
        record["userIdentity"] = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    load_function("streams/audit").handler({"Records": [record]}, None)
    assert ("AuditEventChanged" in capsys.readouterr().out) == (change in ("changed", "deleted"))


# ---- the archive -----------------------------------------------------------------------------------------------------


def test_the_schedule_archives_and_the_archive_verifies_with_what_is_left(
    app: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_AUDIT_BUCKET", "audit-archive")
    client("s3").create_bucket(Bucket="audit-archive")
    forms = write()
    stream = load_function("streams/audit")
    stream.handler({"Records": [stream_record(form) for form in forms[:2]]}, None, lambda: AT)
    stream.handler({"Records": [stream_record(form) for form in forms]}, None, lambda: AT + timedelta(days=30))
    schedule = load_function("schedules/archive_audit")
    due = example_event("schedules/archive_audit/due")
    assert schedule.handler(due, None, lambda: AT + timedelta(days=400)) == {"archived": 0}
    assert schedule.handler(due, None, lambda: AT + timedelta(days=411)) == {"archived": 1}
    assert schedule.handler(due, None, lambda: AT + timedelta(days=412)) == {"archived": 0}
    [key] = [each["Key"] for each in client("s3").list_objects_v2(Bucket="audit-archive")["Contents"]]
    assert key == f"{WORKSPACE}/2026-11.ndjson.gz"
    assert file_of(read(app, format="proof")).count('"seal":') == 1
