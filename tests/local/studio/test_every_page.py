"""What holds for every page of Studio: accessible, nothing wider than the window, mirrored too, few calls of the API,
light to load.

`ATELIER_SCREENSHOTS=<folder>` also keeps a picture of each page, in light and dark, for a phone and a desktop."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.routing import Route

from studio.application import application
from studio.rooms import Room
from tests.local.client import PASSWORD, AccountClient, verify_email
from tests.local.conftest import Stack
from tests.local.studio.pages import PAGES, STATUSES

CALLS_MAX = 3
FIRST_LOAD_BYTES_MAX = 60_000
NARROWEST, DESKTOP, WIDEST = 360, 1280, 2560
# Mirrored, as a language has it that is read from right to left.
MIRRORED = "document.documentElement.dir = 'rtl'"
SHOWN: Mapping[Literal["light", "dark"], tuple[int, ...]] = {"light": (DESKTOP, NARROWEST), "dark": (WIDEST, DESKTOP)}
# A page is the same in both schemes, but for its colours. The enhanced contrast (WCAG AAA) is asked for in neither.
RULES: Mapping[str, Mapping[str, Any]] = {
    "light": {},
    "dark": {
        "runOnly": {"type": "tag", "values": ["cat.color"]},
        "rules": {"color-contrast-enhanced": {"enabled": False}},
    },
}
# The renderer of the API's document is other people's page: its inside is not ours to mend.
OTHERS_INSIDE = {"docs": "#swagger-ui"}
MARKER = "<img src=x onerror=document.title='run'><b>\"'&amp;{{7*7}}"


@dataclass(frozen=True, slots=True)
class Furnished:
    """A signed-in browser of an account that has something in each room. `ids`: of what it has, for paths."""

    context: BrowserContext
    ids: Mapping[str, str]


@pytest.fixture(scope="module")
def furnished(browser: Browser, stack: Stack) -> Iterator[Furnished]:
    account = AccountClient(stack.base_url)
    ids = _furnish(account)
    assert account.http.put("/api/users/me", json={"name": MARKER[:40]}).status_code == 200
    context = browser.new_context(base_url=stack.base_url, locale="en-GB", reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(account.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/home")
    page.close()
    yield Furnished(context, ids)
    context.close()


def _announced(post: Callable[[str, Any], Any]) -> str:
    """A livestream that has not begun, so that a video may be sent in place of it."""
    announced = {"title": MARKER, "description": MARKER, "starts_at": "2027-09-01T18:00:00+02:00", "access": "public"}
    livestream_id: str = post("/api/livestreams", announced)["livestream"]["id"]
    return livestream_id


def _live(post: Callable[[str, Any], Any]) -> str:
    """A livestream with everything that its page can show."""
    livestream_id = _announced(post)
    post(f"/api/livestreams/{livestream_id}/start", {})
    target = {"url": "rtmps://live.example.com/app", "stream_key": "key"}
    post(f"/api/livestreams/{livestream_id}/simulcast-targets", target)
    return livestream_id


def _site(account: AccountClient, post: Callable[[str, Mapping[str, Any]], Any]) -> dict[str, str]:
    """A site with a page in two versions, which has used a part with two versions."""
    part = post("/api/sections", {"name": MARKER, "html": "<p>{{ a }}</p>", "parameters": [{"name": "a"}]})["part"]
    post(f"/api/sections/{part['id']}/versions/1/restore", {"note": MARKER})
    site = post("/api/sites", {"name": MARKER, "slug": f"every-page-{uuid.uuid4().hex[:12]}"})["site"]
    blocks = [{"id": "a", "html": f"<p>{MARKER}</p>"}, {"kind": "component", "component_id": part["id"]}]
    written = {"path": "/", "title": MARKER, "blocks": blocks}
    site_page = post(f"/api/sites/{site['id']}/pages", written)["page"]
    page_path = f"/api/sites/{site['id']}/pages/{site_page['id']}"
    second = {**written, "blocks": blocks[:1], "base_version": 1, "note": MARKER}
    assert account.http.put(page_path, json=second).status_code == 200
    post(f"{page_path}/comments", {"body": MARKER, "block_id": "a"})
    return {"site": site["id"], "page": site_page["id"], "part": part["id"]}


# A listing, but for what it shows.
WORK: Mapping[str, Any] = {"title": MARKER, "description": MARKER, "tags": [MARKER[:40]], "price_credits": 5}


def _furnish(account: AccountClient) -> dict[str, str]:
    """One thing in each room. Every text that a person can write is a piece of markup."""

    def post(path: str, body: Mapping[str, Any]) -> Any:
        answer = account.http.post(path, json=body)
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()["data"]

    project = post("/api/projects", {"name": MARKER, "description": MARKER, "budget_microusd": 2_000_000})["project"]
    recipe = {"kind": "image", "model": "local/canvas", "prompt": MARKER, "parameters": {"width": 128, "height": 96}}
    body = {**recipe, "project_id": project["id"]}
    generation = account.wait_for_end(post("/api/generate", body)["generation"]["id"])
    assert generation["status"] == "succeeded", generation
    [asset] = generation["assets"]
    character = {"name": MARKER, "description": MARKER, "style": MARKER, "reference_asset_ids": [asset["id"]]}
    template = {
        "name": MARKER,
        "description": MARKER,
        "kind": "image",
        "prompt": "a {{thing}} " + MARKER.replace("{{7*7}}", ""),
    }
    organization = post("/api/workspaces", {"name": MARKER})["workspace"]
    verify_email(str(account.http.base_url).rstrip("/"), account.email)
    plan_url = str(account.http.base_url.join("/plan"))
    urls = {"success_url": plan_url, "cancel_url": plan_url}
    hook = {"url": "http://127.0.0.1:9/", "events": ["invoice.paid"], "description": MARKER}
    webhook = post("/api/webhook-endpoints", hook)["endpoint"]["id"]
    account.http.put("/api/users/me", json={"persona": "educator"})
    workshop = {"title": MARKER, "description": MARKER, "capacity": 3, "price_credits": 2, "visibility": "public"}
    times = {"starts_at": "2027-09-01T18:00:00+02:00", "ends_at": "2027-09-01T20:00:00+02:00"}
    workshop_id = post("/api/workshops", workshop | times | {"time_zone": "Europe/Berlin"})["workshop"]["id"]
    post(f"/api/workshops/{workshop_id}/schedule", {})
    post("/api/integrations", {"kind": "netlify", "name": MARKER, "credentials": "token-of-nobody"})
    site = _site(account, post)
    return {
        "listing": post("/api/showcase", WORK | {"asset_id": asset["id"]})["listing"]["id"],
        "workshop": workshop_id,
        "livestream": _live(post),
        "announced": _announced(post),
        **site,
        "webhook": webhook,
        "deployment": post("/api/deployments", {"site_id": site["site"]})["deployment"]["id"],
        "delivery": post(f"/api/webhook-endpoints/{webhook}/test", {})["delivery"]["id"],
        "asset": asset["id"],
        "chart": "cost",
        "checkout": post("/api/billing/checkout", {"pack": "small", **urls})["checkout_id"],
        "generation": generation["id"],
        "project": project["id"],
        "character": post("/api/characters", character)["character"]["id"],
        "template": post("/api/templates", template)["template"]["id"],
        "provider": "openai",
        "organization": organization["id"],
        "user": "none",
        "wallet": "none",
        "update": "none",
        "queue": "resets",
        "article": "none",
        "locale": "en",
        "slug": "none",
        "preview": "none",
        "token": post("/api/tokens", {"name": MARKER, "scopes": ["read"]})["id"],
    }


def test_every_route_of_a_page_is_listed() -> None:
    routes = [each for room in application.routes for each in (room.routes if isinstance(room, Room) else [room])]
    shown = {route.path for route in routes if isinstance(route, Route) and "GET" in (route.methods or ())}
    listed = {re.sub(r"\{\w+\}", "{}", path.partition("?")[0]) for path in PAGES.values()}
    # A redirect, every other path, a file, and where a browser comes back to from an identity provider.
    hidden = {"/workshops/{workshop_id}/calendar.ics", "/live/{livestream_id}/playback"}
    hidden |= {
        "/start",
        "/{path:path}",
        "/history/export",
        "/identities/linked",
        "/admin/wallets",
        "/admin/generations",
    }
    missing = {
        path
        for path in shown - hidden
        if re.sub(r"\{\w+\}", "{}", path) not in listed and not path.startswith("/parts/")
    }
    assert missing == set(), "name these pages in tests/local/studio/pages.py, or begin the path of a part with /parts/"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_accessible_fits_its_window_and_makes_few_calls(furnished: Furnished, name: str) -> None:
    """Loaded once, on a desktop; then its colours and its window change, as a person's do."""
    page = furnished.context.new_page()
    check_page(page, name, PAGES[name].format(**furnished.ids), STATUSES.get(name, 200))
    page.close()


