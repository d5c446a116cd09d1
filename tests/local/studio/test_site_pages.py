"""A page that a model wrote, on its site's own origin in a real browser: accessible, and nothing is blocked."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from tests.local.client import AccountClient, poll_until
from tests.local.conftest import Stack
from tests.local.example_site import data_of

PHONE, DESKTOP = 360, 1280
ENDED = ("live", "failed", "cancelled")


@pytest.fixture(scope="module")
def site_url(stack: Stack) -> str:
    """The address of a site with one page, written by a model, published and deployed."""
    person = AccountClient(stack.base_url)
    site = data_of(person.http.post("/api/sites", json={"name": "Harbour", "slug": "harbour-in-a-browser"}), 201)[
        "site"
    ]
    order = {"kind": "page", "path": "/", "prompt": "A home page for a lighthouse museum with opening hours"}
    ordered = person.http.post(f"/api/sites/{site['id']}/generate", json=order).json()["data"]["writing"]
    person.wait_for_end(ordered["generation_id"])
    path = f"/api/sites/{site['id']}/writings/{ordered['generation_id']}"
    writing = poll_until(
        lambda: data_of(person.http.get(path), 200)["writing"], lambda found: found["page_id"] is not None
    )
    pages = f"/api/sites/{site['id']}/pages"
    assert person.http.post(f"{pages}/{writing['page_id']}/publish").status_code == 200
    deployed = data_of(person.http.post("/api/deployments", json={"site_id": site["id"], "target": "cloudfront"}), 202)
    deployment = f"/api/deployments/{deployed['deployment']['id']}"
    ended = poll_until(
        lambda: data_of(person.http.get(deployment), 200)["deployment"], lambda found: found["status"] in ENDED
    )
    assert ended["status"] == "live", ended
    return ended["url"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_a_page_that_a_model_wrote_is_accessible(browser: Browser, site_url: str, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # pyright: ignore
    page, faults = context.new_page(), list[str]()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    answer = page.goto(site_url, wait_until="networkidle")
    assert answer is not None
    assert answer.status == 200
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert (faults, context.cookies()) == ([], [])
    context.close()
