"""The process of the embedded AWS: ministack's ASGI application, and code that saves its state while it runs.

    python -m infra.local.emulator_process <folder of copies> <port> <file descriptor to report to>

ministack itself writes its state only when it is stopped, and ignores it when the write fails. Here a copy is written
every few seconds if something changed, and once more at the end. A forked process writes the copy: it sees the state of
one instant between two requests, and delays no request. The result is reported as a line of JSON: {"saved": <time>} or
{"failed": <reason>}.

When standard input closes, the parent process has died, and this process stops as if it were asked to. A `0` on
standard input pauses copies (during a deployment, of which the state must hold all or nothing), a `1` resumes them.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from infra.local import saved_state, worker_pool

SAVE_SECONDS = 2.0
# Saving takes at most this share of one processor's time.
SAVE_PROCESSOR_SHARE = 0.1
FORK_SECONDS_MAX = 60
EXECUTION_PAUSE_SECONDS = 0.15
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
Message = dict[str, Any]


class SavingApplication:
    """An ASGI application that wraps ministack's and saves its state, as the module's docstring describes."""

    def __init__(self, application: Any, folder: Path, port: int, report: int) -> None:
        self._application = application
        self._folder = folder
        self._port = port
        self._report = report
        self._changed = False
        self._paused = False
        self._pause = SAVE_SECONDS
        self._last: asyncio.Task[None] | None = None
        self._waiter = ThreadPoolExecutor(1)

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        async def received() -> Message:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                keeping.cancel()
                await self._copies_end()
                await self.save(is_clean_stop=True)
            return message

        if scope["type"] != "lifespan":
            self._changed |= scope.get("method") not in READ_METHODS
            await self._application(scope, receive, send)
            return
        keeping = asyncio.create_task(self._save_periodically())
        await self._application(scope, received, send)

    def pause(self) -> None:
        """Stops taking copies, after one last copy of the present state."""
        if self._changed and not self._paused:
            self._last = asyncio.create_task(self._wait_for(self._fork(False)))
        self._paused = True

    def resume(self) -> None:
        """Takes copies again, the next one soon."""
        self._paused, self._changed = False, True

    async def save(self, *, is_clean_stop: bool = False) -> None:
        """Writes a copy of the present state and reports the result."""
        if not self._paused:
            await self._wait_for(self._fork(is_clean_stop))

    async def _copies_end(self) -> None:
        """Returns when no copy is being written: otherwise an earlier one may end after the last one, and its report
        would say that the last changes are not saved. The waiter has one thread, so what it gets now comes after."""
        await asyncio.get_running_loop().run_in_executor(self._waiter, int)

    def _fork(self, is_clean_stop: bool) -> int:
        self._changed = False
        child = os.fork()
        if child == 0:
            self._write_and_exit(is_clean_stop)
        return child

    async def _wait_for(self, child: int) -> None:
        _, status, used = await asyncio.get_running_loop().run_in_executor(self._waiter, os.wait4, child, 0)
        self._pause = max(SAVE_SECONDS, (used.ru_utime + used.ru_stime) / SAVE_PROCESSOR_SHARE)
        if status:
            self._changed = True
            if os.WIFSIGNALED(status):
                self._write_report({"failed": f"the process that writes it was ended by signal {os.WTERMSIG(status)}"})

    async def _save_periodically(self) -> None:
        while True:
            await asyncio.sleep(self._pause)
            if self._changed:
                await self.save()

    def _write_and_exit(self, is_clean_stop: bool) -> None:
        """All that the forked process does: it only reads the server's memory, writes the copy and exits."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            signal.alarm(FORK_SECONDS_MAX)
            copy = saved_state.write_snapshot(self._folder, self._port, _write_services, is_clean_stop=is_clean_stop)
            self._write_report({"saved": copy.saved_at_ns, "in_order": is_clean_stop})
            code = 0
        except BaseException as error:
            self._write_report({"failed": str(error) or type(error).__name__})
        finally:
            os._exit(code)

    def _write_report(self, line: Message) -> None:
        # The process that reads reports may have been killed; the copy is still worth writing.
        with suppress(OSError):
            os.write(self._report, json.dumps(line).encode() + b"\n")


def _write_services(folder: Path) -> None:
    """Writes one file for each service, in ministack's own format; raises OSError when one could not be written."""
    from ministack import app
    from ministack.core import persistence

    reasons: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: reasons.append(record.getMessage())
    persistence.logger.addHandler(handler)
    persistence.STATE_DIR = str(folder)
    # ministack chooses the folder of the functions' code when it starts; a copy needs the code too.
    if functions := sys.modules.get("ministack.services.lambda_svc"):
        vars(functions)["CODE_BLOB_DIR"] = str(folder / "lambda-blobs")
    for service, state_of in app._build_persistence_save_dict().items():
        state = state_of()
        if state is not None:
            persistence.save_state(service, state)
            if not (folder / f"{service}.json").exists():
                raise OSError(reasons[-1].rpartition("Persistence: ")[2] if reasons else f"{service} is not written")


def _follow_stdin(loop: asyncio.AbstractEventLoop, application: SavingApplication, stop: asyncio.Event) -> None:
    while command := os.read(0, 1):
        loop.call_soon_threadsafe(application.pause if command == b"0" else application.resume)
    loop.call_soon_threadsafe(stop.set)


async def _serve(application: Any, folder: Path, port: int, report: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    saving = SavingApplication(application, folder, port, report)
    threading.Thread(target=_follow_stdin, args=(loop, saving, stop), daemon=True).start()
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    await serve(saving, config, shutdown_trigger=stop.wait)


def _raise_file_limit() -> None:
    import resource

    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _start_executions_at_once() -> None:
    """Leaves out the pause of 150 ms with which ministack begins each execution; AWS publishes no such delay."""
    from ministack.services import stepfunctions

    def sleep(seconds: float) -> None:
        if seconds != EXECUTION_PAUSE_SECONDS:
            time.sleep(seconds)

    vars(stepfunctions)["time"] = SimpleNamespace(**{**vars(time), "sleep": sleep})


def main(arguments: list[str]) -> None:
    """Serves until it is stopped by a signal or by the end of standard input."""
    folder, port, report = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    worker_pool.use_zygote()
    from ministack.app import app

    _start_executions_at_once()

    # The garbage collector leaves out what has been imported: otherwise it would scan all of it again and again while
    # every request waits.
    gc.freeze()
    _raise_file_limit()
    asyncio.run(_serve(app, folder, port, report))


if __name__ == "__main__":
    main(sys.argv[1:])
