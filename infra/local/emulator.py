"""The embedded AWS: ministack as a child process on loopback, with its state in the stack's data folder.

`saved/` holds complete copies of its state (`saved_state.py`); each start continues from the newest one. `state/` is
what the emulator reads: each start writes it anew from that copy. `s3/` holds the objects.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from infra.local import saved_state

START_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 20.0
REPORT_SECONDS_MAX = 2.0
PORTS_MAX = 3
FIRST_COPY_SECONDS_MAX = 30.0
CHILD_MODULE = "infra.local.emulator_process"


# What the embedded AWS uses only if it is there, and what happens without it.
OPTIONAL_PACKAGES = {"duckdb": "every query of Athena (`make sql`) succeeds with one made-up row"}


def missing_packages(packages: Mapping[str, str] = OPTIONAL_PACKAGES) -> list[str]:
    """A sentence for each package that this environment does not have."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    return [f"the package {name} is missing: {packages[name]}" for name in missing]


class EmulatorError(Exception):
    """The embedded AWS could not be started; the text is for the person at the terminal."""


class StateNotSaved(EmulatorError):
    """The embedded AWS has stopped, but the last changes could not be written."""


class Emulator:
    """One ministack process. `endpoint` is its URL, without a trailing slash. `notes`: sentences about the last start
    for the person at the terminal. `failure`: why its state cannot be written at present; empty when it can.
    `starts_empty`: whether the last start found no state. `copied_at`: the time (Unix seconds) of the copy that it
    continued from; None when there was none. `ended_in_order`: whether nothing came after that copy."""

    def __init__(self, folder: Path, *, enforce_policies: bool = True) -> None:
        self._folder = folder
        self._state = folder / "state"
        self._saved = folder / "saved"
        self._state_port: int | None = None
        self._saved_at_ns = 0
        self._saved_in_order = False
        self._reports: threading.Thread | None = None
        self._saving_paused = False
        self.notes: list[str] = []
        self.failure = ""
        self.starts_empty = True
        self.copied_at: float | None = None
        self.ended_in_order = True
        self._enforce_policies = enforce_policies
        self._process: subprocess.Popen[bytes] | None = None
        # Another thread may call `stop` during `start`; then the start is given up.
        self._starting = threading.Lock()
        self._is_stopped = False
        self.endpoint = ""

    def start(self) -> None:
        """Starts the emulator and waits until it answers; raises EmulatorError."""
        self._is_stopped = False
        self._restore()
        for folder in (self._state, self._folder / "s3"):
            folder.mkdir(parents=True, exist_ok=True)
        _edit_state(self._state / "lambda.json", _rewind_streams)
        _edit_state(self._state / "sqs.json", _release_messages)
        _edit_state(self._state / "cloudwatch_logs.json", _forget_logs)
        _edit_state(self._state / "cloudformation.json", _forget_deployments)
        for tries_left in reversed(range(PORTS_MAX)):
            try:
                self._start_on(_free_port())
            except EmulatorError:
                # Another program may take the port after it was found free and before the emulator uses it.
                if "already in use" not in self._log() or not tries_left:
                    raise
            else:
                return

    def _restore(self) -> None:
        """Puts the newest saved state in place. State that cannot be used is moved aside, and a note says where."""
        self.notes, self.failure, self._saving_paused = [], "", False
        self.starts_empty, self.copied_at, self.ended_in_order = False, None, True
        self._saved_at_ns, self._saved_in_order = 0, False
        snapshot = saved_state.newest_snapshot(self._saved)
        if snapshot:
            shutil.rmtree(self._state, ignore_errors=True)
            shutil.copytree(snapshot.folder, self._state, ignore=shutil.ignore_patterns(saved_state.MANIFEST))
            self._state_port, self._saved_at_ns = snapshot.port, snapshot.saved_at_ns
            self.copied_at, self.ended_in_order = snapshot.saved_at_ns / 1e9, snapshot.is_clean_stop
            if not snapshot.is_clean_stop:
                self.notes.append(
                    f"the last run did not end in order; going on from what was saved at {_time(snapshot.saved_at_ns)}"
                )
        elif not self._saved.exists() and _is_readable(self._state):
            # This state was written by a build that kept no copies.
            record = self._folder / "port"
            self._state_port = json.loads(record.read_text("utf-8"))["port"] if record.exists() else None
        else:
            self.starts_empty = True
            self._set_aside()

    def _set_aside(self) -> None:
        left = [each for each in (self._saved, self._state, self._folder / "s3") if each.exists()]
        if not any(each.is_file() or any(each.iterdir()) for each in left):
            return
        aside = self._folder / f"unusable-{time.strftime('%Y%m%d-%H%M%S')}"
        aside.mkdir(parents=True)
        for each in left:
            each.rename(aside / each.name)
        self._state_port = None
        self.notes.append(f"the last run left no state that can be used; starting empty, what it left is in {aside}")

    def _start_on(self, port: int) -> None:
        _move_to_port(self._state, self._state_port, port)
        self._state_port = port
        reading, reporting = os.pipe()
        with self._starting, (self._folder / "emulator.log").open("wb") as log:
            if self._is_stopped:
                raise EmulatorError("the embedded AWS was stopped before it had started")
            self._process = subprocess.Popen(
                [sys.executable, "-m", CHILD_MODULE, str(self._saved), str(port), str(reporting)],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(port),
                pass_fds=[reporting],
                # A terminal sends Ctrl-C to a whole process group. In a group of its own the child does not get it,
                # and stops only when this process tells it to.
                start_new_session=True,
            )
        os.close(reporting)
        self._reports = threading.Thread(target=self._read_reports, args=(reading,), daemon=True)
        self._reports.start()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._wait_until_ready()

    def _read_reports(self, reading: int) -> None:
        with os.fdopen(reading) as lines:
            for line in lines:
                report = json.loads(line)
                self.failure = report.get("failed", "")
                if "saved" in report:
                    self._saved_at_ns, self._saved_in_order = report["saved"], report["in_order"]

    @contextmanager
    def saving_paused(self, *, resumes_after: tuple[type[Exception], ...] = ()) -> Generator[None]:
        """Within this context no copy is taken: a later start could not continue from half a deployment. resumes_after:
        exceptions after which the state is complete, so that saving goes on. Any other exception leaves it paused."""
        self._send_command(b"0")
        self._saving_paused = True
        try:
            yield
        except resumes_after:
            self._resume_saving()
            raise
        self._resume_saving()

    def wait_until_saved(self) -> None:
        """Wait until a copy is written that was begun after this call, or for FIRST_COPY_SECONDS_MAX at most: a copy
        that fails is reported at the end."""
        begun, deadline = time.time_ns(), time.monotonic() + FIRST_COPY_SECONDS_MAX
        while self._saved_at_ns < begun and self.running and time.monotonic() < deadline:
            time.sleep(0.05)

    def _resume_saving(self) -> None:
        self._send_command(b"1")
        self._saving_paused = False

    def _send_command(self, command: bytes) -> None:
        if self._process and self._process.stdin and self.running:
            self._process.stdin.write(command)
            self._process.stdin.flush()

    def stop(self) -> None:
        """Stops the emulator and waits until its state is written; raises StateNotSaved when it could not be."""
        with self._starting:
            self._is_stopped = True
            process, self._process = self._process, None
        if process is None:
            return
        killed = process.poll() is not None
        if not killed:
            process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin:
            process.stdin.close()
        if self._reports:
            self._reports.join(REPORT_SECONDS_MAX)
        if not self._saved_in_order and not killed and not self._saving_paused:
            reason = self.failure or f"it did not stop within {STOP_SECONDS_MAX:.0f} s"
            kept = f"what was saved at {_time(self._saved_at_ns)} is kept" if self._saved_at_ns else "nothing is kept"
            raise StateNotSaved(f"the last changes are lost, they could not be written: {reason}; {kept}")

    @property
    def running(self) -> bool:
        """Whether the child process is alive."""
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
            # Worker processes inherit this: the SDK does not look for an EC2 instance's credentials, which takes time.
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if not self.running:
                raise EmulatorError(f"the embedded AWS did not start: {self._last_log_line()}")
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=1):  # nosec B310
                    return
            except OSError:
                time.sleep(0.02)
        with suppress(StateNotSaved):
            self.stop()
        raise EmulatorError(f"the embedded AWS did not answer within {START_SECONDS_MAX:.0f} s")

    def _last_log_line(self) -> str:
        lines = self._log().strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def _log(self) -> str:
        return (self._folder / "emulator.log").read_text("utf-8", "replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _move_to_port(state: Path, old: int | None, port: int) -> None:
    """Rewrites the saved state from the port `old` to `port`. Queue URLs contain the emulator's port, and the emulator
    stores queues by URL, so queues would be lost on another port."""
    if old is None:
        return
    before, after = f"://localhost:{old}/".encode(), f"://localhost:{port}/".encode()
    for file in state.glob("*.json"):
        data = file.read_bytes()
        if before in data:
            file.write_bytes(data.replace(before, after))


def _is_readable(state: Path) -> bool:
    files = list(state.glob("*.json"))
    try:
        for file in files:
            json.loads(file.read_text("utf-8"))
    except ValueError:
        return False
    return bool(files)


def _time(nanoseconds: int) -> str:
    return time.strftime("%H:%M:%S on %d %b %Y", time.localtime(nanoseconds / 1e9))


def _rewind_streams(saved: dict[str, Any]) -> None:
    """Drops the positions of stream readers. After a restart a stream is empty, but its readers keep their old
    positions, and would skip as many new records as they had read before."""
    saved.pop("dynamodb_stream_positions", None)


def _release_messages(saved: dict[str, Any]) -> None:
    """Makes messages visible that were being processed: whoever received them is gone, and a queue would keep them back
    for some minutes."""
    for queue in saved["queues"]["data"].values():
        for message in queue["messages"]:
            if message["receive_count"]:
                message["visible_at"] = 0


def _forget_logs(saved: dict[str, Any]) -> None:
    """Drops the log lines of earlier runs: every start reads the whole state, so they would make each start slower."""
    for group in saved["log_groups"]["data"].values():
        group["streams"] = {}


def _forget_deployments(saved: dict[str, Any]) -> None:
    """Drops stack events for the same reason: each redeployment adds one for every resource that it touched."""
    saved.pop("stack_events", None)


def _edit_state(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    if file.exists():
        state = json.loads(file.read_text("utf-8"))
        change(state["payload"])
        file.write_text(json.dumps(state), "utf-8")
