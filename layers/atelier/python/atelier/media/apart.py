"""Pictures, films and sounds are opened in processes of their own, with bounds on their memory and their time.

Decoders are large libraries in C, and what they read comes from strangers. A file that makes one crash, loop or swell
ends its own process and is refused; ours goes on. That process is told no secret either, and knows no other file: it is
forked for one from a clean process with an all but empty environment, which is started once and has the libraries
imported (`_opening.py`), so that a file costs milliseconds more and not an interpreter's start.
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

from atelier.media._opening import receive, receive_line, send
from atelier.media.processed import MediaInvalid, MediaLimitExceeded, MediaToolMissing, Processed

PROGRAM = Path(__file__).with_name("_opening.py")
MEBIBYTE = 1024 * 1024
MEMORY_BYTES_MAX = 1536 * MEBIBYTE
# Of a smaller machine so much: the function itself has to live on.
MEMORY_SHARE = 2 / 3
# A file's process ends itself in time; one that does not is ended. Until it begins, the clean one may have to start.
START_SECONDS, GRACE_SECONDS = 4.0, 1.0


def process_apart(
    type: str,
    data: bytes,
    *,
    watermark: bool,
    seconds_max: float,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
) -> Processed:
    """A file of this type (image, video or audio) as a deliverable one. Raises MediaInvalid, MediaLimitExceeded for
    what takes too long or too much, or MediaToolMissing."""
    if type == "image":
        # Pictures are opened in functions with a gigabyte too.
        machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory_bytes_max = min(memory_bytes_max, round(machine * MEMORY_SHARE))
    asked = {"type": type, "watermark": watermark, "seconds_max": seconds_max, "memory_bytes_max": memory_bytes_max}
    # What is left behind, even by a process that was killed, goes with the folder.
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="atelier-media-") as folder:
        asked["folder"] = folder
        try:
            answer, files = sandbox.ask(asked, data, seconds_max)
        except KilledFromOutside:
            # That says nothing of the file, which may have been paid for.
            left = seconds_max - (time.monotonic() - began)
            if left <= 0:
                raise
            answer, files = sandbox.ask({**asked, "seconds_max": left}, data, left)
    if "lacking" in answer:
        raise MediaToolMissing(f"{answer['lacking']} is not installed here: this function needs the film layer")
    if "limit" in answer:
        raise MediaLimitExceeded(answer["limit"])
    if "refused" in answer:
        raise MediaInvalid(answer["refused"])
    size = answer.pop("size_bytes")
    notes = tuple(answer.pop("notes"))
    return Processed(**answer, notes=notes, data=files[:size], thumbnail=files[size:] or None)


class KilledFromOutside(MediaInvalid):
    """The process was ended by somebody else: a system that is short of memory, or that stops."""


class Sandbox:
    """The client of the clean process, which opens one file at a time. A file that kills it has it started anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        # The process id, program and libraries that it was started for; a fork of ours, or a test, needs another one.
        self._is_for: object = None

    def ask(self, asked: dict[str, Any], data: bytes, seconds_max: float) -> tuple[dict[str, Any], bytes]:
        """Have a file opened: what was found out about it, and the new files. Raises MediaInvalid."""
        with self._lock:
            control = self._connected()
            deadline = time.monotonic() + START_SECONDS + seconds_max + GRACE_SECONDS
            # A connection for this file alone: its process can neither hear nor answer for another.
            ours, theirs = socket.socketpair()
            try:
                with ours:
                    with theirs:
                        socket.send_fds(control, [asked["type"].encode()], [theirs.fileno()])
                    send(ours, asked, data, deadline)
                    answer, size = receive_line(ours, deadline)
                    return answer, receive(ours, size, deadline)
            except TimeoutError:
                self.close()
                raise MediaLimitExceeded(too_long(seconds_max)) from None
            except (OSError, ValueError):
                status = self.close()
                if -status in (signal.SIGALRM, signal.SIGXCPU):
                    raise MediaLimitExceeded(too_long(seconds_max)) from None
                ended = KilledFromOutside if -status in (signal.SIGKILL, signal.SIGTERM) else MediaInvalid
                raise ended(f"opening it ended early: status {status}") from None
            except BaseException:
                # The caller was interrupted: the next one must not wait for this file's answer.
                self.close()
                raise

    def close(self) -> int:
        """End the process, and say how it ended."""
        process, self._process = self._process, None
        if self._control:
            self._control.close()
        if process is None:
            return 0
        try:
            return process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            # The group, so that the file's process ends too.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return process.wait()

    def _connected(self) -> socket.socket:
        wanted = (os.getpid(), PROGRAM, tuple(sys.path))
        if self._process and self._control and self._is_for == wanted and self._process.poll() is None:
            return self._control
        if self._process and wanted[0] == os.getpid():
            self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            # Our own program, by its path.
            self._process = subprocess.Popen(  # nosec B603
                [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                # The interpreter's own library lies beside it, and Lambda finds it by this name alone.
                env={"LD_LIBRARY_PATH": f"{sys.base_prefix}/lib"},
            )
        self._control, self._is_for = ours, wanted
        return ours


def too_long(seconds_max: float) -> str:
    """The refusal of what is not done in time."""
    return f"Opening the file took longer than {seconds_max:g} seconds, the most that is allowed."


sandbox = Sandbox()
atexit.register(sandbox.close)
