"""Lambda workers of the embedded AWS, forked from one prepared process (`zygote.py`) and not started afresh.

`prepare` is called in the emulator's process before the emulator starts. From then on the emulator gets a forked worker
where it would start its Python worker script. When no worker can be forked (not on Linux, or the zygote has died), the
script is started as without this module.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ZYGOTE = Path(__file__).with_name("zygote.py")
WORKER_SCRIPT = "_worker.py"


class Worker:
    """The part of `subprocess.Popen` that the emulator uses, for a process that is the zygote's child, not our own."""

    def __init__(self, process_id: int, lifeline: int, streams: Sequence[int]) -> None:
        self.pid = process_id
        self.returncode: int | None = None
        self._lifeline = lifeline
        self.stdin = os.fdopen(streams[0], "w", encoding="utf-8", buffering=1)
        self.stdout = os.fdopen(streams[1], encoding="utf-8")
        self.stderr = os.fdopen(streams[2], encoding="utf-8", errors="replace")

    def poll(self) -> int | None:
        """The exit code; None while the process is running."""
        return self.returncode if self._ended_within(0) else None

    def wait(self, timeout: float | None = None) -> int:
        """Waits for the end of the process; raises subprocess.TimeoutExpired."""
        if not self._ended_within(timeout):
            raise subprocess.TimeoutExpired(WORKER_SCRIPT, timeout or 0)
        return self.returncode or 0

    def terminate(self) -> None:
        """Sends SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Sends SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if self.poll() is None:
            try:
                signal.pidfd_send_signal(self._lifeline, number)
            except ProcessLookupError:
                return

    def _ended_within(self, seconds: float | None) -> bool:
        if self.returncode is None:
            ended = select.poll()
            ended.register(self._lifeline, select.POLLIN)
            if ended.poll(None if seconds is None else seconds * 1000):
                # Only the parent process can read the exit status; the emulator needs to know only that it ended.
                self.returncode = 0
        return self.returncode is not None

    def __del__(self) -> None:
        os.close(self._lifeline)


class Zygote:
    """The emulator's handle on the prepared process, which imports its libraries in half a second while the emulator
    starts."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(ZYGOTE), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._lock = threading.Lock()

    @property
    def process_id(self) -> int:
        """The process id of the prepared process."""
        return self._process.pid

    def close(self) -> None:
        """Ends the prepared process; its workers keep running."""
        self._control.close()
        self._process.wait()

    def fork_worker(self, path: str, folder: str, environment: Mapping[str, str]) -> Worker:
        """Forks a worker that runs the script at `path`; raises OSError when none can be forked."""
        script = Path(path).read_text("utf-8")
        request = {"path": path, "script": script, "folder": folder, "environment": dict(environment)}
        pipes = [os.pipe() for _ in range(3)]
        (their_in, our_in), (our_out, their_out), (our_error, their_error) = pipes
        theirs, ours = [their_in, their_out, their_error], [our_in, our_out, our_error]
        try:
            with self._lock:
                socket.send_fds(self._control, [json.dumps(request).encode()], theirs)
                answer, lifelines, _, _ = socket.recv_fds(self._control, 64, 1)
            if not lifelines:
                raise ConnectionError("no worker was forked")
        except OSError:
            for descriptor in ours:
                os.close(descriptor)
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        return Worker(json.loads(answer), lifelines[0], ours)


def use_zygote() -> None:
    """Let the emulator in this process get its Python workers from a zygote; does nothing on systems but Linux."""
    if not sys.platform.startswith("linux"):
        return
    zygote = Zygote()
    from ministack.core import lambda_runtime

    def start_process(arguments: Sequence[str], **options: Any) -> Any:
        if os.path.basename(arguments[-1]) == WORKER_SCRIPT:
            try:
                return zygote.fork_worker(arguments[-1], options["cwd"], options["env"])
            except OSError:
                pass
        return subprocess.Popen(arguments, **options)

    # The emulator's module starts processes only through this name.
    lambda_runtime.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": start_process})
