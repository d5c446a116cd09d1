"""A client of the WebSocket API, by the library `websockets`."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import connect

from tests.local.client import AccountClient

SECONDS_MAX = 30.0


def ticket_url(account: AccountClient) -> str:
    """Where a new connection of an account is opened, once."""
    answer = account.http.post("/api/realtime/tickets")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["url"])


class Socket:
    """A connection of an account, in its workspace."""

    def __init__(self, account: AccountClient) -> None:
        self._open = ExitStack()
        self.connection = self._open.enter_context(connect(ticket_url(account), open_timeout=SECONDS_MAX))

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def send(self, **message: Any) -> None:
        self.connection.send(json.dumps(message))

    def receive(self, seconds: float = SECONDS_MAX) -> dict[str, Any]:
        """The next message."""
        return json.loads(self.connection.recv(timeout=seconds))

    def subscribe(self, channel: str, cursor: int | None = None) -> int:
        """Listens to a channel; returns from which event on."""
        self.send(action="subscribe", channel=channel, **({} if cursor is None else {"cursor": cursor}))
        answer = self.receive()
        assert answer["type"] == "subscribed", answer
        assert answer["channel"] == channel
        return int(answer["sequence"])

    def receive_until(self, type: str) -> list[dict[str, Any]]:
        """The messages up to the first of a type."""
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + SECONDS_MAX
        while not found or found[-1]["type"] != type:
            assert time.monotonic() < deadline, found
            found.append(self.receive())
        return found
