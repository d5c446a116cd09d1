"""Many connections on one workspace's channel, which are cut at random while pictures are made: each client gets every
event once and in order, by coming back with its cursor."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from websockets.exceptions import ConnectionClosed

from tests.local.client import AccountClient
from tests.local.conftest import Stack
from tests.local.sockets import Socket
from tests.local.test_realtime import LIFE

CLIENTS, GENERATIONS = 12, 12
SECONDS_MAX = 150.0


class Watcher:
    """A client that listens to its workspace, and connects again whenever its connection ends."""

    def __init__(self, account: AccountClient, seed: int) -> None:
        self.sequences: list[int] = []
        self.types: list[str] = []
        self.connections = 0
        self._account, self._random = account, random.Random(seed)

    def watch(self, cursor: int, events: int, stop: threading.Event) -> None:
        while len(self.sequences) < events and not stop.is_set():
            with Socket(self._account) as socket:
                self.connections += 1
                socket.send(action="subscribe", channel="workspace", cursor=cursor)
                # After so many messages it is cut, without a goodbye.
                left = self._random.randint(3, 25)
                try:
                    while left and len(self.sequences) < events and not stop.is_set():
                        left -= 1
                        cursor = self._take(socket, cursor)
                    socket.connection.socket.close()
                except (ConnectionClosed, TimeoutError, EOFError, OSError):
                    continue

    def _take(self, socket: Socket, cursor: int) -> int:
        message = socket.receive(5)
        if message["type"] == "subscribed":
            return cursor
        assert message["type"] != "error", message
        self.sequences.append(message["sequence"])
        self.types.append(message["type"])
        return int(message["sequence"])


def test_cut_connections_miss_nothing_and_get_nothing_twice(stack: Stack) -> None:
    account = AccountClient(stack.base_url)
    start = account.get("/api/events", channel="workspace").json()["data"]["next_cursor"]
    events = GENERATIONS * len(LIFE)
    watchers = [Watcher(account, seed) for seed in range(CLIENTS)]
    stop = threading.Event()
    with ThreadPoolExecutor(CLIENTS) as pool:
        watching = [pool.submit(watcher.watch, start, events, stop) for watcher in watchers]
        try:
            for number in range(GENERATIONS):
                # The account's credits are few, so the pictures are small.
                answer = account.generate(f"wave {number}", width=64, height=64)
                assert answer.status_code == 202, answer.text
            deadline = time.monotonic() + SECONDS_MAX
            for task in watching:
                task.result(timeout=max(1.0, deadline - time.monotonic()))
        finally:
            stop.set()
    for watcher in watchers:
        first = watcher.sequences[0]
        assert watcher.sequences == list(range(first, first + events))
        assert sorted(watcher.types) == sorted(LIFE * GENERATIONS)
    # Every client came back several times, or the test has shown nothing.
    assert min(watcher.connections for watcher in watchers) >= 2
