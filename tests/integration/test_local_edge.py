"""The local edge by itself, in front of an API that echoes its requests and a private bucket."""

from __future__ import annotations

import asyncio
import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiohttp import web

from atelier.adapters.aws.cloudfront import UrlSigner
from atelier.adapters.aws.signing_keys import new_url_keys
from infra.local.deploy import Aws
from infra.local.distribution import read_distribution
from infra.local.edge import (
    BODY_BYTES_MAX,
    HEAD_BYTES_MAX,
    WAITING_OVERFLOW_MAX,
    WAITING_PER_CALLER_MAX,
    Edge,
    Origins,
    PortInUse,
)
from infra.local.emulator import Emulator
from tests.polling import wait_until

ROOT = Path(__file__).parents[2]
KEYS = new_url_keys()
PICTURE = bytes(range(256)) * 40
KEY, PAGE_KEY = "media/wsp_1/abc.png", "media/wsp_1/def.html"
STYLE_KEY, STYLE = "static/studio.0.css", b"p { color: red }\n" * 200
PAGE = b"<!doctype html><script>alert(document.domain)</script>"


@dataclass(frozen=True, slots=True)
class World:
    """`base_url`: the edge's URL. `signer`: signs media URLs for it."""

    base_url: str
    signer: UrlSigner

    def signed(self, key: str = KEY, **age: int) -> str:
        """A signed URL of an object, signed `age` ago."""
        return self.base_url + self.signer.sign(key, datetime.now(UTC) - timedelta(**age))


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a private bucket with an image, a page and a staged file."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))
    emulator.start()
    s3 = Aws(emulator.endpoint).client("s3")
    s3.create_bucket(Bucket="media")
    s3.put_object(Bucket="media", Key=KEY, Body=PICTURE, ContentType="image/png")
    s3.put_object(Bucket="media", Key=PAGE_KEY, Body=PAGE, ContentType="text/html; charset=utf-8")
    s3.put_object(Bucket="media", Key=STYLE_KEY, Body=STYLE, ContentType="text/css; charset=utf-8")
    s3.put_object(Bucket="media", Key="staging/secret", Body=b"not yet checked")
    try:
        yield f"{emulator.endpoint}/media"
    finally:
        emulator.stop()


@pytest.fixture(scope="module")
def world(bucket: str) -> Iterator[World]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    edge = Edge(
        read_distribution(ROOT / "infra/edge.yaml", "https://app.example.com,http://localhost:*"),
        head_seconds_max=1,
        body_seconds_max=1,
    )
    closing = [edge.close]

    async def begin() -> World:
        runner = web.ServerRunner(web.Server(echo))
        closing.append(runner.cleanup)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = await edge.listen(0)
        base_url = f"http://localhost:{port}"
        api = f"http://127.0.0.1:{runner.addresses[0][1]}/stage"
        edge.serve(Origins(base_url, api, {"media": bucket, "static": bucket}, {"KLOCAL": KEYS["public_key_pem"]}))
        return World(base_url, UrlSigner(base_url, "KLOCAL", private_key_pem=lambda: KEYS["private_key_pem"]))

    async def end() -> None:
        for close in closing:
            await close()

    def run(work: Any) -> Any:
        ran: Future[Any] = asyncio.run_coroutine_threadsafe(work, loop)
        return ran.result(10)

    try:
        yield run(begin())
    finally:
        run(end())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


HELD: list[str] = []
RELEASED = asyncio.Event()


