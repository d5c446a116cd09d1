"""The local edge: one address before the API, Studio and the buckets, acting as the distribution in infra/edge.yaml.

Listens on loopback only. Besides forwarding requests, it does what the CloudFront Function `GreetViewer` does: it sets
the viewer's address, fills in the authorizer's header when it is missing, decodes the slashes in model names and
answers CORS preflights. It adds the headers of the distribution's policies (CORS headers among them), checks signed
URLs, reads the bucket with its own credentials (as origin access control does), and turns the emulator's failures into
the API's error envelope.
"""

from __future__ import annotations

import asyncio
import errno
import gzip
import json
import os
import re
import time
import uuid
import zlib
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import HttpVersion11, web
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from multidict import CIMultiDict
from yarl import URL

from infra.local.distribution import PREFLIGHT_HEADER, Behaviour, Distribution
from infra.local.hosted_sites import show_site, site_label
from infra.local.signed_urls import SignedUrls, UrlRefused
from infra.local.sockets import HandshakeRefused, forward_socket

BODY_BYTES_MAX = 10 * 1024 * 1024  # the gateway's own limit
# Each request in progress occupies a worker process of the emulator. More of them than the processors can serve would
# only slow down each other's cold starts. Requests that wait for a result (`Prefer: wait`) use no processor time, so
# they are counted apart.
REQUESTS_MAX = max(8, 4 * (os.cpu_count() or 1))
WAITING_MAX = 64
# So many requests of one account may wait at the same time (template.yaml, WaitsAtOnce). The API answers most of the
# further ones at once, but only the API knows which of them wait. So they have a limit of their own, a little above
# what one account can fill with waiting requests: each request is one more worker to start.
WAITING_PER_CALLER_MAX = 8
WAITING_OVERFLOW_MAX = WAITING_PER_CALLER_MAX + 2
API_SECONDS_MAX = 30.0
# How long a client may take for the head of its first request, and for a body; then how long a connection may be idle.
HEAD_SECONDS_MAX = 30.0
BODY_SECONDS_MAX = 60.0
IDLE_SECONDS_MAX = 75.0
HEAD_BYTES_MAX = 16_384
CHUNK_BYTES = 256 * 1024
SOCKETS_ORIGIN = "live"  # of infra/edge.yaml
COMPRESSED_BYTES_MIN = 1000  # CloudFront leaves smaller files as they are
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# Headers by which a viewer could pretend to be the edge, and headers that the client library writes itself.
_NOT_FORWARDED = _HOP_BY_HOP | {
    "host",
    "content-length",
    "expect",
    "x-forwarded-for",
    "atelier-viewer-address",
    "atelier-edge-key",
}
_MEDIA_REQUEST_HEADERS = ("range", "if-range", "if-none-match", "if-modified-since", "if-match", "if-unmodified-since")
_MEDIA_RESPONSE_HEADERS = ("content-type", "content-length", "content-range", "accept-ranges", "etag", "last-modified")


class PortInUse(Exception):
    """Another program listens on the requested port."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where requests are forwarded to. `public_url`: the address that viewers use; signed URLs begin with it.
    `bucket_urls`: by the origin's name (media, static). `edge_key`: the secret that the edge sends to the API with each
    request. `socket_url`: of the WebSocket API. URLs have no trailing slash."""

    public_url: str
    api_url: str
    bucket_urls: Mapping[str, str]
    media_keys: Mapping[str, str]
    edge_key: str = ""
    socket_url: str = ""


class _Server(web.Server):
    """A server that gives a client limited time for the head of its first request. For later requests aiohttp does so
    itself: it counts a connection with a slow head as idle, and closes it."""

    def __init__(self, handler: Any, head_seconds_max: float, **options: Any) -> None:
        super().__init__(handler, **options)
        self._head_seconds_max = head_seconds_max
        self._deadlines: dict[object, asyncio.TimerHandle] = {}

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """A client has connected."""
        super().connection_made(handler, transport)
        later = asyncio.get_running_loop().call_later
        self._deadlines[handler] = later(self._head_seconds_max, _refuse_slow_head, transport)

    def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
        """A client has gone."""
        self.head_is_read(handler)
        super().connection_lost(handler, exc)

    def head_is_read(self, handler: object) -> None:
        """The head of the client's request has arrived."""
        if deadline := self._deadlines.pop(handler, None):
            deadline.cancel()


