"""A refused log-in tells nothing: content, status, calls of AWS, hashes and time are the same for every reason."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.aws.dynamodb.identity.items import CREDENTIALS, PROFILE, CredentialsItem, UserItem
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.functions.responses import Reply, invoke_app, success_data
from tests.invoke import event, load_function

CALLS = 200
PASSWORD = "correct horse battery"


@pytest.fixture
def auth(deployed: Tables, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    for limit in ("ACCOUNT", "ADDRESS"):
        monkeypatch.setenv(f"ATELIER_RATE_SIGN_INS_PER_{limit}", "100000")
    monkeypatch.setenv("ATELIER_RATE_REQUESTS_PER_MINUTE", "100000")
    monkeypatch.setenv("ATELIER_SECRET_LINKS", "links")
    clear_wiring_caches(clients=False)
    return load_function("api/auth")


def log_in(auth: ModuleType, email: str, password: str) -> Reply:
    return invoke_app(auth, event("api/auth/login", body={"email": email, "password": password}))


def sign_up(auth: ModuleType, name: str) -> str:
    body = {"email": f"{name}@example.com", "password": PASSWORD, "name": name.capitalize(), "token_delivery": "body"}
    user_id: str = success_data(invoke_app(auth, event("api/auth/signup", body=body)))["user"]["id"]
    return user_id


@pytest.fixture
def refusals(auth: ModuleType) -> dict[str, Callable[[], Reply]]:
    """The reasons for which a log-in is refused."""
    sign_up(auth, "ada")
    UserItem(sign_up(auth, "bob"), PROFILE).update([UserItem.status.set("suspended")])
    sign_up(auth, "cyd")
    CredentialsItem("email#cyd@example.com", CREDENTIALS).update([CredentialsItem.password_hash.remove()])
    return {
        "unknown": lambda: log_in(auth, "eve@example.com", PASSWORD),
        "wrong password": lambda: log_in(auth, "ada@example.com", "wrong horse battery"),
        "suspended": lambda: log_in(auth, "bob@example.com", PASSWORD),
        "no password": lambda: log_in(auth, "cyd@example.com", PASSWORD),
    }


def test_every_refusal_has_the_same_content_and_calls(refusals: dict[str, Callable[[], Reply]]) -> None:
    """That each takes one hash too is counted in `tests/unit/identity/test_sign_in.py`."""
    sent: list[str] = []

    def heard(request: Any, **_: Any) -> None:
        target = request.headers["X-Amz-Target"]
        sent.append(target.decode() if isinstance(target, bytes) else target)

    emitter = connection().client.meta.events
    emitter.register("before-send.dynamodb", heard)
    try:
        seen: dict[str, Any] = {}
        for reason, act in refusals.items():
            sent.clear()
            answer = act()
            seen[reason] = (answer["statusCode"], answer["body"], answer["headers"], [*sent])
    finally:
        emitter.unregister("before-send.dynamodb", heard)
    status, body, _, calls = seen["unknown"]
    assert status == 401
    assert json.loads(body)["message"] == "The e-mail or the password is wrong."
    # Two limits, the credentials, the account with its device, the audit event.
    assert [call.partition(".")[2] for call in calls] == [
        "UpdateItem",
        "UpdateItem",
        "GetItem",
        "BatchGetItem",
        "PutItem",
    ]
    assert all(each == seen["unknown"] for each in seen.values())


def test_the_time_of_a_refusal_does_not_tell_its_reason(refusals: dict[str, Callable[[], Reply]]) -> None:
    """Over many calls in random order, the medians differ by less than the calls of one reason do among themselves."""
    times: dict[str, list[float]] = {reason: [] for reason in refusals}
    order = [reason for reason in refusals for _ in range(CALLS // len(refusals))]
    random.Random(7).shuffle(order)
    for reason in order:
        started = time.thread_time()
        refusals[reason]()
        times[reason].append(time.thread_time() - started)
    medians = {reason: statistics.median(each) for reason, each in times.items()}
    spread = max(statistics.quantiles(each, n=10)[8] - statistics.quantiles(each, n=10)[0] for each in times.values())
    middle = statistics.median(medians.values())
    assert max(medians.values()) - min(medians.values()) <= max(spread, 0.5 * middle)
