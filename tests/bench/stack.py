"""The whole local stack as a child process, for the rows that measure it."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.local.deploy import Aws
from infra.local.stack import HANDLES
from tests.bench.measure import ROOT

READY_SECONDS_MAX = 180
STOP_SECONDS_MAX = 30
PASSWORD = "a bench of seven words for one run"


# A bench signs up more often than a person.
WITHOUT_LIMITS = {"ATELIER_RATE_SIGN_INS_PER_ADDRESS": "1000000", "ATELIER_RATE_REQUESTS_PER_MINUTE": "1000000"}


class Stack:
    """One running local stack. `seconds_to_ready`: from the start of the process to its first healthy answer."""

    def __init__(self, port: int, data: Path, seconds_to_ready: float) -> None:
        self.port = port
        self.seconds_to_ready = seconds_to_ready
        handles = json.loads((data / HANDLES).read_text())
        self.aws = Aws(handles["endpoint"])
        self._resources: dict[str, str] = handles["resources"]
        self._accounts = 0

    def call(
        self, method: str, path: str, body: Any = None, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """One request over a connection that this thread keeps; (status, parsed body)."""
        connection = _connection(self.port)
        sent = {"Content-Type": "application/json", **headers} | ({"Authorization": f"Bearer {token}"} if token else {})
        try:
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            text = answer.read()
        except (http.client.HTTPException, OSError):
            connection.close()
            raise
        return answer.status, json.loads(text) if text else {}

    def sign_up(self) -> str:
        """A new account; returns its access token."""
        self._accounts += 1
        account = {"email": f"bench{self._accounts}@example.com", "password": PASSWORD, "name": "Bench"}
        status, answer = self.call("POST", "/api/auth/signup", account)
        assert status == 201, answer
        return answer["data"]["access_token"]

    def physical(self, logical_id: str) -> str:
        """The physical id of a resource of the stack."""
        return self._resources[logical_id]

    def functions(self) -> dict[str, dict[str, Any]]:
        """Configuration by function name."""
        pages = self.aws.client("lambda").get_paginator("list_functions").paginate()
        return {each["FunctionName"]: each for page in pages for each in page["Functions"]}

    def logical(self, physical_id: str) -> str:
        """The logical id of a resource of the stack, or the physical one of a stranger."""
        return next((name for name, made in self._resources.items() if made == physical_id), physical_id)

    def pause_streams(self) -> None:
        """Let no table's changes reach a function any more: generations stay queued."""
        client = self.aws.client("lambda")
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)

    def set_environment(self, **variables: str) -> None:
        """Give every function these variables besides its own; takes effect with its next cold start."""
        for name, configuration in self.functions().items():
            own = configuration.get("Environment", {}).get("Variables", {})
            self.aws.client("lambda").update_function_configuration(
                FunctionName=name, Environment={"Variables": own | variables}
            )


_connections = threading.local()


def _connection(port: int) -> http.client.HTTPConnection:
    kept: dict[int, http.client.HTTPConnection] = _connections.__dict__.setdefault("by_port", {})
    if port not in kept:
        kept[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    return kept[port]


@contextmanager
def running(data: Path) -> Iterator[Stack]:
    """The stack with its state under `data`, ready; stopped at the end. Raises RuntimeError with its last words."""
    port = free_port()
    started = time.perf_counter()
    with (data.parent / f"stack-{port}.log").open("w+") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local", "--port", str(port), "--data", str(data), "--demo", "0"],
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait(process, port)
            yield Stack(port, data, time.perf_counter() - started)
        except BaseException:
            log.seek(0)
            print(log.read()[-3000:], file=sys.stderr)
            raise
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("the local stack ended before it was ready")
        try:
            probe = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            probe.request("GET", "/healthz")
            if probe.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise RuntimeError(f"the local stack was not ready within {READY_SECONDS_MAX} s")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
