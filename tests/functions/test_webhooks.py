"""functions/webhooks/providers, fed with events: only webhooks that a provider signed are stored, unchanged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from atelier.generations.webhook_token import WebhookAddress, sign
from infra.simulators.replicate import FOREIGN_SECRET, WEBHOOK_SECRET, signature
from tests.embedded_aws import clear_wiring_caches
from tests.functions.conftest import AwsResources
from tests.functions.example_data import ATTEMPT, ATTEMPTS_KEY, GENERATION, WORKSPACE, webhook_address
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import event, example_event, load_function

EXAMPLE = "webhooks/providers/replicate"
EVENT_ID = "msg_2f9c4e7a1b5d8036e4c7a9f1"
BODY: str = example_event(EXAMPLE)["body"]
PATH = "/api/webhooks/providers"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("webhooks/providers")


def signed(body: str = BODY, *, secret: str = WEBHOOK_SECRET, sent_seconds_ago: int = 0, **changes: Any) -> Reply:
    """The example as the provider would send it now."""
    sent_at = int(time.time()) - sent_seconds_ago
    headers = {
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature(secret, EVENT_ID, sent_at, body.encode()),
    }
    return event(EXAMPLE, body=body, headers=headers, **changes)


def to(path: str) -> Reply:
    request = signed(rawPath=path)
    request["requestContext"]["http"]["path"] = path
    return request


def test_a_signed_webhook_is_stored_unchanged_with_its_attempt(app: ModuleType, cloud: AwsResources) -> None:
    request = signed()
    assert success_data(invoke_app(app, request)) == {"received": True}
    (item,) = cloud.items(cloud.tables.inbox)
    assert (item["pk"]["S"], item["sk"]["S"]) == (f"replicate#{ATTEMPT}", EVENT_ID)
    assert item["body"]["B"] == BODY.encode()
    kept = json.loads(item["headers"]["S"])
    assert kept == {name: request["headers"][name] for name in kept}
    assert set(kept) == {"webhook-id", "webhook-timestamp", "webhook-signature", "content-type"}
    assert json.loads(item["address"]["S"]) == {
        "provider": "replicate",
        "workspace_id": WORKSPACE,
        "generation_id": GENERATION,
        "attempt_id": ATTEMPT,
    }


def test_a_duplicate_webhook_is_accepted_and_stored_once(app: ModuleType, cloud: AwsResources) -> None:
    answers = [success_data(invoke_app(app, signed())) for _ in range(2)]
    assert answers == [{"received": True}, {"received": False}]
    assert len(cloud.items(cloud.tables.inbox)) == 1


def test_a_base64_encoded_webhook_is_verified_by_its_decoded_bytes(app: ModuleType, cloud: AwsResources) -> None:
    request = signed() | {"body": base64.b64encode(BODY.encode()).decode(), "isBase64Encoded": True}
    assert success_data(invoke_app(app, request)) == {"received": True}
    assert cloud.items(cloud.tables.inbox)[0]["body"]["B"] == BODY.encode()


# Functions, because each must be signed with the time at which it is sent.
REFUSED: dict[str, Callable[[], Reply]] = {
    "forged": lambda: signed(secret=FOREIGN_SECRET),
    "changed": lambda: signed() | {"body": BODY.replace("succeeded", "failed")},
    "unsigned": lambda: event(EXAMPLE, headers={"webhook-signature": ""}),
    "recorded long ago": lambda: example_event(EXAMPLE),
    "stale": lambda: signed(sent_seconds_ago=301),
    "from the future": lambda: signed(sent_seconds_ago=-330),
    "no JSON": lambda: signed("no JSON"),
    "no prediction": lambda: signed("[]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_webhook_without_a_fresh_valid_signature_is_not_stored(
    app: ModuleType, cloud: AwsResources, name: str
) -> None:
    assert error_of(invoke_app(app, REFUSED[name]())) == (400, "BAD_REQUEST")
    assert cloud.items(cloud.tables.inbox) == []


def test_a_webhook_path_with_an_invalid_token_is_not_found(app: ModuleType, cloud: AwsResources) -> None:
    key = bytes.fromhex(ATTEMPTS_KEY)
    token = sign(webhook_address(), key)
    other = WebhookAddress("replicate", WORKSPACE, GENERATION, f"{ATTEMPT[:-1]}0")
    paths = [
        f"replicate/{token[:-1]}{'0' if token[-1] != '0' else '1'}",
        f"replicate/{sign(webhook_address(), b'another key')}",
        f"replicate/{sign(other, key).rpartition('.')[0]}.{token.rpartition('.')[2]}",
        f"local/{token}",
        f"nobody/{token}",
        "replicate/rubbish",
    ]
    answers = [invoke_app(app, to(f"{PATH}/{path}")) for path in paths]
    assert {error_of(answer) for answer in answers} == {(404, "NOT_FOUND")}
    assert cloud.items(cloud.tables.inbox) == []


def test_a_disabled_providers_webhook_is_not_found(
    app: ModuleType, cloud: AwsResources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_PROVIDERS", "local")
    clear_wiring_caches(clients=False)
    assert error_of(invoke_app(app, signed())) == (404, "NOT_FOUND")
    assert cloud.items(cloud.tables.inbox) == []
