"""Updates: the routes in functions/api/admin_people, and functions/queues/updates, fed with events."""

from __future__ import annotations

import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.mails import MailItem
from atelier.clock import rfc3339, system_clock
from atelier.ids import new_id
from atelier.jobs.record_run import RunResult
from atelier.settings import UpdatesQueue
from atelier.wiring import job_runs, mails
from tests.functions.conftest import AwsResources
from tests.functions.mail_inbox import inbox, send_mails, verify_sender
from tests.functions.people import Person, call, create_administrator, create_person
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

UPDATES = "/api/admin/updates"
BODY = {"title": "A new model", "body": "It is faster.", "action": {"label": "Try it", "url": "/create"}}


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_people")


@pytest.fixture
def admin(cloud: AwsResources) -> Person:
    return create_administrator("root")


def post(app: ModuleType, admin: Person, path: str = UPDATES, body: Any = None, **headers: str) -> dict[str, Any]:
    data: dict[str, Any] = success_data(call(app, admin, f"POST {path}", {} if body is None else body, **headers))
    return data


def work(cloud: AwsResources) -> None:
    """What the schedule and the queue do until nothing is left."""
    worker = load_function("queues/updates")
    assert worker.handler({}, None) == {"batchItemFailures": []}
    while messages := cloud.take_messages(UpdatesQueue.read().url):
        for message in messages:
            record = {"messageId": "m", "body": json.dumps(message)}
            assert worker.handler({"Records": [record]}, None) == {"batchItemFailures": []}


def test_an_update_is_written_sent_read_and_counted(app: ModuleType, admin: Person, cloud: AwsResources) -> None:
    ada = create_person("ada")
    update = post(app, admin, body=BODY)["update"]
    assert (update["state"], update["audience"]["user_id"]) == ("draft", None)
    for _ in range(2):
        assert post(app, admin, f"{UPDATES}/{update['id']}/send")["update"]["state"] == "scheduled"
    work(cloud)
    [published] = cloud.take_messages(cloud.events_queue, seconds_max=10)
    assert (published["detail-type"], published["detail"]["id"], published["detail"]["audience"]) == (
        "update.published",
        f"{update['id']}#published",
        "everybody",
    )
    assert job_runs.store().last()["send-notifications"].result is RunResult.SUCCEEDED
    shown = success_data(call(app, admin, f"GET {UPDATES}/{update['id']}"))
    assert shown["update"]["state"] == "sent"
    # The administrator, the example's account and Ada.
    assert shown["counts"] == {"sent": 3, "read": 0, "acknowledged": 0}
    assert post(app, admin, f"{UPDATES}/{update['id']}/send")["update"]["state"] == "sent"

    account = load_function("api/account")
    (mine,) = success_data(call(account, ada, "GET /api/notifications"))["items"]
    assert (mine["kind"], mine["title"], mine["action"]) == ("update", "A new model", BODY["action"])
    success_data(call(account, ada, f"POST /api/notifications/{mine['id']}/acknowledge"))
    counts = success_data(call(app, admin, f"GET {UPDATES}/{update['id']}"))["counts"]
    assert counts == {"sent": 3, "read": 1, "acknowledged": 1}


def test_a_repeated_request_writes_one_draft(app: ModuleType, admin: Person) -> None:
    first = post(app, admin, body=BODY, **{"idempotency-key": "k1"})["update"]
    again = call(app, admin, f"POST {UPDATES}", BODY, **{"idempotency-key": "k1"})
    assert (success_data(again)["update"]["id"], again["headers"]["Idempotent-Replayed"]) == (first["id"], "true")
    other = call(app, admin, f"POST {UPDATES}", {**BODY, "title": "Another"}, **{"idempotency-key": "k1"})
    assert error_of(other)[0] == 409 or error_of(other)[0] == 422
    assert len(success_data(call(app, admin, f"GET {UPDATES}"))["items"]) == 1