def _refuse_slow_head(transport: asyncio.Transport) -> None:
    transport.write(b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    transport.close()


class Edge:
    """One HTTP server on 127.0.0.1. `origins` may be replaced while it runs. `head_seconds_max`, `body_seconds_max`:
    how long a client may take to send them. `local_pages`: what answers a path that exists on this machine alone, and
    all paths below it."""

    def __init__(
        self,
        distribution: Distribution,
        *,
        head_seconds_max: float = HEAD_SECONDS_MAX,
        body_seconds_max: float = BODY_SECONDS_MAX,
        local_pages: Mapping[str, Callable[[web.BaseRequest], Awaitable[web.Response]]] | None = None,
    ) -> None:
        self._local_pages = local_pages or {}
        self._body_seconds_max = body_seconds_max
        self._head_seconds_max = head_seconds_max
        self._server: _Server | None = None
        self._distribution = distribution
        self._origins: Origins | None = None
        self._signed_urls = SignedUrls({})
        self._places = asyncio.Semaphore(REQUESTS_MAX)
        self._waiting_places = asyncio.Semaphore(WAITING_MAX)
        self._places_beyond = asyncio.Semaphore(WAITING_OVERFLOW_MAX)
        self._waiting: Counter[str] = Counter()
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def listen(self, port: int) -> int:
        """Listens on the port (0 = any free one) and answers 503 until `serve` is called; returns the port. Raises
        PortInUse."""
        # The emulator closes idle connections after 75 s. The edge closes them earlier, so that no request is sent on
        # a connection that the emulator is just closing.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=60)
        self._session = aiohttp.ClientSession(
            connector=connector,
            auto_decompress=False,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )

        self._server = _Server(
            self._handle,
            self._head_seconds_max,
            access_log=None,
            max_line_size=HEAD_BYTES_MAX,
            max_field_size=HEAD_BYTES_MAX,
            keepalive_timeout=IDLE_SECONDS_MAX,
            # `_unpacked` decompresses bodies, and bounds their size.
            auto_decompress=False,
        )

        self._runner = web.ServerRunner(self._server, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True)
        try:
            await site.start()
        except OSError as error:
            await self.close()
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"port {port} is in use by another program; choose one with PORT=…") from error
            raise
        return int(self._runner.addresses[0][1])

    def serve(self, origins: Origins) -> None:
        """Forwards requests to these origins from now on."""
        self._signed_urls = SignedUrls(origins.media_keys)
        self._origins = origins

    async def close(self) -> None:
        """Releases the port; requests in progress have one second to end."""
        if self._runner:
            await self._runner.cleanup()
        if self._session:
            await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._server:
            self._server.head_is_read(request.protocol)
        path = request.raw_path.partition("?")[0]
        label = site_label(request.headers.get("host", ""))
        if label is not None and self._origins is not None:
            return await show_site(request, label, self._origins.api_url, self._client)
        for place, answer in self._local_pages.items():
            if path == place or path.startswith(f"{place}/"):
                return await answer(request)
        behaviour = self._distribution.behaviour(path)
        try:
            response = await self._apply_behaviour(behaviour, request, path)
        except UrlRefused as refused:
            response = _error_response(403, "FORBIDDEN", str(refused))
        except (aiohttp.ClientError, TimeoutError):
            response = _error_response(503, "UNAVAILABLE", "The embedded AWS does not answer.", retryable=True)
        if not response.prepared:
            response.headers.update(_policy_headers(behaviour, request))
            if behaviour.signed:
                response.headers["cache-control"] = "no-store"
        return response

    async def _apply_behaviour(self, behaviour: Behaviour, request: web.BaseRequest, path: str) -> web.StreamResponse:
        origin = request.headers.get("origin")
        if request.method == "OPTIONS" and origin and request.headers.get(PREFLIGHT_HEADER):
            return web.Response(
                status=204, headers={"cache-control": "no-store", **behaviour.cors.preflight_headers(origin)}
            )
        if self._origins is None:
            return _error_response(503, "UNAVAILABLE", "The stack is starting.", retryable=True)
        if request.method not in behaviour.methods:
            return _error_response(403, "FORBIDDEN", "The distribution does not take that method here.")
        if behaviour.signed:
            self._signed_urls.check(self._origins.public_url + request.raw_path, time.time(), request.cookies)
        if behaviour.in_bucket:
            return await self._forward_to_bucket(request, path, behaviour, self._origins)
        if behaviour.origin == SOCKETS_ORIGIN:
            return await self._forward_socket(request, self._origins)
        return await self._forward_to_api(request, behaviour.origin_path, self._origins)

    async def _forward_socket(self, request: web.BaseRequest, origins: Origins) -> web.StreamResponse:
        if request.headers.get("upgrade", "").lower() != "websocket":
            return _error_response(426, "BAD_REQUEST", "Connect to this address with WebSocket.")
        headers = {
            "atelier-viewer-address": request.remote or "127.0.0.1",
            "atelier-edge-key": origins.edge_key,
            "user-agent": request.headers.get("user-agent", ""),
        }
        url = f"{origins.socket_url}?{request.raw_path.partition('?')[2]}"
        try:
            return await forward_socket(request, self._client, url, headers)
        except HandshakeRefused:
            return _error_response(401, "UNAUTHENTICATED", "The ticket is unknown, used, over, or of another address.")

    async def _forward_to_api(self, request: web.BaseRequest, prefix: str, origins: Origins) -> web.Response:
        if (request.content_length or 0) > BODY_BYTES_MAX:
            return _error_response(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {BODY_BYTES_MAX} bytes.")
        try:
            async with asyncio.timeout(self._body_seconds_max):
                body = await _read_body(request) if request.body_exists else None
        except TimeoutError:
            answer = _error_response(408, "REQUEST_TIMEOUT", "The body took too long to arrive.", retryable=True)
            answer.force_close()
            return answer
        if body is not None and len(body) > BODY_BYTES_MAX:
            return _error_response(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {BODY_BYTES_MAX} bytes.")

        headers = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in _NOT_FORWARDED)
        if not headers.get("authorization"):
            headers["authorization"] = "none"
        viewer = request.remote or "127.0.0.1"
        headers["atelier-viewer-address"] = headers["x-forwarded-for"] = viewer
        headers["atelier-edge-key"] = origins.edge_key

        if body and headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip"):
            body = _decompress(body, headers)
            if len(body) > BODY_BYTES_MAX:
                return _error_response(413, "PAYLOAD_TOO_LARGE", f"The body is larger than {BODY_BYTES_MAX} bytes.")

        name, question, query = request.raw_path.partition("?")
        path = prefix + ("/" + self._distribution.root_object if name == "/" else name) + question + query
        waits = "wait" in headers.get("prefer", "") or (request.method == "POST" and path.startswith("/v1/"))
        waits = waits or (name == "/api/events" and "wait=" in query)
        if path.startswith("/v1/models/"):
            name, question, query = path.partition("?")
            path = re.sub("%2F", "/", name, flags=re.IGNORECASE) + question + query

        async with (
            self._request_slot(headers["authorization"], waits=waits),
            self._client.request(
                request.method,
                URL(origins.api_url + path, encoded=True),
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=API_SECONDS_MAX),
            ) as answer,
        ):
            content = await answer.read()
            kept = CIMultiDict(
                (k, v)
                for k, v in answer.headers.items()
                if k.lower() not in _HOP_BY_HOP | {"content-length", "date", "server"}
            )
            return web.Response(status=answer.status, body=content, headers=kept)

    @asynccontextmanager
    async def _request_slot(self, caller: str, *, waits: bool) -> AsyncGenerator[None]:
        """Waits until one more request may be sent to the API, and counts it until the end of the block.
        caller: the Authorization header, which identifies whose waiting requests these are."""
        if not waits or self._waiting[caller] >= WAITING_PER_CALLER_MAX:
            async with self._places_beyond if waits else self._places:
                yield
            return
        self._waiting[caller] += 1
        try:
            async with self._waiting_places:
                yield
        finally:
            self._waiting[caller] -= 1
            self._waiting += Counter()  # Removes callers whose count is zero.

    async def _forward_to_bucket(
        self, request: web.BaseRequest, path: str, behaviour: Behaviour, origins: Origins
    ) -> web.StreamResponse:
        url = origins.bucket_urls[behaviour.origin] + path
        wanted = {name: request.headers[name] for name in _MEDIA_REQUEST_HEADERS if name in request.headers}
        signed = _sign_for_bucket(request.method, url, wanted)
        async with self._client.request(request.method, URL(url, encoded=True), headers=signed) as origin:
            if origin.status >= 400 and origin.status not in (412, 416):
                # The same answer for a missing file and for another workspace's; the bucket's own error is not shown.
                return _error_response(403, "FORBIDDEN", "There is no such file.")
            names = _MEDIA_RESPONSE_HEADERS if origin.status < 400 else ("content-range",)
            headers = {name: origin.headers[name] for name in names if name in origin.headers}
            if behaviour.compress and origin.status == 200 and _takes_gzip(request):
                return await _compressed(request, origin, headers)
            answer = web.StreamResponse(
                status=origin.status, headers={**headers, **_policy_headers(behaviour, request)}
            )
            await answer.prepare(request)
            if request.method != "HEAD" and origin.status in (200, 206):
                async for chunk in origin.content.iter_chunked(CHUNK_BYTES):
                    await answer.write(chunk)
            await answer.write_eof()
            return answer

    @property
    def _client(self) -> aiohttp.ClientSession:
        assert self._session is not None, "listen comes first"
        return self._session


