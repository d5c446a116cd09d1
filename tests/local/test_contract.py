"""The API's conventions for every failure: one envelope, correct statuses, no internal details."""

from __future__ import annotations

import httpx
import pytest

from tests.local.client import AccountClient
from tests.local.conftest import Stack

ULID = "01M7XC43T8VQH8B4746A8669M7"


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def assert_error(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"success", "error", "message", "details", "request_id", "retryable"}
    assert (body["success"], body["error"]) == (False, code)
    assert body["request_id"]
    assert body["message"]
    assert answer.headers["x-request-id"] == body["request_id"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "BAD_REQUEST"),
        (b"\xff\xfe", "application/json", 400, "BAD_REQUEST"),
        (b"[]", "application/json", 422, "VALIDATION_FAILED"),
        (b"", "application/json", 422, "VALIDATION_FAILED"),
        (b"{}", "application/json", 422, "VALIDATION_FAILED"),
        (b'{"prompt": "x", "surprise": 1}', "application/json", 422, "VALIDATION_FAILED"),
        (b'{"prompt": "x", "parameters": {"width": -5}}', "application/json", 422, "VALIDATION_FAILED"),
        (b'{"prompt": "x", "parameters": {"n": 99999999999999999999}}', "application/json", 422, "VALIDATION_FAILED"),
        (b'{"prompt": "x", "model": "nobody/nothing"}', "application/json", 422, "VALIDATION_FAILED"),
        (b'{"prompt": "x"}', "text/plain", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b"prompt=x", "application/x-www-form-urlencoded", 415, "UNSUPPORTED_MEDIA_TYPE"),
        (b'{"prompt": "' + b"x" * 300_000 + b'"}', "application/json", 413, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_an_invalid_body_is_refused_and_costs_nothing(
    person: AccountClient, body: bytes, content_type: str, status: int, code: str
) -> None:
    before = person.balance()
    answer = person.http.post("/api/generate/image", content=body, headers={"Content-Type": content_type})
    assert_error(answer, status, code)
    assert person.balance() == before


def test_a_validation_error_names_the_field_by_its_path(person: AccountClient) -> None:
    answer = person.http.post("/api/generate/image", json={"prompt": "x", "parameters": {"width": "wide"}})
    assert [field["path"] for field in answer.json()["details"]["fields"]] == ["parameters.width"]
    too_large = person.generate(width=4000)
    assert [field["path"] for field in too_large.json()["details"]["fields"]] == ["parameters.width"]


@pytest.mark.parametrize("path", ["/api/nothing", "/api", "/v2/models", "/api/generations/x/y/z", "/api/auth/nothing"])
def test_an_unknown_route_is_not_found(person: AccountClient, path: str) -> None:
    assert_error(person.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/api/generate/image"), ("PUT", "/api/credits"), ("POST", "/api/assets"), ("GET", "/api/auth/login")],
)
def test_a_wrong_method_is_a_405_with_the_allow_header(person: AccountClient, method: str, path: str) -> None:
    answer = person.http.request(method, path)
    assert_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"]


@pytest.mark.parametrize(
    "header", [None, "none", "Bearer", "Bearer nonsense", "Basic dTpw", "Bearer a.b.c", "Bearer atl_x"]
)
@pytest.mark.parametrize("path", ["/api/credits", "/api/generations", "/api/assets", "/api/auth/me"])
def test_a_request_without_a_valid_token_is_unauthenticated(stack: Stack, path: str, header: str | None) -> None:
    answer = httpx.get(stack.base_url + path, headers={"Authorization": header} if header else {})
    assert_error(answer, 401, "UNAUTHENTICATED")


def test_a_foreign_id_gets_the_response_of_a_missing_one_in_every_route(stack: Stack, person: AccountClient) -> None:
    stranger = AccountClient(stack.base_url)
    made = person.generate(wait=25).json()["data"]["generation"]
    project = person.http.post("/api/projects", json={"name": "Harbour lights"}).json()["data"]["project"]
    token = person.http.post("/api/tokens", json={"name": "n8n", "scopes": ["read"]}).json()["data"]
    picture = made["assets"][0]["id"]
    character = {"name": "Mira", "reference_asset_ids": [picture]}
    character_id = person.http.post("/api/characters", json=character).json()["data"]["character"]["id"]
    template = {"name": "At dusk", "kind": "image", "prompt": "a ship at dusk"}
    template_id = person.http.post("/api/templates", json=template).json()["data"]["template"]["id"]
    upload = {"name": "x.png", "content_type": "image/png", "size": 10}
    pending = person.http.post("/api/assets/uploads", json=upload).json()["data"]["asset"]["id"]
    organization = person.http.post("/api/workspaces", json={"name": "Atlas Films"}).json()["data"]["workspace"]["id"]
    routes = [
        ("GET", "/api/workspaces/{}", organization),
        ("PUT", "/api/workspaces/{}", organization),
        ("DELETE", "/api/workspaces/{}", organization),
        ("POST", "/api/workspaces/{}/restore", organization),
        ("GET", "/api/workspaces/{}/members", organization),
        ("GET", "/api/workspaces/{}/invitations", organization),
        ("GET", "/api/workspaces/{}/usage", organization),
        ("POST", "/api/workspaces/{}/leave", organization),
        ("GET", "/api/characters/{}", character_id),
        ("PUT", "/api/characters/{}", character_id),
        ("DELETE", "/api/characters/{}", character_id),
        ("GET", "/api/templates/{}", template_id),
        ("PUT", "/api/templates/{}", template_id),
        ("DELETE", "/api/templates/{}", template_id),
        ("POST", "/api/templates/{}/run", template_id),
        ("POST", "/api/assets/{}/complete", pending),
        ("POST", "/api/assets/{}/complete", picture),
        ("GET", "/api/generations/{}", made["id"]),
        ("GET", "/api/generations/{}/recipe", made["id"]),
        ("POST", "/api/generations/{}/cancel", made["id"]),
        ("POST", "/api/generations/{}/retry", made["id"]),
        ("GET", "/api/credits/generations/{}", made["id"]),
        ("GET", "/api/user/credits/generations/{}", made["id"]),
        ("GET", "/api/assets/{}", picture),
        ("GET", "/api/assets/{}/lineage", picture),
        ("DELETE", "/api/assets/{}", picture),
        ("GET", "/api/projects/{}", project["id"]),
        ("DELETE", "/api/projects/{}", project["id"]),
        ("GET", "/api/projects/{}/alerts", project["id"]),
        ("DELETE", "/api/tokens/{}", token["id"]),
    ]
    for method, path, real in routes:
        foreign = stranger.http.request(method, path.format(real))
        missing = stranger.http.request(method, path.format(f"{real[:4]}{ULID}"))
        malformed = stranger.http.request(method, path.format("wallet"))
        assert_error(foreign, 404, "NOT_FOUND")
        bodies = [{**answer.json(), "request_id": ""} for answer in (foreign, missing, malformed)]
        assert bodies[0] == bodies[1] == bodies[2], path
    for path in (
        "/api/credits",
        "/api/generations",
        "/api/assets",
        "/api/characters",
        "/api/projects",
        "/api/settings/budget",
        "/api/templates",
        "/api/tokens",
    ):
        foreign = stranger.http.get(path, headers={"Atelier-Workspace": person.workspace_id})
        assert_error(foreign, 404, "NOT_FOUND")
    assert stranger.get("/api/generations").json()["data"]["items"] == []


def test_an_invalid_cursor_is_a_validation_error(person: AccountClient) -> None:
    for path in ("/api/generations", "/api/assets", "/api/credits/entries", "/api/credits/proof"):
        for cursor in ("nonsense", "d2FsbGV0", "é"):
            assert_error(person.get(path, cursor=cursor), 422, "VALIDATION_FAILED")
    assert_error(person.get("/api/generations", limit=0), 422, "VALIDATION_FAILED")


def test_health_status_and_the_openapi_document_are_public(stack: Stack) -> None:
    assert httpx.get(f"{stack.base_url}/healthz").json() == {"status": "ok"}
    status = httpx.get(f"{stack.base_url}/api/status").json()["data"]
    assert status["services"]["store"] == "ok"
    assert {"id": "local", "enabled": True} in status["providers"]
    document = httpx.get(f"{stack.base_url}/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert {"/api/generate/{kind}", "/api/credits", "/api/auth/signup"} <= set(document["paths"])
    page = httpx.get(f"{stack.base_url}/", follow_redirects=True)
    assert (page.status_code, page.url.path) == (200, "/welcome")
    assert "text/html" in page.headers["content-type"]