def test_a_draft_is_changed_scheduled_cancelled_and_deleted(app: ModuleType, admin: Person) -> None:
    update = post(app, admin, body=BODY)["update"]
    path = f"{UPDATES}/{update['id']}"
    changed = {**BODY, "title": "Another", "audience": {"tiers": ["pro"], "locales": ["de"]}}
    view = success_data(call(app, admin, f"PUT {path}", changed))["update"]
    assert (view["title"], view["audience"]["tiers"], view["audience"]["locales"]) == ("Another", ["pro"], ["de"])
    at = rfc3339(system_clock() + timedelta(days=1))
    assert post(app, admin, f"{path}/schedule", {"at": at})["update"]["state"] == "scheduled"
    assert error_of(call(app, admin, f"DELETE {path}")) == (409, "CONFLICT")
    assert post(app, admin, f"{path}/cancel")["update"]["state"] == "cancelled"
    draft = post(app, admin, body=BODY)["update"]
    assert call(app, admin, f"DELETE {UPDATES}/{draft['id']}")["statusCode"] == 204
    assert error_of(call(app, admin, f"GET {UPDATES}/{draft['id']}")) == (404, "NOT_FOUND")
    assert error_of(call(app, admin, f"GET {UPDATES}/{new_id('upd', system_clock())}")) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    "change",
    [
        {"action": {"label": "x", "url": "javascript:alert(1)"}},
        {"action": {"label": "x", "url": "//evil.example"}},
        {"action": {"label": "x", "url": "/\\evil.example"}},
        {"action": {"label": "x", "url": "http://evil.example"}},
        {"title": "two\nlines"},
        {"body": "a bell \x07"},
        {"audience": {"user_id": "usr_1"}},
        {"audience": {"user_id": "usr_01M7XCN60QCB8JGMC722TFVM7C", "tiers": ["pro"]}},
        {"audience": {"locales": ["fr"]}},
        {"kind": "advertisement"},
    ],
)
def test_an_invalid_update_is_refused(app: ModuleType, admin: Person, change: dict[str, Any]) -> None:
    assert error_of(call(app, admin, f"POST {UPDATES}", {**BODY, **change}))[0] == 422


def test_a_mail_of_notifications_ends_by_one_click(
    app: ModuleType, admin: Person, cloud: AwsResources, emulator: str
) -> None:
    ada = create_person("ada")
    account = load_function("api/account")
    on = {"in_app": True, "email": True, "webhook": False}
    success_data(call(account, ada, "PUT /api/notifications/preferences", {"kinds": {"update": on}}))
    post(app, admin, f"{UPDATES}/{post(app, admin, body=BODY)['update']['id']}/send")
    work(cloud)
    work(cloud)
    verify_sender("mail@atelier.example")
    send_mails(cloud.tables.identity)
    assert inbox(emulator, ada.email)[0]["Subject"] == BODY["title"]
    # The embedded SES does not show the headers that it was given.
    (item,) = MailItem.query(ada.user_id, MailItem.sk.startswith("mail#"))
    queued = mails.mails().find(ada.user_id, item.sk.removeprefix("mail#"))
    assert queued
    headers = mails.send_deps().renderer.render(queued.request).headers
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    address = headers["List-Unsubscribe"].strip("<>")
    path = address.removeprefix("https://media.example.com")
    # A program that only looks at the address changes nothing.
    seen = call(account, ada, f"GET {path}")
    assert (seen["statusCode"], seen["headers"]["Location"].partition("?")[0]) == (302, "/unsubscribe")
    get = "GET /api/notifications/preferences"
    assert success_data(call(account, ada, get))["kinds"]["update"]["email"]
    forged = path[:-1] + ("A" if path[-1] != "A" else "B")
    assert error_of(call(account, ada, f"POST {forged}"))[0] == 422
    assert success_data(call(account, ada, get))["kinds"]["update"]["email"]
    for _ in range(2):
        assert call(account, ada, f"POST {path}")["statusCode"] == 204
    kinds = success_data(call(account, ada, get))["kinds"]
    assert not any(by["email"] for by in kinds.values())
    assert all(by["in_app"] for by in kinds.values())