def check_page(page: Page, name: str, path: str, status: int = 200) -> None:
    """What holds for a page, which answers with `status`."""
    page.set_viewport_size({"width": DESKTOP, "height": 900})
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == status, f"{name}: {answer.status}"
    counted = re.search(r'desc="(\d+)"', answer.headers["server-timing"])
    assert counted
    assert int(counted[1]) <= CALLS_MAX
    page.wait_for_load_state("networkidle")
    assert page.title() != "run", "markup that somebody wrote has run"
    assert page.locator("h1").count() == 1
    options = {"exclude": [[OTHERS_INSIDE[name]]]} if name in OTHERS_INSIDE else None
    for scheme, widths in SHOWN.items():
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, context=options, options={"resultTypes": ["violations"], **RULES[scheme]})
        assert found.violations_count == 0, found.generate_report()
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"wider than {width} px"
            _keep_picture(page, f"{name}-{scheme}-{width}")
        page.set_viewport_size({"width": DESKTOP, "height": 900})
    page.evaluate(MIRRORED)
    for width in (DESKTOP, NARROWEST):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"mirrored, wider than {width} px"


@pytest.mark.parametrize("name", ["welcome", "create", "library"])
def test_a_first_load_is_light(browser: Browser, furnished: Furnished, stack: Stack, name: str) -> None:
    """Page, styles and scripts, compressed; pictures of the library are not counted."""
    fresh = browser.new_context(base_url=stack.base_url, storage_state=furnished.context.storage_state())
    page = fresh.new_page()
    page.goto(PAGES[name])
    page.wait_for_load_state("networkidle")
    sizes: dict[str, int] = page.evaluate(
        """Object.fromEntries(["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
        .filter(each => !new URL(each.name).pathname.startsWith("/media/"))
        .map(each => [new URL(each.name).pathname, each.encodedBodySize]))"""
    )
    fresh.close()
    assert any(path.startswith("/static/htmx") and size > 5000 for path, size in sizes.items())
    assert sum(sizes.values()) <= FIRST_LOAD_BYTES_MAX, sizes


def _keep_picture(page: Page, name: str) -> None:
    folder = os.environ.get("ATELIER_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
