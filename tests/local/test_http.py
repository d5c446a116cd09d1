"""HTTP through the whole stack: HEAD, compressed bodies, unsupported methods."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest

from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import Stack

KEPT = ("content-type", "cache-control", "vary", "x-content-type-options")


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/status", "/api/openapi.json", "/api/credits", "/api/nowhere"])
def test_a_head_request_gets_the_get_response_without_a_body(stack: Stack, path: str) -> None:
    head, get = (httpx.request(method, f"{stack.base_url}{path}", timeout=30) for method in ("HEAD", "GET"))
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert {name: head.headers.get(name) for name in KEPT} == {name: get.headers.get(name) for name in KEPT}


def test_a_gzip_body_is_accepted_and_another_encoding_is_refused(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    body = json.dumps({"prompt": "a lighthouse", "model": "local/canvas", "parameters": {"width": 64, "height": 64}})
    sent = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    made = person.http.post("/api/generate/image", content=gzip.compress(body.encode()), headers=sent)
    assert made.status_code == 202, made.text
    refused = person.http.post("/api/generate/image", content=b"...", headers={**sent, "Content-Encoding": "br"})
    assert (refused.status_code, refused.headers["accept-encoding"]) == (415, "gzip")
    assert person.wait_for_end(made.json()["data"]["generation"]["id"])["prompt"] == "a lighthouse"


@pytest.mark.parametrize(("path", "allowed"), [("/healthz", "GET, HEAD"), ("/api/auth/login", "POST")])
def test_an_unsupported_method_is_a_405_with_the_allow_header(stack: Stack, path: str, allowed: str) -> None:
    # On AWS the response to OPTIONS is the same; here the embedded gateway answers it itself.
    for method in ("DELETE", "PATCH"):
        refused = httpx.request(method, f"{stack.base_url}{path}", timeout=30)
        assert (refused.status_code, refused.headers.get("allow")) == (405, allowed)
        assert refused.json()["error"] == "METHOD_NOT_ALLOWED"


def test_a_localhost_origin_may_log_in(stack: Stack) -> None:
    person = AccountClient(stack.base_url)
    said = {"Origin": "http://localhost:5173"}
    answer = httpx.post(
        f"{stack.base_url}/api/auth/login", json={"email": person.email, "password": PASSWORD}, headers=said, timeout=30
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
