"""functions/webhooks/providers, fed with events: only webhooks that a provider signed are stored, unchanged."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from atelier.generations.callback import Address, sign
from infra.local.standins.replicate import FOREIGN_SECRET, WEBHOOK_SECRET, signature
from tests.embedded_aws import forget_wiring
from tests.functions.answers import Response, answered, data, refusal
from tests.functions.cast import ATTEMPT, ATTEMPTS_KEY, GENERATION, WORKSPACE, address
from tests.functions.conftest import Cloud
from tests.invoke import event, example, function

EXAMPLE = "webhooks/providers/replicate"
EVENT_ID = "msg_2f9c4e7a1b5d8036e4c7a9f1"
BODY: str = example(EXAMPLE)["body"]
PATH = "/api/webhooks/providers"


@pytest.fixture
def app(cloud: Cloud) -> ModuleType:
    return function("webhooks/providers")


def signed(body: str = BODY, *, secret: str = WEBHOOK_SECRET, sent_seconds_ago: int = 0, **changes: Any) -> Response:
    """The example as the provider would send it now."""
    sent_at = int(time.time()) - sent_seconds_ago
    headers = {
        "webhook-timestamp": str(sent_at),
        "webhook-signature": signature(secret, EVENT_ID, sent_at, body.encode()),
    }
    return event(EXAMPLE, body=body, headers=headers, **changes)


def to(path: str) -> Response:
    request = signed(rawPath=path)
    request["requestContext"]["http"]["path"] = path
    return request


def test_what_is_signed_is_kept_as_it_came_and_names_its_attempt(app: ModuleType, cloud: Cloud) -> None:
    request = signed()
    assert data(answered(app, request)) == {"received": True}
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


def test_a_doubled_webhook_is_answered_well_and_kept_once(app: ModuleType, cloud: Cloud) -> None:
    answers = [data(answered(app, signed())) for _ in range(2)]
    assert answers == [{"received": True}, {"received": False}]
    assert len(cloud.items(cloud.tables.inbox)) == 1


def test_bytes_are_verified_as_they_came_even_through_base64(app: ModuleType, cloud: Cloud) -> None:
    request = signed() | {"body": base64.b64encode(BODY.encode()).decode(), "isBase64Encoded": True}
    assert data(answered(app, request)) == {"received": True}
    assert cloud.items(cloud.tables.inbox)[0]["body"]["B"] == BODY.encode()


# Functions, because each must be signed with the time at which it is sent.
REFUSED: dict[str, Callable[[], Response]] = {
    "forged": lambda: signed(secret=FOREIGN_SECRET),
    "changed": lambda: signed() | {"body": BODY.replace("succeeded", "failed")},
    "unsigned": lambda: event(EXAMPLE, headers={"webhook-signature": ""}),
    "recorded long ago": lambda: example(EXAMPLE),
    "stale": lambda: signed(sent_seconds_ago=301),
    "from the future": lambda: signed(sent_seconds_ago=-330),
    "no JSON": lambda: signed("no JSON"),
    "no prediction": lambda: signed("[]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_provider_did_not_just_sign_is_refused_and_not_kept(app: ModuleType, cloud: Cloud, name: str) -> None:
    assert refusal(answered(app, REFUSED[name]())) == (400, "BAD_REQUEST")
    assert cloud.items(cloud.tables.inbox) == []


def test_a_path_that_we_did_not_make_is_no_route(app: ModuleType, cloud: Cloud) -> None:
    key = bytes.fromhex(ATTEMPTS_KEY)
    token = sign(address(), key)
    other = Address("replicate", WORKSPACE, GENERATION, f"{ATTEMPT[:-1]}0")
    paths = [
        f"replicate/{token[:-1]}{'0' if token[-1] != '0' else '1'}",
        f"replicate/{sign(address(), b'another key')}",
        f"replicate/{sign(other, key).rpartition('.')[0]}.{token.rpartition('.')[2]}",
        f"local/{token}",
        f"nobody/{token}",
        "replicate/rubbish",
    ]
    answers = [answered(app, to(f"{PATH}/{path}")) for path in paths]
    assert {refusal(answer) for answer in answers} == {(404, "NOT_FOUND")}
    assert cloud.items(cloud.tables.inbox) == []


def test_a_provider_that_is_off_has_no_webhooks(app: ModuleType, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATELIER_PROVIDERS", "local")
    forget_wiring(clients=False)
    assert refusal(answered(app, signed())) == (404, "NOT_FOUND")
    assert cloud.items(cloud.tables.inbox) == []
