"""Methods and encodings of requests, as HTTP defines them, on every route alike."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from typing import Any

import pytest
from pydantic import BaseModel

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response

BYTES_MAX = 1000


class Thing(BaseModel):
    name: str


def api() -> Api:
    made = Api("tests")

    def show(request: Request[Empty]) -> Response:
        return Response({"name": "it"}, headers={"ETag": '"1"'})

    def send(request: Request[Empty]) -> Response:
        return Response(b"bytes", headers={"Content-Type": "image/png"})

    def make(request: Request[Thing]) -> Response:
        return Response({"name": request.body.name}, status=201)

    made.route("GET", "/things/<thing_id>")(show)
    made.route("GET", "/file")(send)
    made.route("POST", "/things", body=Thing, body_bytes_max=BYTES_MAX)(make)
    return made


def answer_to(method: str, path: str, body: bytes | None = None, **headers: str) -> dict[str, Any]:
    said = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    event: dict[str, Any] = {
        "requestContext": {"requestId": "r-1", "http": {"method": method, "path": path}},
        "headers": said,
    }
    if body is not None:
        event |= {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return api().handler(event, None)


@pytest.mark.parametrize("path", ["/things/1", "/file", "/nowhere"])
def test_a_head_request_gets_the_get_response_without_its_body(path: str) -> None:
    head, get = answer_to("HEAD", path), answer_to("GET", path)
    assert (head["statusCode"], head["headers"]) == (get["statusCode"], get["headers"])
    assert (head["body"], head["isBase64Encoded"]) == ("", False)


@pytest.mark.parametrize(("path", "allowed"), [("/things/1", "GET, HEAD"), ("/things", "POST")])
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND", "DELETE"])
def test_an_unsupported_method_is_a_405_with_the_allow_header(method: str, path: str, allowed: str) -> None:
    refused = answer_to(method, path)
    assert (refused["statusCode"], refused["headers"]["Allow"]) == (405, allowed)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
def test_a_gzip_body_is_decompressed(encoding: str) -> None:
    made = answer_to("POST", "/things", gzip.compress(b'{"name": "small"}'), content_encoding=encoding)
    assert (made["statusCode"], json.loads(made["body"])["data"]) == (201, {"name": "small"})


def test_a_gzip_bodys_size_limit_counts_decompressed_bytes() -> None:
    longest = b'{"name": "' + b"x" * (BYTES_MAX - 12) + b'"}'
    assert answer_to("POST", "/things", gzip.compress(longest), content_encoding="gzip")["statusCode"] == 201
    refused = answer_to("POST", "/things", gzip.compress(longest + b" "), content_encoding="gzip")
    assert (refused["statusCode"], json.loads(refused["body"])["error"]) == (413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    "body",
    [b"", b'{"name": "plain"}', gzip.compress(b'{"name": "cut"}')[:-4], gzip.compress(b"{}") + b"rest"],
    # gzip writes the current time into its header, and all workers of one run must give a test the same name.
    ids=["empty", "plain", "cut off", "followed by more"],
)
def test_an_invalid_gzip_body_is_refused(body: bytes) -> None:
    refused = answer_to("POST", "/things", body, content_encoding="gzip")
    assert (refused["statusCode"], json.loads(refused["body"])["message"]) == (400, "The body is not valid gzip.")


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_another_content_encoding_is_a_415_that_names_gzip(encoding: str) -> None:
    refused = answer_to("POST", "/things", zlib.compress(b"{}"), content_encoding=encoding)
    assert (refused["statusCode"], refused["headers"]["Accept-Encoding"]) == (415, "gzip")
    assert answer_to("POST", "/things", b'{"name": "it"}', content_encoding="identity")["statusCode"] == 201
