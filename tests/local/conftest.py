"""One local stack for all tests of this folder: embedded AWS, deployed template, edge, and a Replicate simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from infra.local.stack_process import RunningStack
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator

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


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as `make run` starts it, on free ports and a fresh data folder."""
    folder = tmp_path_factory.mktemp("stack")
    secrets = folder / "providers.json"
    secrets.write_text(json.dumps({"replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}}))
    with ReplicateSimulator(0) as simulator:
        arguments = ["--provider-url", f"replicate={simulator.url}", "--provider-secrets-file", str(secrets)]
        with RunningStack(folder / "data", parameters=PARAMETERS, arguments=arguments) as running:
            yield Stack(running.base_url, simulator.url, running)
