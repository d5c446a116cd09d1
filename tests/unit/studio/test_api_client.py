"""The client of the API against a server that takes a request and closes the connection, and one that is not there."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from studio.api_client import ApiClient, ApiError


class ClosingServer:
    """Takes each request and closes its connection without an answer. `methods`: of the requests that came."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.methods: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                head = connection.recv(65_536).decode()
                if head:
                    # Before the connection is closed, because the client goes on then.
                    self.methods.append(head.partition(" ")[0])
            if not head:
                return

    def close(self) -> None:
        # A connection without a request ends the thread.
        socket.create_connection(self._socket.getsockname()).close()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server() -> Iterator[ClosingServer]:
    server = ClosingServer()
    yield server
    server.close()


@pytest.mark.parametrize(("method", "sent"), [("GET", 2), ("POST", 1), ("PUT", 1), ("DELETE", 1)])
def test_only_a_request_that_changes_nothing_is_sent_again(server: ClosingServer, method: str, sent: int) -> None:
    with pytest.raises(ApiError) as refused:
        ApiClient(server.url, {}).call(method, "/api/things", None if method == "GET" else {})
    assert (refused.value.status, refused.value.code, refused.value.retryable) == (503, "UNAVAILABLE", True)
    assert server.methods == [method] * sent


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(ApiError) as refused:
        ApiClient(url, {}).get("/api/things")
    assert refused.value.code == "UNAVAILABLE"
