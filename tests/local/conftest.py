"""One local stack for all tests of this folder: embedded AWS, deployed template, edge, and a Replicate simulator."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.local.stack_process import RunningStack
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from tests.local.client import poll_until

FOLDER = Path(__file__).parent
# The tests are many callers at one address, so the limits must be high; and they cannot wait minutes for a poll.
PARAMETERS = {
    "RequestsPerMinute": "100000",
    "SignInsPerAddress": "100000",
    "AttemptPollSeconds": "1",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """base_url: of the edge. simulator_url: of Replicate's simulator. running: the process, with access to its AWS."""

    base_url: str
    simulator_url: str
    running: RunningStack


# How long a function may cache a provider's health, and a little more.
REMEMBERED_SECONDS = 6
STACK = pytest.StashKey[RunningStack]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends the stack after the last test of this folder and the fixtures of that test: tests/conftest.py puts them
    together. An idle stack takes a tenth of a processor from all tests that follow."""
    running = item.config.stash.get(STACK, None)
    if running and nextitem and FOLDER not in nextitem.path.parents:
        running.stop()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as `make run` starts it, on free ports and a fresh data folder."""
    folder = tmp_path_factory.mktemp("stack")
    secrets = folder / "providers.json"
    secrets.write_text(json.dumps({"replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}}))
    with ReplicateSimulator(0) as simulator:
        arguments = ["--provider-url", f"replicate={simulator.url}", "--provider-secrets-file", str(secrets)]
        with RunningStack(folder / "data", parameters=PARAMETERS, arguments=arguments) as running:
            request.config.stash[STACK] = running
            yield Stack(running.base_url, simulator.url, running)


@pytest.fixture
def healthy_provider(stack: Stack) -> None:
    """Delete the provider's recorded failures, so that an earlier test does not keep the router from it."""
    table = stack.running.table("providers")
    dynamodb = stack.running.aws().client("dynamodb")
    key = {"pk": {"S": "health"}, "sk": {"S": "replicate"}}
    found = dynamodb.get_item(TableName=table, Key=key).get("Item")
    signs_of_failure = ("failures_in_a_row", "cooldown_until")
    if found is None or not any(sign in found["seen"]["S"] for sign in signs_of_failure):
        return
    dynamodb.delete_item(TableName=table, Key=key)
    forgotten_at = time.monotonic() + REMEMBERED_SECONDS
    poll_until(time.monotonic, lambda now: now > forgotten_at)
