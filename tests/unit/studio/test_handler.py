"""The Lambda handler: an event of the gateway becomes a page, and one log line that tells nothing private."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from studio.application import handler
from studio.endpoints import route
from studio.visit import Visit

EVENT = Path(__file__).parents[3] / "events/studio/sign_in.json"


def answer(**changes: Any) -> Any:
    """The handler's answer to the example event."""
    return handler(json.loads(EVENT.read_text()) | changes, None)


def text_of(answered: Any) -> str:
    body = answered["body"]
    data = base64.b64decode(body) if answered["isBase64Encoded"] else body.encode()
    return (gzip.decompress(data) if answered["headers"].get("content-encoding") == "gzip" else data).decode()


def test_a_page_is_answered_compressed_with_its_policy_and_a_token() -> None:
    answered = answer()
    assert answered["statusCode"] == 200
    headers = answered["headers"]
    assert headers["content-encoding"] == "gzip"
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy.replace("https://", "")
    assert '<input type="hidden" name="form_token"' in text_of(answered)
    assert any(cookie.startswith("__Host-studio-form=") for cookie in answered["cookies"])


def test_the_stylesheets_in_a_page_are_allowed_by_their_hashes_and_no_others() -> None:
    answered = answer()
    text = text_of(answered)
    styles = re.findall(r"<style>(.+?)</style>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in styles]
    sources = " ".join(f"'sha256-{each}'" for each in hashes)
    assert styles
    assert f"style-src 'self' {sources};" in answered["headers"]["content-security-policy"]
    assert " style=" not in re.sub(r"<style>.+?</style>", "", text, flags=re.DOTALL)


def test_a_part_of_a_page_brings_no_form_token() -> None:
    # It may arrive after the next page: the form there carries the token of that page's own cookie.
    headers = json.loads(EVENT.read_text())["headers"] | {"hx-request": "true", "hx-request-type": "partial"}
    assert not any("__Host-studio-form" in cookie for cookie in answer(headers=headers, cookies=[]).get("cookies", []))


def test_a_request_writes_one_line_without_its_query(capsys: pytest.CaptureFixture[str]) -> None:
    context = json.loads(EVENT.read_text())["requestContext"]
    context["http"]["path"] = "/studio/welcome"
    answer(rawPath="/studio/welcome", requestContext=context, rawQueryString="next=%2Fcreate%3Fprompt%3Dsecret")
    [line] = [json.loads(each) for each in capsys.readouterr().out.splitlines()]
    facts = {name: line[name] for name in ("level", "message", "service", "method", "path", "status", "api_calls")}
    assert facts == {
        "level": "INFO",
        "message": "page",
        "service": "studio",
        "method": "GET",
        "path": "/welcome",
        "status": 200,
        "api_calls": 0,
    }
    assert line["request_id"] == json.loads(EVENT.read_text())["requestContext"]["requestId"]
    assert "secret" not in json.dumps(line)


def test_an_unknown_page_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    context = json.loads(EVENT.read_text())["requestContext"]
    context["http"]["path"] = "/studio/nowhere"
    answered = answer(rawPath="/studio/nowhere", requestContext=context)
    assert (answered["statusCode"], answered["headers"]["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page at this address." in text_of(answered)
    assert json.loads(capsys.readouterr().out)["status"] == 404


def test_a_program_gets_an_unknown_path_in_the_error_envelope() -> None:
    example = json.loads(EVENT.read_text())
    example["requestContext"]["http"]["path"] = "/studio/v2/models"
    example["headers"]["accept"] = "*/*"
    answered = answer(rawPath="/studio/v2/models", requestContext=example["requestContext"], headers=example["headers"])
    envelope = json.loads(text_of(answered))
    assert (answered["statusCode"], envelope["success"], envelope["error"]) == (404, False, "NOT_FOUND")
    assert envelope["request_id"] == example["requestContext"]["requestId"]


def test_another_use_of_asyncio_does_not_end_the_handler() -> None:
    assert answer()["statusCode"] == 200
    asyncio.run(asyncio.sleep(0))
    assert answer()["statusCode"] == 200


def test_a_page_that_fails_says_so_with_its_request_and_keeps_its_cookies(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(visit: Visit) -> Response:
        visit.set_cookies.append("renewed=1")
        raise ZeroDivisionError

    event = {"requestContext": {"requestId": "req-1", "domainName": "api.example"}}
    scope = {"type": "http", "method": "GET", "path": "/x", "query_string": b"", "headers": [], "aws.event": event}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b""}

    response = asyncio.run(route("/x", fail, public=True).endpoint(Request(scope, receive)))
    assert (response.status_code, "req-1" in response.body.decode()) == (500, True)
    assert "renewed=1" in response.headers.getlist("set-cookie")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["level"] for line in lines] == ["ERROR", "INFO"]
    assert "ZeroDivisionError" in lines[0]["exception"]
