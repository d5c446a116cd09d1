"""The embedded AWS: ministack as a child process on loopback, with its state in a folder of ours."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

START_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 20.0
PORTS_MAX = 3

# The child ends itself in good order (state is written) when our end of its standard input closes, so it dies with us
# even if we are killed; and a terminal's Ctrl-C, which goes to a whole group, reaches only us. What it has imported is
# kept from the garbage collector, which would go through all of it again and again while every request waits.
_CHILD = """
import gc, os, signal, threading
def until_parent_ends():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=until_parent_ends, daemon=True).start()
from infra.local import forked
forked.prepare()
from ministack.app import main
gc.freeze()
main()
"""


class EmulatorError(Exception):
    """The embedded AWS could not be started; the text is for the person who asked."""


class Emulator:
    """One running ministack. `endpoint` is its URL, without a trailing slash."""

    def __init__(self, folder: Path, *, enforce_policies: bool = True) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._enforce_policies = enforce_policies
        self._process: subprocess.Popen[bytes] | None = None
        self.endpoint = ""

    def start(self) -> None:
        """Starts it and waits until it answers; raises EmulatorError."""
        for folder in (self._state, self._folder / "s3"):
            folder.mkdir(parents=True, exist_ok=True)
        _edit(self._state / "lambda.json", _rewind_streams)
        _edit(self._state / "cloudwatch_logs.json", _forget_logs)
        _edit(self._state / "cloudformation.json", _forget_deployments)
        for tries_left in reversed(range(PORTS_MAX)):
            try:
                self._start_on(_free_port())
            except EmulatorError:
                # Between our finding a port free and its being used, another program may take it.
                if "already in use" not in self._log() or not tries_left:
                    raise
            else:
                return

    def _start_on(self, port: int) -> None:
        _move_to_port(self._state, self._folder / "port", port)
        log = (self._folder / "emulator.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self._environment(port),
            start_new_session=True,
        )
        log.close()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._wait()

    def stop(self) -> None:
        """Stops it and waits until its state is written."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()

    @property
    def running(self) -> bool:
        """Whether the child is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def process_id(self) -> int:
        """The child's process id; raises EmulatorError when it is not running."""
        if self._process is None:
            raise EmulatorError("the embedded AWS is not running")
        return self._process.pid

    def _environment(self, port: int) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ATELIER_"))}
        return inherited | {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self._state),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self._folder / "s3"),
            "AUTH": "true" if self._enforce_policies else "false",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LAMBDA_WARM_TTL_SECONDS": "60",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            # Worker processes inherit this; a file of credentials of the user's would only slow the SDK down.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if not self.running:
                raise EmulatorError(f"the embedded AWS did not start: {self._last_words()}")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1):  # nosec B310
                    return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise EmulatorError(f"the embedded AWS did not answer within {START_SECONDS_MAX:.0f} s")

    def _last_words(self) -> str:
        lines = self._log().strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def _log(self) -> str:
        return (self._folder / "emulator.log").read_text("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _move_to_port(state: Path, record: Path, port: int) -> None:
    """Queue URLs carry the emulator's port, and it keeps queues under their URLs: on a new port they would be lost.
    So the saved state is moved to the new port before it is read."""
    if record.exists():
        old = json.loads(record.read_text("utf-8"))["port"]
        before, after = f"://localhost:{old}/".encode(), f"://localhost:{port}/".encode()
        for file in state.glob("*.json"):
            data = file.read_bytes()
            if before in data:
                file.write_bytes(data.replace(before, after))
    record.write_text(json.dumps({"port": port}), "utf-8")


def _rewind_streams(saved: dict[str, Any]) -> None:
    """Streams start empty after a restart, but their readers remember how far they had come, and would wait until as
    many records have passed again. So what they remember is dropped."""
    saved.pop("dynamodb_stream_positions", None)


def _forget_logs(saved: dict[str, Any]) -> None:
    """Every start reads the whole state: what functions logged in earlier runs would make it slower for ever."""
    for group in saved["log_groups"]["data"].values():
        group["streams"] = {}


def _forget_deployments(saved: dict[str, Any]) -> None:
    """As for logs: each redeployment adds an event for every resource that it touched."""
    saved.pop("stack_events", None)


def _edit(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    if file.exists():
        state = json.loads(file.read_text("utf-8"))
        change(state["payload"])
        file.write_text(json.dumps(state), "utf-8")
