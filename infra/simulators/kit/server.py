"""A loopback server in the place of a provider: routes, a record of its requests, and faults on request.

A simulator is a subclass of `Simulator` that lists its `routes`. A prompt asks for faults by markers in
double brackets; it may hold several, as in `a lake [[create:429]] [[output:gone]]`. `[[fal/create:429]]` is for fal's
simulator only. These markers mean the same in all simulators:

    create:NAME                  the creation is refused with the answer NAME of the table `refusals`; no work begins
    create:500 502 lost hang     work begins, then the answer is: that status, a closed connection, never sent
    create:garbage empty         work begins, then the answer is: no JSON, an empty object
    run:slow=SECONDS             the work takes that long
    output:gone denied text svg broken bomb huge slow redirect    the result's file is faulty in that way
    output:private file          the result's URL is the cloud's metadata address, or a local file

`POST /_simulator/behave {"markers": [...], "creations": n}` applies markers to the next n creations, whatever their
prompts. `GET /_simulator/calls` lists the requests to the API (`method`, `path`, `headers` with lower-case names, and
`body`, parsed), `GET /_simulator/webhooks` the webhook deliveries, `GET /_simulator/health` answers when it runs,
and `POST /_simulator/reset` clears all records.
"""

from __future__ import annotations

import argparse
import re
import secrets
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from infra.simulators.kit.faults import (
    ENDLESS_BYTES,
    LOST_ANSWERS,
    METADATA_URL,
    Answer,
    Fault,
    Refusal,
    markers_in,
    options_of,
)
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.samples import sample_png

BODY_BYTES_MAX = 128 * 1024 * 1024
# Pauses before a webhook is posted again when the receiver did not accept it.
RETRIES_AFTER_SECONDS = (0.2, 0.5, 1.0)


class ConnectionLost(Exception):
    """The server closes the connection without a response."""


class ConnectionHung(Exception):
    """The server leaves the connection open and sends no response."""


