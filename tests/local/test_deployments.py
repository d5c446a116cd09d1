"""A site of 30 pages on the local stack: made by the API, deployed by the state machine, and looked at from outside at
an address of its own."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack

PAGES = 30
SECONDS_MAX = 180


@pytest.fixture(scope="module")
def person(stack: Stack) -> AccountClient:
    return AccountClient(stack.base_url)


def data(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code in (200, 201, 202), response.text
    found: dict[str, Any] = response.json()["data"]
    return found


def deployed(person: AccountClient, site: dict[str, Any]) -> dict[str, Any]:
    made = data(person.http.post("/api/deployments", json={"site_id": site["id"]}))["deployment"]

    def read() -> dict[str, Any]:
        found: dict[str, Any] = data(person.get(f"/api/deployments/{made['id']}"))["deployment"]
        return found

    return poll_until(read, lambda deployment: deployment["status"] in ("live", "failed"), SECONDS_MAX)


def test_a_site_of_thirty_pages_is_shown_at_its_own_address(stack: Stack, person: AccountClient) -> None:
    slug = f"oak-{secrets.token_hex(4)}"
    site = data(person.http.post("/api/sites", json={"name": "Oak & Sons", "slug": slug}))["site"]
    for number in range(PAGES):
        path = "/" if number == 0 else f"/chairs/{number}"
        block = {"id": "a", "html": f"<h1>Chair {number}</h1><p>Made of oak.</p>"}
        body = {"path": path, "title": f"Chair {number}", "blocks": [block]}
        page = data(person.http.post(f"/api/sites/{site['id']}/pages", json=body))["page"]
        published = f"/api/sites/{site['id']}/pages/{page['id']}/publish"
        data(person.http.post(published, json={"version": page["version"]}))
    live = deployed(person, site)
    assert live["status"] == "live", live
    port = urlsplit(stack.base_url).port
    assert live["url"] == f"http://{slug}.localhost:{port}"

    def shown(path: str, **headers: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{port}{path}", headers={"host": f"{slug}.localhost:{port}", **headers})

    for number in range(1, PAGES, 7):
        assert f"<h1>Chair {number}</h1>" in shown(f"/chairs/{number}/").text
    home = shown("/", cookie="session=of-nobody")
    assert "<h1>Chair 0</h1>" in home.text
    assert "set-cookie" not in home.headers
    assert shown("/", **{"if-none-match": home.headers["etag"]}).status_code == 304
    assert shown("/chairs/1").headers["location"] == "/chairs/1/"
    assert shown("/nothing").status_code == 404
    assert shown("/sitemap.xml").text.count("<loc>") == PAGES
    # Studio and the API are not there.
    assert shown("/api/status").status_code == 404
    # A second deployment of the same pages stores nothing.
    assert deployed(person, site)["uploaded"] == 0
