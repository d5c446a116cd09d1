"""Many connections on one workspace's channel: `python -m tests.bench.watchers [CLIENTS GENERATIONS SECONDS]`.

Generations are made one after the other; each client is cut at random, without a goodbye, for SECONDS, and comes back
with its cursor. Fails unless every client got every event once and in order. Prints messages a second, how late they
came, and the memory of each kind of process before, in the middle and at the end. No part of `make test` or
`make bench`: it takes minutes, and needs the machine for itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from infra.local.stack_process import RunningStack
from tests.bench.measure import percentile
from tests.bench.stack import WITHOUT_LIMITS
from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.teams import create_organization, subscribe, working_in

CLIENTS, GENERATIONS, SECONDS = 100, 200, 120
# queued, running, succeeded, its file, its credits
EVENTS = 5
OPENING_AT_ONCE = 20
# Two processors open some ten connections a second beside the rest: so long stays a connection, in seconds a client.
CONNECTED_SECONDS = (0.1, 0.3)
TIMEOUT_SECONDS = 300.0


class Watcher:
    """One client. `delays`: seconds from an event to its message, of events that happened while it was connected."""

    def __init__(self, load: Load, seed: int) -> None:
        self.sequences: list[int] = []
        self.delays: list[float] = []
        self.doubles = 0
        self.connections = 0
        self._load, self._random = load, random.Random(seed)

    async def watch(self, cursor: int) -> None:
        load = self._load
        while not load.all_seen(self):
            try:
                async with load.opening:
                    url = await asyncio.get_running_loop().run_in_executor(load.threads, load.ticket_url)
                    socket = await connect(url, open_timeout=TIMEOUT_SECONDS)
            except (OSError, InvalidHandshake, TimeoutError):
                load.refused += 1
                continue
            self.connections += 1
            try:
                ask = {"action": "subscribe", "channel": "workspace", "cursor": cursor}
                await socket.send(json.dumps(ask))
                async with asyncio.timeout(self._seconds_to_cut()):
                    while not load.all_seen(self):
                        cursor = self._take(json.loads(await socket.recv()), cursor)
            except (ConnectionClosed, TimeoutError):
                pass
            socket.transport.abort()

    def _seconds_to_cut(self) -> float:
        """Once the cuts are over, a connection stays."""
        left = self._load.cuts_end - time.monotonic()
        if left <= 0:
            return TIMEOUT_SECONDS
        return max(5.0, self._load.clients * self._random.uniform(*CONNECTED_SECONDS))

    def _take(self, message: dict[str, Any], cursor: int) -> int:
        if message["type"] in ("subscribed", "pong"):
            return cursor
        assert message["type"] != "error", message
        sequence = int(message["sequence"])
        if sequence <= cursor:
            self.doubles += 1
            return cursor
        self.sequences.append(sequence)
        self._load.note(message, self)
        return sequence


class Load:
    """What all clients share. refused: how many handshakes failed."""

    def __init__(self, account: AccountClient, clients: int, expected: int) -> None:
        self.opening = asyncio.Semaphore(OPENING_AT_ONCE)
        self.threads = ThreadPoolExecutor(OPENING_AT_ONCE)
        self.clients = clients
        self.cuts_end = 0.0
        self.refused = 0
        self.types: Counter[str] = Counter()
        self._account, self._expected = account, expected

    def all_seen(self, watcher: Watcher) -> bool:
        """Whether a client has as many events as there will be."""
        return len(watcher.sequences) >= self._expected

    def ticket_url(self) -> str:
        """Where a new connection is opened, once."""
        answer = self._account.http.post("/api/realtime/tickets", timeout=TIMEOUT_SECONDS)
        if answer.status_code != 201:
            raise ConnectionError(answer.text)
        return str(answer.json()["data"]["url"])

    def note(self, message: dict[str, Any], watcher: Watcher) -> None:
        """Counts an event of a client."""
        self.types[message["type"]] += 1
        happened = time.mktime(time.strptime(message["at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
        watcher.delays.append(time.time() - happened - int(message["at"][20:23]) / 1000)


def memory_by_process() -> dict[str, int]:
    """MB of resident memory of this process and of the stack that it started, by what they are."""
    processes = dict(_processes())
    found: Counter[str] = Counter()
    for process_id, (_, command, megabytes) in processes.items():
        ancestor = process_id
        while ancestor in processes and ancestor != os.getpid():
            ancestor = processes[ancestor][0]
        kind = next((kind for text, kind in KINDS.items() if text in command), None)
        if kind and ancestor == os.getpid():
            found[kind] += megabytes
    return dict(found)


def _processes() -> Iterator[tuple[int, tuple[int, str, int]]]:
    """(process id, (parent's id, command, MB)) of this machine's processes."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            status = (folder / "status").read_text()
        except OSError:
            continue
        if "VmRSS:" in status:
            parent, kilobytes = (int(status.partition(name)[2].split()[0]) for name in ("PPid:", "VmRSS:"))
            yield int(folder.name), (parent, command, kilobytes // 1024)


KINDS = {
    "tests.bench.watchers": "clients",
    "infra.local --port": "edge",
    "infra.local.emulator_process": "embedded AWS",
    "zygote.py": "functions",
}


async def measure(account: AccountClient, clients: int, generations: int, seconds: float) -> bool:
    """Runs the load, prints its figures; whether nothing was missed and nothing came twice."""
    cursor = account.get("/api/events", channel="workspace").json()["data"]["next_cursor"]
    load = Load(account, clients, generations * EVENTS)
    load.cuts_end = time.monotonic() + seconds
    watchers = [Watcher(load, seed) for seed in range(clients)]
    print("memory before:", memory_by_process(), flush=True)
    started = time.monotonic()
    tasks = [asyncio.create_task(watcher.watch(cursor)) for watcher in watchers]
    await asyncio.gather(
        _report(watchers, started, load), *tasks, _generate(account, generations, seconds, load.threads)
    )
    took = time.monotonic() - started
    print("memory after:", memory_by_process())
    messages = sum(len(watcher.sequences) for watcher in watchers)
    delays = sorted(delay for watcher in watchers for delay in watcher.delays)
    print(f"{clients} clients, {generations} generations, cut for {seconds:.0f} s: {took:.0f} s")
    print(f"{messages:,} messages, {messages / took:.0f} a second; {load.refused} handshakes refused")
    print(f"connections of a client: {min(w.connections for w in watchers)} to {max(w.connections for w in watchers)}")
    print(f"delay p50 {percentile(delays, 50):.1f} s, p95 {percentile(delays, 95):.1f} s, max {delays[-1]:.1f} s")
    whole = sum(_is_whole(watcher, generations * EVENTS) for watcher in watchers)
    print(f"{whole} of {clients} clients got each event once, in order; doubles {sum(w.doubles for w in watchers)}")
    return whole == clients


def _is_whole(watcher: Watcher, events: int) -> bool:
    first = watcher.sequences[0]
    return watcher.sequences == list(range(first, first + events))


async def _report(watchers: list[Watcher], started: float, load: Load) -> None:
    last, since = -1, time.monotonic()
    while not all(load.all_seen(watcher) for watcher in watchers):
        await asyncio.sleep(15)
        seen = sum(len(watcher.sequences) for watcher in watchers)
        print(f"{time.monotonic() - started:.0f} s: {seen:,} messages, {memory_by_process()}", flush=True)
        if seen != last:
            last, since = seen, time.monotonic()
        if time.monotonic() - since > TIMEOUT_SECONDS:
            raise TimeoutError(f"no message for {TIMEOUT_SECONDS:.0f} s")


async def _generate(account: AccountClient, count: int, seconds: float, threads: ThreadPoolExecutor) -> None:
    """Submits evenly over the time in which clients are cut."""
    begin = time.monotonic()
    for number in range(count):
        await asyncio.sleep(max(0.0, begin + number * seconds / count - time.monotonic()))
        submit = partial(account.generate, f"wave {number}", width=64, height=64)
        answer = await asyncio.get_running_loop().run_in_executor(threads, submit)
        assert answer.status_code == 202, answer.text


def main(arguments: list[str]) -> int:
    """Print the figures; 1 when a client missed an event."""
    clients, generations, seconds = (int(each) for each in arguments) if arguments else (CLIENTS, GENERATIONS, SECONDS)
    with tempfile.TemporaryDirectory() as folder, RunningStack(Path(folder), parameters=WITHOUT_LIMITS) as running:
        account = AccountClient(running.base_url)
        workspace_id = create_organization(account)
        # A plan, because a day's credits are few.
        subscribe(Stack(running.base_url, "", running, {}), account, workspace_id)
        account.http.headers.update(working_in(workspace_id))
        return 0 if asyncio.run(measure(account, clients, generations, seconds)) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
