"""A local server that takes what Sentry's SDK sends: envelopes, compressed or not."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SentryReceiver:
    """Takes envelopes on a free port of 127.0.0.1. status: what it answers. Use it as a context manager."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bodies.append(
                    gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                )
                self.send_response(receiver.status)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def dsn(self) -> str:
        """The DSN of a project there."""
        return f"http://0123456789abcdef@127.0.0.1:{self._server.server_address[1]}/1"

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events of all envelopes."""
        found: list[dict[str, Any]] = []
        for body in self.bodies:
            lines = [json.loads(line) for line in body.splitlines() if line]
            found += [lines[place + 1] for place, line in enumerate(lines) if line.get("type") == "event"]
        return found

    def __enter__(self) -> SentryReceiver:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
