"""The sandbox program, started by `sandbox.py`: it decodes each image, video or audio file in a process forked for it.

Standard input is a socket. For each file it receives the file's type and a new connection. On that connection the
forked process reads the request and writes the response: each is two lengths, a line of JSON and the bytes of the
files. When the forked process dies, this program exits with the same status, and `sandbox.py` starts it again.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from atelier.adapters.media.processed import Processed

HEAD = struct.Struct(">IQ")
# Limits for messages in both directions.
TYPE_BYTES_MAX, LINE_BYTES_MAX, FILES_BYTES_MAX = 16, 1 << 20, 1 << 30
MODULES = {
    "image": "atelier.adapters.media.image",
    "video": "atelier.adapters.media.video",
    "audio": "atelier.adapters.media.audio",
}


def send(connection: socket.socket, line: dict[str, Any], files: bytes, deadline: float | None = None) -> None:
    """Send a line of JSON and the bytes of files. deadline: a value of time.monotonic(). Raises OSError, of which
    TimeoutError is a subclass."""
    head_line = json.dumps(line).encode()
    # The receiver may close as soon as it has everything, so an empty part is not sent: it would fail.
    for part in filter(None, (HEAD.pack(len(head_line), len(files)) + head_line, files)):
        connection.settimeout(_seconds_left(deadline))
        connection.sendall(part)


def receive_line(connection: socket.socket, deadline: float | None = None) -> tuple[dict[str, Any], int]:
    """Receive a line of JSON and the number of bytes that follow it. Raises OSError; ConnectionError when the peer has
    closed or announces too much."""
    line_size, files_size = HEAD.unpack(receive(connection, HEAD.size, deadline))
    if line_size > LINE_BYTES_MAX or files_size > FILES_BYTES_MAX:
        raise ConnectionError("the message is larger than any that is sent")
    return json.loads(receive(connection, line_size, deadline)), files_size


def receive(connection: socket.socket, size: int, deadline: float | None = None) -> bytes:
    """Receive exactly `size` bytes. Raises OSError; ConnectionError when the peer has closed."""
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        connection.settimeout(_seconds_left(deadline))
        count = connection.recv_into(view[at:])
        if not count:
            raise ConnectionError("the peer has closed the connection")
        at += count
    return bytes(data)


def _seconds_left(deadline: float | None) -> float | None:
    return None if deadline is None else max(deadline - time.monotonic(), 0.001)


def main() -> None:
    """Fork a process for each file, until standard input closes."""
    sys.path[:] = json.loads(sys.argv[1])
    control = socket.socket(fileno=0)
    prepared: set[str] = set()
    while True:
        type, descriptors, _, _ = socket.recv_fds(control, TYPE_BYTES_MAX, 1)
        if not type:
            return
        # The libraries of a type are imported once, here: this process never reads an untrusted file.
        if type.decode() not in prepared:
            _prepare(type.decode())
            prepared.add(type.decode())
        child = os.fork()
        if child == 0:
            control.close()
            _handle_file(socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            os.kill(os.getpid(), os.WTERMSIG(status))
        if status:
            sys.exit(1)


def _prepare(type: str) -> None:
    # A missing library is reported later, by the process forked for the file.
    with suppress(ImportError):
        module = importlib.import_module(MODULES[type])
        if type == "image":
            module.prepare()
        gc.freeze()


def _handle_file(connection: socket.socket) -> NoReturn:
    """Handle one file in the forked process, then exit."""
    try:
        request, size = receive_line(connection)
        data = receive(connection, size)
        _confine(request["memory_bytes_max"], request["seconds_max"])
        os.chdir(request["folder"])
        tempfile.tempdir = request["folder"]
        answer, files = _handle_request(request, data)
        send(connection, answer, files)
        os._exit(0)
    finally:
        os._exit(1)


def _handle_request(request: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Process the file and return the response and the new files' bytes. Every error becomes a response."""
    try:
        from atelier.adapters.media.processed import MediaInvalid, MediaLimitExceeded

        try:
            processed = _process(request["type"], data, request["seconds_max"], watermark=request["watermark"])
        except MediaLimitExceeded as refusal:
            return {"limit": str(refusal)}, b""
        except MediaInvalid as refusal:
            return {"refused": str(refusal)}, b""
    except ImportError as error:
        return {"lacking": error.name}, b""
    except MemoryError:
        mebibytes = request["memory_bytes_max"] // 1024**2
        return {"limit": f"Opening the file takes more memory than the {mebibytes} MiB that are allowed."}, b""
    except Exception as error:
        return {"refused": f"opening it failed: {type(error).__name__}: {error}"[:300]}, b""
    names = ("type", "format", "width", "height", "duration_ms", "notes")
    answer = {name: getattr(processed, name) for name in names}
    return {**answer, "size_bytes": len(processed.data)}, processed.data + (processed.thumbnail or b"")


def _process(type: str, data: bytes, seconds_max: float, *, watermark: bool) -> Processed:
    if type == "image":
        from atelier.adapters.media import image

        return image.process(data, watermark=watermark)
    if type == "video":
        from atelier.adapters.media import video

        return video.process(data, watermark=watermark, seconds_max=seconds_max)
    from atelier.adapters.media import audio

    return audio.process(data)


def _confine(memory_bytes_max: int, seconds_max: float) -> None:
    # Not every system supports RLIMIT_AS; where it does not, the other limits still apply.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes_max, memory_bytes_max))
    # CPU time: two threads may use twice as much as the wall clock.
    processor_seconds_max = round(2 * seconds_max) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (processor_seconds_max, processor_seconds_max))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # SIGALRM ends the process whatever it is doing.
    signal.setitimer(signal.ITIMER_REAL, seconds_max)


if __name__ == "__main__":
    main()