async def echo(request: web.BaseRequest) -> web.Response:
    """Echoes the request; a request to /hold is answered only after one to /release."""
    if request.path.endswith("/hold"):
        HELD.append(request.headers["authorization"])
        await RELEASED.wait()
    if request.path.endswith("/release"):
        RELEASED.set()
    if request.path.endswith("/cut"):
        assert request.transport is not None
        request.transport.close()
    seen = {
        "method": request.method,
        "path": request.raw_path,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": (await request.read()).decode(),
    }
    answer = web.json_response(seen, status=207)
    answer.headers.extend([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    return answer


# ---- the API ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/x", "/v1/models", "/healthz", "/.well-known/jwks.json"])
def test_every_path_of_the_api_is_forwarded_unchanged(world: World, path: str) -> None:
    answer = httpx.post(f"{world.base_url}{path}?c=%2F&c=2&d=a%20b", content="body")
    seen = answer.json()
    assert answer.status_code == 207
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", f"/stage{path}?c=%2F&c=2&d=a%20b", "body")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_client_cannot_forge_its_address(world: World) -> None:
    claimed = {"X-Forwarded-For": "198.51.100.1", "Atelier-Viewer-Address": "198.51.100.2", "Connection": "close"}
    seen = httpx.get(f"{world.base_url}/api/x", headers=claimed).json()["headers"]
    assert (seen["x-forwarded-for"], seen["atelier-viewer-address"]) == ("127.0.0.1", "127.0.0.1")


def test_the_long_requests_of_one_caller_do_not_block_other_requests(world: World) -> None:
    at_the_api = WAITING_PER_CALLER_MAX + WAITING_OVERFLOW_MAX
    with httpx.Client(base_url=world.base_url, timeout=25, limits=httpx.Limits(max_connections=None)) as http:

        def ask(path: str, caller: str) -> int:
            headers = {"prefer": "wait=25", "authorization": caller}
            return http.post(f"/api/{path}", headers=headers).status_code

        with ThreadPoolExecutor(at_the_api + 4) as pool:
            held = [pool.submit(ask, "hold", "A") for _ in range(at_the_api + 4)]
            wait_until(lambda: len(HELD) >= at_the_api)
            # Neither another request of the same caller is blocked, nor one of another caller, nor one that waits.
            for caller in ("A", "B"):
                assert http.get("/api/x", headers={"authorization": caller}).status_code == 207
            assert ask("release", "B") == 207
            assert {each.result() for each in held} == {207}


def test_the_authorization_header_is_always_present_for_the_authorizer(world: World) -> None:
    def authorization(**headers: str) -> str:
        return str(httpx.get(f"{world.base_url}/api/x", headers=headers).json()["headers"]["authorization"])

    assert authorization() == authorization(Authorization="") == "none"
    assert authorization(Authorization="Bearer abc") == "Bearer abc"


def test_a_body_beyond_the_gateways_limit_is_refused_with_the_error_envelope(world: World) -> None:
    answer = httpx.post(f"{world.base_url}/api/x", content=b"x" * (BODY_BYTES_MAX + 1))
    assert (answer.status_code, answer.json()["error"]) == (413, "PAYLOAD_TOO_LARGE")


def test_a_closed_api_connection_is_answered_503_with_the_error_envelope(world: World) -> None:
    answer = httpx.post(f"{world.base_url}/api/cut")
    assert (answer.status_code, answer.json()["error"], answer.json()["retryable"]) == (503, "UNAVAILABLE", True)


@pytest.mark.parametrize(
    ("path", "asked_path"), [("/", "/studio/start"), ("/?a=1", "/studio/start?a=1"), ("/create", "/studio/create")]
)
def test_paths_of_pages_reach_the_api_under_studios_prefix(world: World, path: str, asked_path: str) -> None:
    answer = httpx.get(world.base_url + path)
    assert answer.json()["path"] == f"/stage{asked_path}"
    assert answer.json()["headers"]["atelier-viewer-address"] == "127.0.0.1"
    assert "access-control-allow-origin" not in answer.headers


def test_a_static_file_is_compressed_cached_for_ever_and_open_to_all(world: World) -> None:
    answer = httpx.get(f"{world.base_url}/{STYLE_KEY}", headers={"accept-encoding": "gzip"})
    assert answer.content == STYLE
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(STYLE) / 4
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = httpx.get(f"{world.base_url}/{STYLE_KEY}", headers={"accept-encoding": "identity"})
    assert (plain.content, plain.headers.get("content-encoding")) == (STYLE, None)
    assert httpx.get(f"{world.base_url}/static/none.css").status_code == 403


# ---- CORS ------------------------------------------------------------------------------------------------------------


def preflight(url: str, origin: str, **more: str) -> httpx.Response:
    asking = {"Origin": origin, "Access-Control-Request-Method": "POST", **more}
    return httpx.options(url, headers=asking)


@pytest.mark.parametrize(
    "path", ["/api/generate/image", "/v1/chat/completions", "/healthz", "/media/a.png", "/media/a.html"]
)
@pytest.mark.parametrize("origin", ["https://app.example.com", "http://localhost:5173"])
def test_a_cors_preflight_of_a_frontend_is_answered_at_the_edge(world: World, path: str, origin: str) -> None:
    answer = preflight(f"{world.base_url}{path}", origin)
    said = answer.headers
    assert (answer.status_code, answer.content) == (204, b"")
    assert (said["access-control-allow-origin"], said["vary"]) == (origin, "Origin")
    assert said["access-control-allow-credentials"] == "true"
    assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(said["access-control-allow-methods"].split(", "))
    allowed = set(said["access-control-allow-headers"].split(", "))
    assert {"authorization", "content-type", "idempotency-key", "prefer", "atelier-workspace"} <= allowed
    assert {"x-stainless-os", "x-stainless-retry-count", "openai-organization"} <= allowed
    assert "*" not in answer.headers.values()


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null", "https://app.example.com.evil.example"])
def test_an_unknown_origin_gets_no_cors_headers(world: World, origin: str) -> None:
    allowed = preflight(f"{world.base_url}/api/x", origin)
    read = httpx.get(f"{world.base_url}/api/x", headers={"Origin": origin})
    assert (allowed.status_code, read.status_code, read.headers["vary"]) == (204, 207, "Origin")
    assert not [name for answer in (allowed, read) for name in answer.headers if name.startswith("access-control-")]


def test_responses_files_and_errors_all_carry_cors_headers_for_a_frontend(world: World) -> None:
    origin = {"Origin": "https://app.example.com"}
    answers = [
        httpx.get(f"{world.base_url}/api/x", headers=origin),
        httpx.get(f"{world.base_url}/api/cut", headers=origin),
        httpx.post(f"{world.base_url}/api/x", headers=origin, content=b"x" * (BODY_BYTES_MAX + 1)),
        httpx.get(world.signed(), headers={**origin, "Range": "bytes=0-9"}),
        httpx.get(f"{world.base_url}/{KEY}", headers=origin),
        httpx.post(world.signed(), headers=origin),
    ]
    assert [answer.status_code for answer in answers] == [207, 503, 413, 206, 403, 403]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["vary"] == "Origin"
        exposed = set(answer.headers["access-control-expose-headers"].split(", "))
        assert {"location", "retry-after", "idempotent-replayed", "x-request-id", "content-range"} <= exposed
        assert {"x-ratelimit-remaining-requests", "atelier-credits-charged", "atelier-generation-id"} <= exposed


def test_a_response_to_a_request_without_an_origin_varies_by_origin(world: World) -> None:
    for answer in (httpx.get(f"{world.base_url}/api/x"), httpx.get(world.signed())):
        assert answer.headers["vary"] == "Origin"
        assert "access-control-allow-origin" not in answer.headers


# ---- media -----------------------------------------------------------------------------------------------------------


def test_a_signed_url_serves_the_file_with_its_type_and_cache_headers(world: World) -> None:
    answer = httpx.get(world.signed())
    assert (answer.status_code, answer.content) == (200, PICTURE)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=86400, immutable"
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    head = httpx.head(world.signed())
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(PICTURE)), b"")