class RequestRefused(Exception):
    """Ends the handling of a request with this response; a route's helper functions may raise it."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


# Method, pattern of the path, and what answers: called with the request and the pattern's groups.
Route = tuple[str, str, Callable[..., Response]]


@dataclass
class _ResultFile:
    make: Callable[[], bytes]
    content_type: str
    options: list[str]
    expires_at: float


class Simulator:
    """A server in the place of a provider; a context manager. `api_key`: the key that it accepts. `run_seconds`: how
    long ordinary work takes. `file_seconds`: how long the URL of a result is valid. `name`: the provider's id.

    A subclass lists `routes` (the first one that fits is called). `check_request` may refuse a request before its route
    is called. `base_path`: where the provider's API begins below the address; `example_marker`: a marker to try first;
    `on_platform`: whether the platform has access to this provider, which only a workspace has to an endpoint of its
    own.

    The provider's cases in the contract tests are data of the subclass: `refusals`, by the NAME in the marker
    `create:NAME`; `faults` of work that has begun, by their markers; `tried_with`, models of the catalogue with a kind
    each; `further_apis`, the APIs (a model's setting `api`) by kind that refusals and lost answers are tried at too.
    A service that makes no media has plain answers as its refusals. `jobs_begun` counts the creations that were not
    refused."""

    api_key_default: ClassVar[str] = "simulator"
    base_path: ClassVar[str] = ""
    example_marker: ClassVar[str] = "create:503"
    on_platform: ClassVar[bool] = True
    tried_with: ClassVar[tuple[tuple[str, str], ...]] = ()
    further_apis: ClassVar[dict[str, str]] = {}
    refusals: ClassVar[Mapping[str, Refusal | Answer]] = {}
    faults: ClassVar[dict[str, Fault]] = LOST_ANSWERS

    def __init__(
        self,
        port: int = 0,
        *,
        api_key: str | None = None,
        run_seconds: float = 0.1,
        file_seconds: float = 3600,
        name: str | None = None,
    ) -> None:
        self.name = name or type(self).__module__.rpartition(".")[2]
        self.api_key = api_key or self.api_key_default
        self.run_seconds = run_seconds
        self.file_seconds = file_seconds
        self.lock = threading.RLock()
        self.stopping = threading.Event()
        self.calls: list[dict[str, Any]] = []
        self.deliveries: list[dict[str, Any]] = []
        self.jobs_begun = 0
        self._behaviour: tuple[list[str], int] = ([], 0)
        self._files: dict[str, _ResultFile] = {}
        self._routes = [(method, re.compile(pattern), answer) for method, pattern, answer in self.routes()]
        simulator = self

        class Handler(_Handler):
            owner = simulator

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def reset(self) -> None:
        """Clear all records and faults. A subclass with state of its own clears that too."""
        with self.lock:
            self.calls, self.deliveries, self._behaviour, self._files = [], [], ([], 0), {}
            self.jobs_begun = 0

    # ---- misbehaviour ------------------------------------------------------------------------------------------------

    def behave(self, *markers: str, creations: int = 1) -> None:
        """Treat the next creations as if their prompts held these markers."""
        with self.lock:
            self._behaviour = (list(markers), creations)

    def markers(self, prompt: object) -> list[str]:
        """The markers that apply to a creation with this prompt; counts it as one creation for `behave`."""
        found = markers_in(prompt, self.name)
        with self.lock:
            extra, creations = self._behaviour
            if creations > 0:
                found += extra
                self._behaviour = (extra, creations - 1)
        return found

    def refusal_for(self, markers: list[str]) -> Response | None:
        """The refusal that the markers ask for, if any; the route returns it before any work begins."""
        found = next((self.refusals[name] for name in options_of(markers, "create") if name in self.refusals), None)
        answer = found.answer if isinstance(found, Refusal) else found
        return answer() if callable(answer) else answer

    def with_faults(self, markers: list[str], answer: Response) -> Response:
        """The answer to a creation whose work has begun: `answer`, or the faulty one that the markers ask for. Raises
        ConnectionLost or ConnectionHung."""
        with self.lock:
            self.jobs_begun += 1
        for name in options_of(markers, "create"):
            if name == "lost":
                raise ConnectionLost
            if name == "hang":
                raise ConnectionHung
            if name == "garbage":
                return Response(200, b"<html>down for maintenance</html>", {"content-type": "text/html"})
            if name == "empty":
                return Response(200, {})
            if name in ("500", "502"):
                return self.server_error(int(name))
        return answer

    def take_options(self, kind: str) -> list[str]:
        """The options of a kind that `behave` asks for, outside of a creation; counts as one when there are any."""
        with self.lock:
            extra, creations = self._behaviour
            options = options_of(extra, kind) if creations > 0 else []
            if options:
                self._behaviour = (extra, creations - 1)
        return options

    def server_error(self, status: int) -> Response:
        """An error after work has begun; a subclass returns its provider's format."""
        return Response(status, {"error": {"message": "An unexpected error occurred.", "type": "server_error"}})

    # ---- hooks -------------------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """The base URL that the provider's adapter is given."""
        return self.url + self.base_path

    @property
    def access(self) -> dict[str, str]:
        """The provider's entry in the secret with the platform's access."""
        return {"api_key": self.api_key}

    def routes(self) -> list[Route]:
        """The routes of the API, in the order in which they are tried."""
        return []

    def check_request(self, request: Request) -> Response | None:
        """The refusal of a request before its route is called, for a wrong key or a missing header; None accepts it."""
        return None

    def not_found(self, request: Request) -> Response:
        return Response(404, {"error": {"message": f"Unknown request URL: {request.path}", "type": "not_found"}})

    # ---- result files ------------------------------------------------------------------------------------------------

    def result_url(
        self,
        make: Callable[[], bytes],
        content_type: str,
        suffix: str,
        markers: list[str] | None = None,
        stem: str | None = None,
    ) -> str:
        """The URL of a result file. `make` creates the file when it is fetched; the markers may make it faulty. `stem`:
        the file's name without its suffix; None = a random one."""
        options = options_of(markers or [], "output")
        if "private" in options:
            return METADATA_URL
        if "file" in options:
            return "file:///etc/hostname"
        name = f"{stem or secrets.token_hex(12)}.{suffix}"
        with self.lock:
            self._files[name] = _ResultFile(make, content_type, options, time.monotonic() + self.file_seconds)
        return f"{self.url}/_files/{name}"

    def serve_file(self, name: str) -> Response:
        file = self._files.get(name)
        if file is None or "gone" in file.options or file.expires_at < time.monotonic():
            return Response(404, b"not found", {"content-type": "text/plain"})
        kind = {"content-type": file.content_type}

        for option in file.options:
            match option:
                case "denied":
                    return Response(403, b"expired", {"content-type": "text/plain"})
                case "redirect":
                    return Response(302, b"", {"location": METADATA_URL})
                case "text":
                    return Response(200, b"<html><script>alert(1)</script></html>", kind)
                case "svg":
                    return Response(200, b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', kind)
                case "huge":
                    return Response(200, headers=kind, pieces=(b"\0" * 65536 for _ in range(ENDLESS_BYTES // 65536)))
                case "slow":
                    return Response(200, headers=kind, pieces=self._drip(600, 0.1))
                case "bomb":
                    return Response(200, sample_png(64, 64, 0, declared=(30_000, 30_000)), kind)
                case "broken":
                    data = file.make()
                    return Response(200, data[: len(data) // 2], kind)
                case _:
                    pass
        return Response(200, file.make(), kind)

    def _drip(self, count: int, pause_seconds: float) -> Iterator[bytes]:
        for _ in range(count):
            yield b"\x89"
            if self.stopping.wait(pause_seconds):
                return

    # ---- webhooks ----------------------------------------------------------------------------------------------------

    def send_webhook(
        self,
        url: str,
        body: bytes,
        sign: Callable[[], dict[str, str]],
        *,
        pauses: tuple[float, ...] = RETRIES_AFTER_SECONDS,
        **noted: Any,
    ) -> int:
        """Post a webhook, and again after each of the `pauses` (seconds) while the receiver does not accept it. `sign`
        returns the signature headers, anew for each try. Returns the last status, 0 for no answer. Each try is listed
        with the fields `noted`."""
        status = 0
        for pause in (*pauses, None):
            status = _post(url, {"content-type": "application/json", **sign()}, body)
            with self.lock:
                self.deliveries.append({**noted, "status": status})
            if 200 <= status < 300 or pause is None or self.stopping.wait(pause):
                break
        return status

    # ---- control -----------------------------------------------------------------------------------------------------

    def serve_control(self, request: Request) -> Response | None:
        """The routes that control the simulator, below /_simulator and /_files; a subclass may add some."""
        match request.method, request.path:
            case "GET", "/_simulator/health":
                return Response(200, {"status": "ok"})
            case "GET", "/_simulator/calls":
                with self.lock:
                    return Response(200, {"calls": list(self.calls)})
            case "GET", "/_simulator/webhooks":
                with self.lock:
                    return Response(200, {"webhooks": list(self.deliveries)})
            case "POST", "/_simulator/behave":
                body = request.json()
                self.behave(*body["markers"], creations=int(body.get("creations", 1)))
                return Response(200, {})
            case "POST", "/_simulator/reset":
                self.reset()
                return Response(200, {})
            case "GET", path if path.startswith("/_files/"):
                return self.serve_file(path.removeprefix("/_files/"))
            case _:
                return None

    def handle(self, request: Request) -> Response:
        """Find the route and call it. Raises ConnectionLost or ConnectionHung."""
        if request.path.startswith("/_"):
            return self.serve_control(request) or self.not_found(request)
        with self.lock:
            self.calls.append(request.to_json())
        refusal = self.check_request(request)
        if refusal is not None:
            return refusal
        for method, pattern, function in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                try:
                    return function(request, *found.groups())
                except RequestRefused as refused:
                    return refused.answer
        return self.not_found(request)


class _Handler(BaseHTTPRequestHandler):
    owner: Simulator
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_version = "simulator"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: /_simulator/calls lists the requests."""

    def do_GET(self) -> None:
        if self.owner.stopping.is_set():
            self.close_connection = True
            return
        size = min(int(self.headers.get("content-length") or 0), BODY_BYTES_MAX)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, self.rfile.read(size))
        try:
            self._send(self.owner.handle(request))
        except (ConnectionLost, BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        except ConnectionHung:
            self.owner.stopping.wait(600)
            self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.do_GET()

    def do_OPTIONS(self) -> None:
        self.do_GET()

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_DELETE(self) -> None:
        self.do_GET()

    def _send(self, answer: Response) -> None:
        self.send_response(answer.status)
        for name, value in {"content-type": answer.content_type, **answer.headers}.items():
            self.send_header(name, value)
        if answer.pieces is None:
            data = answer.data
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for piece in answer.pieces:
            self.wfile.write(piece)
            self.wfile.flush()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def _post(url: str, headers: dict[str, str], body: bytes) -> int:
    request = urllib.request.Request(url, body, headers, method="POST")  # the caller of the simulator chose it
    try:
        with _opener.open(request, timeout=5) as response:
            return response.status
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


# ---- the program -----------------------------------------------------------------------------------------------------


def main(kind: type[Simulator], name: str) -> None:
    """The program `python -m infra.simulators.<name>`: prints the server's URL and serves until it is stopped."""
    parser = argparse.ArgumentParser(prog=f"python -m infra.simulators.{name}", description=kind.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--api-key", default=kind.api_key_default)
    parser.add_argument("--run-seconds", type=float, default=1.0, help="how long ordinary work takes")
    arguments = parser.parse_args()
    done = threading.Event()
    for number_of in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number_of, lambda _number, _place: done.set())
    with kind(arguments.port, api_key=arguments.api_key, run_seconds=arguments.run_seconds, name=name) as simulator:
        print(simulator.url, flush=True)
        done.wait()
