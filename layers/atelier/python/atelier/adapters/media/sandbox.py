"""The sandbox: images, videos and audio are decoded in a separate process with limits on its memory and its time.

Decoders are large C libraries, and the files come from untrusted sources. A file that makes a decoder crash, loop or
use too much memory ends only its own process and is refused. That process holds no secret and no other file: it is
forked for one file from a clean process with an almost empty environment (`_sandbox_worker.py`). The clean process is
started once and has the libraries imported, so a file costs some milliseconds and not the start of an interpreter.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess  # nosec B404
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from atelier.adapters.media._sandbox_worker import receive, receive_line, send
from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded, MediaToolMissing, Processed

PROGRAM = Path(__file__).with_name("_sandbox_worker.py")
MEBIBYTE = 1024 * 1024
MEMORY_BYTES_MAX = 1536 * MEBIBYTE
# On a machine with less memory, this share of it, so that the Lambda function itself survives.
MEMORY_SHARE = 2 / 3
# Seconds for starting the clean process, if it is not running; and seconds after the limit before a file's process,
# which normally ends itself, is killed.
START_SECONDS, GRACE_SECONDS = 4.0, 1.0


def process_in_sandbox(
    type: str,
    data: bytes,
    *,
    watermark: bool,
    seconds_max: float,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> Processed:
    """Turn a file of this type (image, video or audio) into a deliverable one, in the sandbox. Raises MediaInvalid;
    MediaLimitExceeded when the file needs too much time or memory; MediaToolMissing when a library is not installed."""
    if type == "image":
        # Images are also processed in Lambda functions with one gigabyte of memory.
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory_bytes_max = min(memory_bytes_max, round(machine * MEMORY_SHARE))
    request = {"type": type, "watermark": watermark, "seconds_max": seconds_max, "memory_bytes_max": memory_bytes_max}

    # Temporary files, even those of a killed process, are deleted with the folder.
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="atelier-media-") as folder:
        request["folder"] = folder
        try:
            answer, files = sandbox.process(request, data, seconds_max)
        except SandboxKilled:
            # Being killed from outside says nothing about the file, which may have been paid for: try once more.
            seconds_left = seconds_max - (time.monotonic() - began)
            if seconds_left <= 0:
                raise
            answer, files = sandbox.process({**request, "seconds_max": seconds_left}, data, seconds_left)

    if "lacking" in answer:
        raise MediaToolMissing(f"{answer['lacking']} is not installed here: this function needs the video layer")
    if "limit" in answer:
        raise MediaLimitExceeded(answer["limit"])
    if "refused" in answer:
        raise MediaInvalid(answer["refused"])
    size = answer.pop("size_bytes")
    notes = tuple(answer.pop("notes"))
    return Processed(**answer, notes=notes, data=files[:size], thumbnail=files[size:] or None)


class SandboxKilled(MediaInvalid):
    """The sandbox process was killed from outside: the system is short of memory or is shutting down."""


class Sandbox:
    """The client of the clean process, which handles one file at a time and is started again when a file kills it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        # The process id, program and sys.path for which the clean process was started. A fork of this process, or a
        # test with another program, needs a new one.
        self._is_for: object = None

    def process(self, request: dict[str, Any], data: bytes, seconds_max: float) -> tuple[dict[str, Any], bytes]:
        """Process one file in the sandbox; returns the response and the bytes of the new files. Raises MediaInvalid, of
        which MediaLimitExceeded and KilledFromOutside are subclasses."""
        with self._lock:
            control = self._connect()
            deadline = time.monotonic() + START_SECONDS + seconds_max + GRACE_SECONDS
            # Each file has its own connection, so its process can neither read nor answer the requests of other files.
            ours, theirs = socket.socketpair()
            try:
                with ours:
                    with theirs:
                        socket.send_fds(control, [request["type"].encode()], [theirs.fileno()])
                    send(ours, request, data, deadline)
                    answer, size = receive_line(ours, deadline)
                    return answer, receive(ours, size, deadline)
            except TimeoutError:
                self.close()
                raise MediaLimitExceeded(timeout_message(seconds_max)) from None
            except (OSError, ValueError):
                status = self.close()
                if -status in (signal.SIGALRM, signal.SIGXCPU):
                    raise MediaLimitExceeded(timeout_message(seconds_max)) from None
                error_type = SandboxKilled if -status in (signal.SIGKILL, signal.SIGTERM) else MediaInvalid
                raise error_type(f"opening it ended early: status {status}") from None
            except BaseException:
                # The caller was interrupted: the next caller must not receive this file's response.
                self.close()
                raise

    def close(self) -> int:
        """End the clean process and return its exit status (negative: the signal that ended it)."""
        process, self._process = self._process, None
        if self._control:
            self._control.close()
        if process is None:
            return 0
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            # Kill the process group, which includes the process forked for the file.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def _connect(self) -> socket.socket:
        wanted = (os.getpid(), PROGRAM, tuple(sys.path))
        if self._process and self._control and self._is_for == wanted and self._process.poll() is None:
            return self._control
        if self._process and wanted[0] == os.getpid():
            self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            # The command is our own program, by its path; no input is part of it.
            self._process = subprocess.Popen(  # nosec B603
                [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                # On Lambda, the interpreter finds its own shared library only through this variable.
                env={"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"},
            )
        self._control, self._is_for = ours, wanted
        return ours


def timeout_message(seconds_max: float) -> str:
    """The message for a file that was not processed in time."""
    return f"Opening the file took longer than {seconds_max:g} seconds, the most that is allowed."


sandbox = Sandbox()
atexit.register(sandbox.close)