def policy(answer: httpx.Response) -> dict[str, str]:
    """The directives of a content security policy."""
    parts = (part.strip().partition(" ") for part in answer.headers["content-security-policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_a_generated_page_is_served_sandboxed_without_script_or_network(world: World) -> None:
    answer = httpx.get(world.signed(PAGE_KEY))
    assert (answer.status_code, answer.content) == (200, PAGE)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    said = policy(answer)
    assert (said["default-src"], said["sandbox"], said["form-action"]) == ("'none'", "", "'none'")
    assert "script-src" not in said
    assert {said[name] for name in said if name.endswith("-src") and name != "default-src"} <= {
        "data:",
        "'unsafe-inline'",
    }
    assert httpx.get(world.base_url + "/" + PAGE_KEY).status_code == 403


def test_a_media_file_may_play_in_the_browser_but_runs_no_script(world: World) -> None:
    said = policy(httpx.get(world.signed()))
    assert (said["default-src"], said["media-src"]) == ("'none'", "'self'")
    # Chromium does not play media in a document without an origin.
    assert said["sandbox"] == "allow-same-origin"
    assert "script-src" not in said


def test_range_and_conditional_requests_are_answered_by_the_bucket(world: World) -> None:
    part = httpx.get(world.signed(), headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, PICTURE[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(PICTURE)}"
    etag = httpx.get(world.signed()).headers["etag"]
    assert httpx.get(world.signed(), headers={"If-None-Match": etag}).status_code == 304
    beyond = httpx.get(world.signed(), headers={"Range": f"bytes={len(PICTURE)}-"})
    assert beyond.status_code == 416


def refusals(world: World) -> dict[str, httpx.Response]:
    path, _, query = world.signed().partition("?")
    other = world.signer.sign("media/wsp_2/abc.png", datetime.now(UTC)).partition("?")[2]
    stranger = UrlSigner(world.base_url, "KLOCAL", private_key_pem=lambda: new_url_keys()["private_key_pem"])
    unknown = UrlSigner(world.base_url, "KOTHER", private_key_pem=lambda: KEYS["private_key_pem"])
    now = datetime.now(UTC)
    urls = {
        "unsigned": path,
        "signed for another file": f"{path}?{other}",
        "a later expiry": f"{path}?{query.replace('Expires=1', 'Expires=2')}",
        "an expiry that is no number": f"{path}?Expires=soon&{query.partition('&')[2]}",
        "expired": world.signed(minutes=11),
        "signed by a stranger": world.base_url + stranger.sign(KEY, now),
        "an unknown key": world.base_url + unknown.sign(KEY, now),
        "one more parameter": f"{path}?{query}&download=1",
        "a signature that is no base64": f"{path}?{query.replace('Signature=', 'Signature=%')}",
        "another case of the path": f"{path.replace('abc', 'ABC')}?{query}",
        "a missing file": world.signed("media/wsp_1/missing.png"),
        "the folder": world.signed("media/"),
    }
    answers = {name: httpx.get(url) for name, url in urls.items()}
    return answers | {"a write": httpx.put(world.signed(), content=b"x")}


def test_every_url_without_a_valid_signature_is_refused_in_the_same_way(world: World) -> None:
    for name, answer in refusals(world).items():
        assert answer.status_code == 403, name
        assert answer.headers["cache-control"] == "no-store", name
        assert answer.json()["error"] == "FORBIDDEN", name
        assert "<" not in answer.text, name


def test_path_traversal_does_not_reach_the_rest_of_the_bucket(world: World) -> None:
    query = world.signed().partition("?")[2]
    for path in (
        "/media/../staging/secret",
        "/media/wsp_1/abc.png/../../../staging/secret",
        "/media/%2e%2e/staging/secret",
    ):
        # Not httpx, which normalises the path.
        connection = http.client.HTTPConnection("127.0.0.1", int(world.base_url.rpartition(":")[2]))
        connection.request("GET", f"{path}?{query}")
        answer = connection.getresponse()
        assert answer.status == 403
        assert b"not yet checked" not in answer.read()
        connection.close()


# ---- slow requests and Expect: 100-continue --------------------------------------------------------------------------


def said_to(world: World, *parts: bytes) -> bytes:
    """Sends the parts one after the other; returns the edge's bytes until it closes the connection."""
    port = int(world.base_url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        heard = b""
        for part in parts:
            connection.sendall(part)
            heard += connection.recv(65536)
        while more := connection.recv(65536):
            heard += more
    return heard


def test_an_expect_header_is_answered_with_100_continue(world: World) -> None:
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
    heard = said_to(world, head, b"body")
    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 207 ")
    assert b'"body": "body"' in heard
    assert b'"expect"' not in heard


def test_an_expect_header_with_too_large_a_body_is_refused_at_once(world: World) -> None:
    size = str(BODY_BYTES_MAX + 1).encode()
    head = b"POST /api/x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %b\r\nExpect: 100-continue\r\n\r\n"
    assert said_to(world, head % size).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("slow", [b"", b"GET /api/x HT", b"GET /api/x HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_request_head_that_never_ends_times_out_with_408(world: World, slow: bytes) -> None:
    assert said_to(world, slow).startswith(b"HTTP/1.1 408 ")


def test_a_request_body_that_never_ends_times_out_with_408(world: World) -> None:
    heard = said_to(world, b"POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegun")
    assert heard.startswith(b"HTTP/1.1 408 ")
    assert b'"error": "REQUEST_TIMEOUT"' in heard


def test_a_request_head_beyond_its_maximum_size_is_refused(world: World) -> None:
    assert httpx.get(f"{world.base_url}/api/x", headers={"x": "y" * HEAD_BYTES_MAX}).status_code == 400


def test_a_compressed_body_is_unpacked_within_the_limit(world: World) -> None:
    def sent(body: bytes) -> httpx.Response:
        return httpx.post(f"{world.base_url}/api/x", content=body, headers={"Content-Encoding": "gzip"})

    seen = sent(gzip.compress(b"body")).json()
    assert (seen["body"], seen["headers"]["content-length"]) == ("body", "4")
    assert "content-encoding" not in seen["headers"]
    assert sent(gzip.compress(b" " * (BODY_BYTES_MAX + 1))).status_code == 413


# ---- the port --------------------------------------------------------------------------------------------------------


def test_a_second_edge_does_not_take_the_same_port(world: World) -> None:
    async def listen() -> None:
        await Edge(read_distribution(ROOT / "infra/edge.yaml")).listen(int(world.base_url.rpartition(":")[2]))

    with pytest.raises(PortInUse):
        asyncio.run(listen())


def test_the_edge_answers_503_until_the_stack_is_deployed() -> None:
    async def ask() -> tuple[int, Any]:
        edge = Edge(read_distribution(ROOT / "infra/edge.yaml"))
        port = await edge.listen(0)
        try:
            async with httpx.AsyncClient() as client:
                answer = await client.get(f"http://127.0.0.1:{port}/healthz")
                return answer.status_code, json.loads(answer.text)
        finally:
            await edge.close()

    status, answer = asyncio.run(ask())
    assert (status, answer["error"], answer["retryable"]) == (503, "UNAVAILABLE", True)


def test_an_encoded_slash_in_a_model_name_is_decoded_only_under_v1_models(world: World) -> None:
    def reached(path: str) -> str:
        return str(httpx.get(world.base_url + path).json()["path"])

    assert reached("/v1/models/local%2Fwriter?a=b%2Fc") == "/stage/v1/models/local/writer?a=b%2Fc"
    assert reached("/v1/models/a%2fb%2Fc") == "/stage/v1/models/a/b/c"
    assert reached("/v1/videos/a%2Fb") == "/stage/v1/videos/a%2Fb"
    assert reached("/api/models/a%2Fb") == "/stage/api/models/a%2Fb"
