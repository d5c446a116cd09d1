"""The embedded AWS in a thread of the test process.

Its HTTP server answers any client. This process's SDK clients need no HTTP: what they would send, complete and signed,
is given to the same ASGI application, and its response is what they parse. That saves more than a third of the
processor time of a call. Calls are as atomic as in a process of the emulator's own.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import socket
import threading
import uuid
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.httpsession import URLLib3Session
from urllib3.response import HTTPResponse

START_SECONDS_MAX = 120
STOP_SECONDS_MAX = 10
Message = dict[str, Any]
DYNAMODB = "DynamoDB_20120810"
# What requests to DynamoDB have in place of a signature; the emulator does not look at it.
UNSIGNED = "none"
# Status, headers and body of a response.
HttpParts = tuple[int, dict[str, str], bytes]


class EmulatorThread:
    """A running emulator. `url`: of its HTTP server, without a trailing slash."""

    def __init__(self, application: Any, listener: socket.socket) -> None:
        self._address = listener.getsockname()
        self.url = "http://{}:{}".format(*self._address)
        self._application = application
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._one_at_a_time = threading.Lock()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="embedded AWS", daemon=True)

    def start(self) -> None:
        """Start the thread; return when the emulator serves. Raises RuntimeError when it does not start."""
        self._thread.start()
        if not self._ready.wait(START_SECONDS_MAX):
            raise RuntimeError("the embedded AWS did not start")

    def stop(self) -> None:
        """Stop the emulator; its state is lost."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS_MAX)

    def answer(self, request: AWSPreparedRequest) -> AWSResponse:
        """The response to an SDK client's request."""
        target = _bytes(request.headers.get("X-Amz-Target", "")).decode()
        if target.startswith("DynamoDB_"):
            status, headers, content = self._answer_at_once(_call_dynamodb(target, _body(request)))
        else:
            responding = self._respond(self._scope(request), _body(request))
            if target.startswith("DynamoDB"):
                status, headers, content = self._answer_at_once(responding)
            else:
                status, headers, content = asyncio.run_coroutine_threadsafe(responding, self._loop).result()
        raw = HTTPResponse(BytesIO(content), headers, status, preload_content=False, request_method=request.method)
        return AWSResponse(request.url, status, headers, raw)

    def call_dynamodb(self, operation: str, body: bytes) -> None:
        """Execute an operation, whose request in JSON is given, without the SDK: its checks, signature and parsing are
        four fifths of the processor time of a small call. Raises RuntimeError when it is refused."""
        status, _, content = self._answer_at_once(_call_dynamodb(f"{DYNAMODB}.{operation}", body))
        if status != 200:
            raise RuntimeError(f"{operation} was refused: {content.decode()}")

    def _answer_at_once(self, responding: Coroutine[Any, Any, HttpParts]) -> HttpParts:
        """Execute a request to DynamoDB in the caller's thread, one at a time. ministack's DynamoDB never waits. Fifty
        parallel callers would otherwise keep the emulator's thread from running, and conflict far more often."""
        with self._one_at_a_time:
            try:
                contextvars.copy_context().run(responding.send, None)
            except StopIteration as done:
                parts: HttpParts = done.value
                return parts
        raise RuntimeError("the embedded DynamoDB waited for something")

    def _scope(self, request: AWSPreparedRequest) -> Message:
        url = urlsplit(request.url)
        headers = {name.lower(): _bytes(value) for name, value in request.headers.items()}
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "scheme": "http",
            "path": unquote(url.path),
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(b"host", url.netloc.encode()), *((name.encode(), value) for name, value in headers.items())],
            "client": ("127.0.0.1", 0),
            "server": self._address,
        }

    async def _respond(self, scope: Message, body: bytes) -> HttpParts:
        requests: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        responses: list[Message] = []

        async def receive() -> Message:
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            responses.append(message)

        await self._application(scope, receive, send)
        start = responses[0]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
        return start["status"], headers, b"".join(message.get("body", b"") for message in responses[1:])

    def _serve(self) -> None:
        from hypercorn.asyncio import serve
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"fd://{self._listener.detach()}"]
        config.keep_alive_timeout = 75
        config.loglevel = "WARNING"

        async def application(scope: Message, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                await self._application(scope, receive, send)
                return

            async def send_and_note(message: Message) -> None:
                await send(message)
                if message["type"] == "lifespan.startup.complete":
                    self._ready.set()

            await self._application(scope, receive, send_and_note)

        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve(application, config, shutdown_trigger=self._stop.wait))


# The emulators that run in threads of this process, by their URL.
_running: dict[str, EmulatorThread] = {}


def emulator_at(url: str) -> EmulatorThread | None:
    """The emulator with this URL, if it runs in a thread of this process."""
    return _running.get(url)


@contextmanager
def emulator_thread() -> Iterator[str]:
    """The URL of an emulator that runs until the block ends."""
    with pytest.MonkeyPatch.context() as environment:
        # ministack reads these when its modules are imported. Emulators in child processes must not inherit them.
        for name in ("IOT_MTLS_ENABLED", "SFTP_ENABLED", "SFN_WAIT_SCALE"):
            environment.setenv(name, "0")
        environment.setenv("LOG_LEVEL", "WARNING")
        from ministack.app import app
        from ministack.services import stepfunctions  # noqa: F401 - would be imported by its first request

        emulator = EmulatorThread(app, socket.create_server(("127.0.0.1", 0)))
        emulator.start()
    # The garbage collector leaves out what has been imported, which is much.
    gc.freeze()
    try:
        _running[emulator.url] = emulator
        with _sent_without_http(emulator):
            yield emulator.url
    finally:
        del _running[emulator.url]
        emulator.stop()


@contextmanager
def _sent_without_http(emulator: EmulatorThread) -> Iterator[None]:
    """Within the block, what the SDK's transport would send to the emulator goes to it directly. A request to DynamoDB
    gets a constant in place of a signature, which would be a fifth of a call's processor time."""
    send_by_http, add_signature = URLLib3Session.send, SigV4Auth.add_auth

    def send(transport: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        is_for_emulator = request.url.startswith(f"{emulator.url}/")
        return emulator.answer(request) if is_for_emulator else send_by_http(transport, request)

    def add_auth(signer: SigV4Auth, request: AWSRequest) -> None:
        if signer._service_name == "dynamodb" and request.url.startswith(f"{emulator.url}/"):
            request.headers["Authorization"] = UNSIGNED
        else:
            add_signature(signer, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(URLLib3Session, "send", send)
        patch.setattr(SigV4Auth, "add_auth", add_auth)
        yield


async def _call_dynamodb(target: str, body: bytes) -> HttpParts:
    """Calls the emulator's DynamoDB as its ASGI application does once it knows the service, in the account and the
    region of all tests. target: of the header, with the operation's name."""
    from ministack.services import dynamodb

    status, headers, content = await dynamodb.handle_request("POST", "/", {"x-amz-target": target}, body, {})
    return status, {"x-amzn-requestid": str(uuid.uuid4()), **headers}, _bytes(content)


def _body(request: AWSPreparedRequest) -> bytes:
    body = request.body
    return _bytes(body.read() if hasattr(body, "read") else body or b"")


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