def _takes_gzip(request: web.BaseRequest) -> bool:
    return "range" not in request.headers and "gzip" in request.headers.get("accept-encoding", "")


async def _compressed(
    request: web.BaseRequest, origin: aiohttp.ClientResponse, headers: Mapping[str, str]
) -> web.Response:
    """A file of at least 1,000 bytes, compressed as CloudFront compresses the text formats."""
    body = await origin.read()
    kept = {name: value for name, value in headers.items() if name not in ("content-length", "accept-ranges")}
    if len(body) >= COMPRESSED_BYTES_MIN:
        body = gzip.compress(body, mtime=0)
        kept |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
    return web.Response(body=body, headers=kept)


def _decompress(body: bytes, headers: CIMultiDict[str]) -> bytes:
    """Decompresses the body of a gzip request, up to one byte beyond the limit. The emulator would decode compressed
    bytes as text and damage them; on AWS they reach the function, which decompresses them (`atelier/http`)."""
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = reader.decompress(body, BODY_BYTES_MAX + 1)
    except zlib.error:
        return body
    if len(plain) <= BODY_BYTES_MAX and (not reader.eof or reader.unused_data):
        return body
    del headers["content-encoding"]
    return plain


def _policy_headers(behaviour: Behaviour, request: web.BaseRequest) -> dict[str, str]:
    """The headers that the distribution adds to the answer."""
    origin = request.headers.get("origin", "")
    return {**behaviour.headers, **behaviour.cors.response_headers(origin)}


async def _read_body(request: web.BaseRequest) -> bytes:
    if request.headers.get("expect", "").lower() == "100-continue" and request.version >= HttpVersion11:
        # curl and other clients wait for this interim response before they send a large body.
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    # One byte more than allowed is enough to know that the body is too large.
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > BODY_BYTES_MAX:
            break
    return bytes(data)


def _sign_for_bucket(method: str, url: str, headers: Mapping[str, str]) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, headers=dict(headers))
    request.context["payload_signing_enabled"] = False
    S3SigV4Auth(Credentials("test", "test"), "s3", "us-east-1").add_auth(request)
    return dict(request.headers.items())


def _error_response(status: int, code: str, message: str, *, retryable: bool = False) -> web.Response:
    envelope: dict[str, Any] = {
        "success": False,
        "error": code,
        "message": message,
        "details": {},
        "request_id": str(uuid.uuid4()),
        "retryable": retryable,
    }
    return web.Response(status=status, body=json.dumps(envelope).encode(), content_type="application/json")
