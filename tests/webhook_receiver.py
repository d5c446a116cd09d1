"""A small HTTP server that records the POST and PUT requests it gets: the receiver of webhooks in tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class WebhookReceiver:
    """`posts`: the requests so far, as (path, headers with lower-case names, body). `statuses`: the statuses of the
    next answers; 200 when they are used up."""

    url: str
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list[tuple[str, dict[str, str], bytes]])
    statuses: list[int] = field(default_factory=list[int])
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds_max: float = 10) -> list[tuple[str, dict[str, str], bytes]]:
        """Waits until there are at least `count` posts; returns all posts so far."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, seconds_max), f"{len(self.posts)} came"
            return list(self.posts)


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    """A receiver on a free loopback port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            with receiver.arrived:
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.posts.append((self.path, headers, body))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.arrived.notify_all()
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def do_PUT(self) -> None:
            self.do_POST()

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: the requests are recorded."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = WebhookReceiver(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
