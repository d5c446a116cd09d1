"""The whole local stack as a child process, with what its rows need: requests, accounts, configuration."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.local.stack_process import RunningStack

PASSWORD = "a bench of seven words for one run"
# A benchmark sends more requests and signs up more accounts than a person may.
WITHOUT_LIMITS = {"RequestsPerMinute": "1000000", "SignInsPerAddress": "1000000"}


class BenchStack:
    """One running local stack. `seconds_to_ready`: from the start of the process until it printed that it is ready."""

    def __init__(self, child: RunningStack, seconds_to_ready: float) -> None:
        self.child = child
        self.seconds_to_ready = seconds_to_ready
        self.aws = child.aws()
        self._accounts = 0

    def call(self, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, dict[str, Any]]:
        """One request over this thread's open connection; returns (status, parsed body)."""
        connection = _thread_connection(urlsplit(self.child.base_url).port or 80)
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            raise
        return answer.status, json.loads(text) if text else {}

    def sign_up(self) -> str:
        """A new account; returns its access token."""
        return self._sign_up()[1]

    def sign_up_account(self) -> dict[str, str]:
        """A new account; returns its e-mail address and password."""
        return {"email": self._sign_up()[0], "password": PASSWORD}

    def _sign_up(self) -> tuple[str, str]:
        self._accounts += 1
        account = {"email": f"bench{self._accounts}@example.com", "password": PASSWORD, "name": "Bench"}
        status, answer = self.call("POST", "/api/auth/signup", account)
        assert status == 201, answer
        return account["email"], answer["data"]["access_token"]

    def functions(self) -> dict[str, dict[str, Any]]:
        """The functions' configurations by name."""
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        return {each["FunctionName"]: each for page in pages for each in page["Functions"]}

    def pause_streams(self) -> None:
        """Disable all stream mappings: changes of tables no longer invoke functions, so generations stay queued."""
        client = self.aws.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    @contextmanager
    def one_batch(self, function: str) -> Iterator[None]:
        """Hold back the streams of a function, and deliver each in one batch at the end of the block. On AWS the
        mapping's batching window does that; the emulator has no such window."""
        client, name = self.aws.client("lambda"), self.child.resource(function)
        mappings = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        for mapping in mappings:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            for mapping in mappings:
                client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    def set_environment(self, **variables: str) -> None:
        """Add these variables to every function's environment; they take effect at its next cold start."""
        for name, configuration in self.functions().items():
            own = configuration.get("Environment", {}).get("Variables", {})
            self.aws.client("lambda").update_function_configuration(
                FunctionName=name, Environment={"Variables": own | variables}
            )


_connections = threading.local()


def _thread_connection(port: int) -> http.client.HTTPConnection:
    kept: dict[int, http.client.HTTPConnection] = _connections.__dict__.setdefault("by_port", {})
    if port not in kept:
        kept[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    return kept[port]


@contextmanager
def running_stack(data: Path) -> Iterator[BenchStack]:
    """The stack with its state in `data`, ready; stopped at the end of the block."""
    started = time.perf_counter()
    with RunningStack(data, parameters=WITHOUT_LIMITS) as child:
        yield BenchStack(child, time.perf_counter() - started)
