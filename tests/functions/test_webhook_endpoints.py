"""Webhook endpoints over HTTP, and their deliveries by functions/queues/webhooks to a real receiver."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from atelier.clock import rfc3339, system_clock
from atelier.feeds.model import FeedEvent
from atelier.webhook_endpoints.model import ENDPOINTS_MAX
from atelier.webhook_endpoints.queue_deliveries import queue_deliveries
from atelier.wiring import feeds, webhook_endpoints
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person
from tests.functions.responses import error_of, success_data
from tests.invoke import example_event, load_function
from tests.webhook_receiver import WebhookReceiver, webhook_receiver

PATH = "/api/webhook-endpoints"
DONE: dict[str, list[Any]] = {"batchItemFailures": []}


class EnoughTime:
    def get_remaining_time_in_millis(self) -> int:
        return 30_000


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/providers")


@pytest.fixture
def ada(app: ModuleType) -> Person:
    return create_person("ada")


@pytest.fixture
def receiver(cloud: AwsResources) -> Iterator[WebhookReceiver]:
    with webhook_receiver() as running:
        yield running


def create(app: ModuleType, person: Person, url: str, *events: str, **headers: str) -> dict[str, Any]:
    """A new endpoint: `endpoint` and `secret`."""
    body = {"url": url, "events": list(events) or ["*"], "description": "n8n"}
    response = call(app, person, f"POST {PATH}", body, **headers)
    assert response["statusCode"] == 201, response["body"]
    return success_data(response)


def work(cloud: AwsResources, seconds_max: int = 5) -> list[dict[str, Any]]:
    """Lets the function act on the messages of the queue; returns them."""
    messages = cloud.take_messages(cloud.webhooks_queue, seconds_max=seconds_max)
    for message in messages:
        event = example_event("queues/webhooks/deliver")
        event["Records"][0]["body"] = json.dumps(message)
        assert load_function("queues/webhooks").handler(event, EnoughTime()) == DONE
    return messages


def publish(person: Person, *events: FeedEvent) -> int:
    return queue_deliveries(person.workspace_id, events, deps=webhook_endpoints.queue_deps(), now=system_clock())


def happened(type: str = "generation.succeeded", id: str = "gen_A#succeeded") -> FeedEvent:
    return FeedEvent(id, type, rfc3339(system_clock()), {"generation_id": "gen_A"})


def deliveries(app: ModuleType, person: Person, endpoint_id: str, query: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = success_data(call(app, person, f"GET {PATH}/{endpoint_id}/deliveries{query}"))[
        "items"
    ]
    return found


def test_an_event_is_delivered_once_and_signed(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url + "/hook?a=1", "generation.*")
    event = happened()
    assert publish(ada, event, happened("invoice.paid", "in_1#paid")) == 1
    assert publish(ada, event) == 0
    messages = work(cloud)
    assert len(messages) == 1
    [(path, headers, body)] = receiver.posts
    assert path == "/hook?a=1"
    assert Webhook(made["secret"]).verify(body, headers) == {
        "type": "generation.succeeded",
        "timestamp": event.occurred_at,
        "data": {"generation_id": "gen_A"},
    }
    [delivery] = deliveries(app, ada, made["endpoint"]["id"], "?state=delivered")
    assert headers["webhook-id"] == delivery["id"]
    detail = success_data(call(app, ada, f"GET /api/webhook-deliveries/{delivery['id']}"))["delivery"]
    assert detail["payload"]["data"] == {"generation_id": "gen_A"}
    [attempt] = detail["attempts"]
    assert (attempt["status"], attempt["request_id"]) == (200, headers["webhook-request-id"])
    view = success_data(call(app, ada, f"GET {PATH}/{made['endpoint']['id']}"))["endpoint"]
    assert view["last_success_at"]
    assert view["failing_since"] is None
    # The message may come twice.
    event_again = example_event("queues/webhooks/deliver")
    event_again["Records"][0]["body"] = json.dumps(messages[0])
    assert load_function("queues/webhooks").handler(event_again, EnoughTime()) == DONE
    assert len(receiver.posts) == 1


def test_a_secret_is_shown_once_and_stored_sealed(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    assert made["secret"].startswith("whsec_")
    for path in (PATH, f"{PATH}/{made['endpoint']['id']}"):
        assert "whsec_" not in call(app, ada, f"GET {path}")["body"]
    stored = json.dumps([cloud.items(cloud.tables.webhooks), cloud.items(cloud.tables.audit)])
    assert made["secret"].removeprefix("whsec_") not in stored


def test_a_repeated_creation_is_one_endpoint_with_one_secret(
    app: ModuleType, ada: Person, receiver: WebhookReceiver
) -> None:
    key = {"idempotency-key": "once"}
    assert create(app, ada, receiver.url, **key) == create(app, ada, receiver.url, **key)
    listed = success_data(call(app, ada, f"GET {PATH}"))
    assert len(listed["items"]) == 1
    assert "generation.succeeded" in listed["event_types"]
    changed = call(app, ada, f"POST {PATH}", {"url": receiver.url + "/other"}, **key)
    assert error_of(changed) == (422, "IDEMPOTENCY_MISMATCH")


def test_a_workspace_has_at_most_twenty_endpoints(app: ModuleType, ada: Person, receiver: WebhookReceiver) -> None:
    made = [create(app, ada, receiver.url) for _ in range(ENDPOINTS_MAX)]
    assert error_of(call(app, ada, f"POST {PATH}", {"url": receiver.url}))[0] == 409
    assert call(app, ada, f"DELETE {PATH}/{made[0]['endpoint']['id']}")["statusCode"] == 204
    create(app, ada, receiver.url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "https://10.0.0.1/hook",
        "https://[::1]/hook",
        "https://169.254.169.254/latest",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://8.8.8.8:8443/hook",
        "https://user:secret@8.8.8.8/hook",
        "https://8.8.8.8/hook#fragment",
        "https://localhost/hook",
        "ftp://8.8.8.8/",
        "https://",
    ],
)
def test_an_address_that_is_not_public_https_is_refused(app: ModuleType, ada: Person, url: str) -> None:
    response = call(app, ada, f"POST {PATH}", {"url": url})
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert json.loads(response["body"])["details"]["fields"][0]["path"] == "url"


@pytest.mark.parametrize("events", [[], ["drill.passed"], ["generation"], ["generation.*.*"], ["nothing.*"]])
def test_a_type_of_event_that_there_is_not_is_refused(app: ModuleType, ada: Person, events: list[str]) -> None:
    body = {"url": "https://8.8.8.8/", "events": events}
    assert error_of(call(app, ada, f"POST {PATH}", body)) == (422, "VALIDATION_FAILED")


def test_a_rotated_secret_signs_with_the_old_one(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    publish(ada, happened())
    path = f"{PATH}/{made['endpoint']['id']}"
    rotated = success_data(call(app, ada, f"POST {path}/rotate-secret"))
    assert rotated["endpoint"]["old_secret_until"]
    work(cloud)
    [(_, headers, body)] = receiver.posts
    for secret in (made["secret"], rotated["secret"]):
        assert Webhook(secret).verify(body, headers)


def test_a_test_event_comes_whatever_the_endpoint_takes(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url, "invoice.paid")
    response = call(app, ada, f"POST {PATH}/{made['endpoint']['id']}/test")
    assert response["statusCode"] == 202
    work(cloud)
    [(_, headers, body)] = receiver.posts
    assert json.loads(body)["type"] == "webhook.test"
    assert headers["webhook-id"] == success_data(response)["delivery"]["id"]


@pytest.mark.parametrize("change", ["DELETE", "PUT"])
def test_what_waits_for_a_removed_or_disabled_endpoint_is_not_sent(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver, change: str
) -> None:
    made = create(app, ada, receiver.url)
    publish(ada, happened())
    path = f"{PATH}/{made['endpoint']['id']}"
    call(app, ada, f"{change} {path}", {"enabled": False} if change == "PUT" else None)
    work(cloud)
    assert receiver.posts == []
    [item] = [each for each in cloud.items(cloud.tables.webhooks) if each["sk"]["S"].startswith("delivery#")]
    assert item["state"]["S"] == "cancelled"
    assert "due_at" not in item
    if change == "PUT":
        assert error_of(call(app, ada, f"POST {path}/test"))[0] == 409
        [delivery] = deliveries(app, ada, made["endpoint"]["id"])
        assert error_of(call(app, ada, f"POST /api/webhook-deliveries/{delivery['id']}/resend"))[0] == 409


def test_a_delivery_is_resent_with_the_same_id_and_bytes(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    publish(ada, happened())
    work(cloud)
    [delivery] = deliveries(app, ada, made["endpoint"]["id"])
    for expected in (202, 202):
        response = call(app, ada, f"POST /api/webhook-deliveries/{delivery['id']}/resend")
        assert response["statusCode"] == expected
    work(cloud)
    work(cloud, seconds_max=0)
    first, second = receiver.posts
    assert (first[1]["webhook-id"], first[2]) == (second[1]["webhook-id"], second[2])
    assert first[1]["webhook-request-id"] != second[1]["webhook-request-id"]
    [delivery] = deliveries(app, ada, made["endpoint"]["id"])
    assert delivery["attempt_count"] == 2


def test_a_replay_sends_what_failed_in_a_range(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    receiver.statuses += [410]
    publish(ada, happened(id="first"))
    work(cloud)
    path = f"{PATH}/{made['endpoint']['id']}"
    disabled = success_data(call(app, ada, f"GET {path}"))["endpoint"]
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "gone")
    call(app, ada, f"PUT {path}", {"enabled": True})
    publish(ada, happened(id="second"))
    work(cloud)
    now = system_clock()
    body = {"from": rfc3339(now.replace(hour=0, minute=0)), "to": rfc3339(now.replace(year=now.year + 1))}
    assert call(app, ada, f"POST {path}/replay", body)["statusCode"] == 202
    assert [message["do"] for message in work(cloud)] == ["replay"]
    assert len(work(cloud)) == 1
    assert len(receiver.posts) == 3
    assert receiver.posts[2][1]["webhook-id"] == receiver.posts[0][1]["webhook-id"]
    call(app, ada, f"POST {path}/replay", {**body, "include_delivered": True})
    work(cloud)
    assert len(work(cloud)) == 2
    assert error_of(call(app, ada, f"POST {path}/replay", {"from": body["to"], "to": body["from"]}))[0] == 422


def test_a_change_is_in_the_audit_log(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    path = f"{PATH}/{made['endpoint']['id']}"
    call(app, ada, f"PUT {path}", {"events": ["invoice.paid"], "description": "billing"})
    call(app, ada, f"POST {path}/rotate-secret")
    call(app, ada, f"DELETE {path}")
    actions = [item["action"]["S"] for item in cloud.items(cloud.tables.audit) if item["pk"]["S"] == ada.workspace_id]
    expected = ["changed", "created", "removed", "secret_rotated"]
    assert sorted(each for each in actions if each.startswith("webhook")) == [
        f"webhook_endpoint.{each}" for each in expected
    ]


# ---- the webhook_url of a generation ---------------------------------------------------------------------------------


def test_the_workspaces_secret_can_be_read_again_and_rotated(app: ModuleType, ada: Person) -> None:
    path = f"{PATH}/workspace-secret"
    first = success_data(call(app, ada, f"GET {path}"))
    assert first == success_data(call(app, ada, f"GET {path}"))
    assert first["old_secret_until"] is None
    rotated = success_data(call(app, ada, f"POST {path}/rotate"))
    assert rotated["secret"] != first["secret"]
    assert rotated["old_secret_until"]
    assert success_data(call(app, ada, f"GET {path}")) == rotated


def test_a_generations_address_gets_its_end_and_no_endpoint_learns_it(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url + "/endpoint")
    event = happened()
    named = FeedEvent(
        event.id, event.type, event.occurred_at, {**event.data, "webhook_url": receiver.url + "/own?key=x"}
    )
    assert publish(ada, named) == 2
    assert publish(ada, named) == 0
    work(cloud)
    work(cloud, seconds_max=0)
    posts = {path: (headers, body) for path, headers, body in receiver.posts}
    assert posts.keys() == {"/endpoint", "/own?key=x"}
    assert b"key=x" not in posts["/endpoint"][1]
    headers, body = posts["/own?key=x"]
    secret = success_data(call(app, ada, f"GET {PATH}/workspace-secret"))["secret"]
    assert Webhook(secret).verify(body, headers)["data"] == {"generation_id": "gen_A"}
    assert made["secret"] != secret
    [delivery] = success_data(call(app, ada, f"GET {PATH}/workspace-secret/deliveries"))["items"]
    assert (delivery["id"], delivery["endpoint_id"], delivery["state"]) == (headers["webhook-id"], None, "delivered")
    assert call(app, ada, f"POST /api/webhook-deliveries/{delivery['id']}/resend")["statusCode"] == 202


def test_a_rotation_of_master_keys_seals_the_secrets_again(
    app: ModuleType, ada: Person, cloud: AwsResources, receiver: WebhookReceiver
) -> None:
    made = create(app, ada, receiver.url)
    own = success_data(call(app, ada, f"GET {PATH}/workspace-secret"))["secret"]

    def kids() -> list[str]:
        return [item["kid"]["S"] for item in cloud.items(cloud.tables.webhooks) if "kid" in item]

    before = kids()
    report = load_function("schedules/rewrap_provider_keys").handler({"new_master_key": True}, None)
    assert (report["resealed"], report["is_complete"]) == (2, True)
    assert len(kids()) == 2
    assert not set(kids()) & set(before)
    clear_wiring_caches(clients=False)
    publish(ada, happened())
    work(cloud)
    [(_, headers, body)] = receiver.posts
    assert Webhook(made["secret"]).verify(body, headers)
    assert success_data(call(app, ada, f"GET {PATH}/workspace-secret"))["secret"] == own


def test_a_feed_is_kept_complete_only_while_an_endpoint_needs_it(
    app: ModuleType, ada: Person, receiver: WebhookReceiver
) -> None:
    now, store = system_clock(), feeds.feeds()
    week = now + timedelta(days=7)
    first, second = (create(app, ada, receiver.url)["endpoint"]["id"] for _ in range(2))
    failures = create(app, ada, receiver.url, "generation.failed")["endpoint"]["id"]
    for number, (endpoint_id, expected) in enumerate(((first, 1), (second, 1), (failures, 1))):
        assert call(app, ada, f"DELETE {PATH}/{endpoint_id}")["statusCode"] == 204
        store.append(ada.workspace_id, [happened(id=f"gen_{number}#succeeded")], week)
        assert len(store.after(ada.workspace_id, 0, week).entries) == expected
    # Those who read by a connection go on for a day.
    store.append(ada.workspace_id, [happened(id="gen_B#succeeded")], now + timedelta(hours=24))
    assert len(store.after(ada.workspace_id, 0, week).entries) == 2
    create(app, ada, receiver.url)
    store.append(ada.workspace_id, [happened(id="gen_C#succeeded")], week)
    assert len(store.after(ada.workspace_id, 0, week).entries) == 3
