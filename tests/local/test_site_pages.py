"""A site of 30 pages, written by the API and by the embedded model, deployed to all four targets: the same bytes at
each of them, pages that are accessible in a browser, and a second deployment that sends the page that has changed."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser

from infra.simulators.site_hosts.host import HostSimulator
from tests.local.client import AccountClient, run_concurrently
from tests.local.conftest import Stack
from tests.local.example_site import (
    PAGES,
    WRITTEN_BY_MODEL,
    connect,
    create_site,
    data_of,
    deployed,
    pages_of,
    publish,
)
from tests.local.lighthouse import SCORE_MIN, lighthouse

PHONE, DESKTOP = 360, 1280
SLUG = "thirty-pages-on-four-targets"
# The kind of the integration of each target.
TARGETS = {"cloudfront": None, "netlify": "netlify", "vercel": "vercel", "github_pages": "github"}
WRITTEN, BY_HAND = "/written/rye/", "/breads/7/"


class Deployed(NamedTuple):
    """A site that all targets show. live: by target."""

    person: AccountClient
    site: dict[str, Any]
    live: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def deployed_site(stack: Stack) -> Deployed:
    person = AccountClient(stack.base_url)
    for kind in filter(None, TARGETS.values()):
        connect(person, kind, stack.site_hosts[kind].api_key)
    site = create_site(person, SLUG)
    pages = pages_of(person, site)
    # Nothing that a model wrote is public before a person has published it.
    assert {page["status"] for page in pages} == {"draft"}
    assert sum(page["path"].startswith("/written/") for page in pages) == WRITTEN_BY_MODEL
    run_concurrently(4, lambda first: [publish(person, site, page) for page in pages[first::4]])
    return Deployed(person, site, {target: deployed(person, site, target) for target in TARGETS})


def shown(stack: Stack, found: Deployed, target: str, path: str, **headers: str) -> httpx.Response:
    """What a visitor of a target gets: by HTTP, at the address that its deployment says."""
    url = urlsplit(found.live[target]["url"])
    kind = TARGETS[target]
    place = stack.base_url if kind is None else stack.site_hosts[kind].url
    return httpx.get(f"{place}{url.path.rstrip('/')}{path}", headers={"host": url.netloc, **headers})


def paths_of(stack: Stack, found: Deployed) -> list[str]:
    """The paths of all pages, as the sitemap has them, and of what else a visitor may ask for."""
    urls = re.findall("<loc>([^<]+)</loc>", shown(stack, found, "cloudfront", "/sitemap.xml").text)
    assert len(urls) == PAGES
    return [*(urlsplit(url).path for url in urls), "/sitemap.xml", "/robots.txt", "/nothing"]


def sent_bytes(host: HostSimulator, uploads: list[dict[str, Any]]) -> int:
    """How many bytes of files these requests sent."""
    if host.name == "github_pages":
        return sum(len(base64.b64decode(call["body"]["content"])) for call in uploads)
    return sum(int(call["headers"]["content-length"]) for call in uploads)


def test_four_targets_show_the_same_bytes(stack: Stack, deployed_site: Deployed) -> None:
    port = urlsplit(stack.base_url).port
    assert deployed_site.live["cloudfront"]["url"] == f"http://{SLUG}.localhost:{port}"
    assert len({live["url"] for live in deployed_site.live.values()}) == len(TARGETS)
    pages = paths_of(stack, deployed_site)
    styles = {
        line.split('"')[-2]
        for path in pages[:PAGES]
        for line in shown(stack, deployed_site, "cloudfront", path).text.splitlines()
        if 'rel="stylesheet"' in line
    }
    assert styles
    for path in (*pages, *sorted(styles)):
        answers = {target: shown(stack, deployed_site, target, path) for target in TARGETS}
        assert len({(each.status_code, each.content) for each in answers.values()}) == 1, path
        assert answers["cloudfront"].status_code == (404 if path == "/nothing" else 200)
    assert "<h1>Bread number 7</h1>" in shown(stack, deployed_site, "netlify", BY_HAND).text


def test_a_site_has_an_origin_on_which_nobody_has_a_session(stack: Stack, deployed_site: Deployed) -> None:
    home = shown(stack, deployed_site, "cloudfront", "/", cookie="session=of-nobody")
    assert home.status_code == 200
    assert "set-cookie" not in home.headers
    tag = home.headers["etag"]
    assert shown(stack, deployed_site, "cloudfront", "/", **{"if-none-match": tag}).status_code == 304
    assert shown(stack, deployed_site, "cloudfront", "/breads/1").headers["location"] == "/breads/1/"
    # Studio and the API are not there.
    assert shown(stack, deployed_site, "cloudfront", "/api/status").status_code == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_pages_are_accessible_in_a_browser(browser: Browser, deployed_site: Deployed, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # pyright: ignore
    page, faults = context.new_page(), list[str]()
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    for path in ("/", WRITTEN, BY_HAND):
        answer = page.goto(deployed_site.live["cloudfront"]["url"] + path, wait_until="networkidle")
        assert answer is not None
        assert answer.status == 200
        assert page.locator("h1").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
    assert (faults, context.cookies()) == ([], [])
    context.close()


def test_a_second_deployment_sends_the_page_that_has_changed(stack: Stack, deployed_site: Deployed) -> None:
    person, site, _ = deployed_site
    (page,) = [page for page in pages_of(person, site) if page["path"] == BY_HAND.rstrip("/")]
    path = f"/api/sites/{site['id']}/pages/{page['id']}"
    paths = paths_of(stack, deployed_site)
    before = {path: shown(stack, deployed_site, "cloudfront", path).content for path in paths}
    read = data_of(person.http.get(path), 200)["page"]
    first = {**read["blocks"][0], "html": "<section><h1>Bread number 7</h1><p>Sold out.</p></section>"}
    body = {"base_version": read["version"], "title": read["title"], "path": read["path"]}
    body["blocks"] = [first, *read["blocks"][1:]]
    data_of(person.http.put(path, json=body), 200)
    publish(person, site, page)
    for target, kind in TARGETS.items():
        host = stack.site_hosts[kind] if kind else None
        known = len(host.uploads()) if host else 0
        live = deployed(person, site, target)
        after = {path: shown(stack, deployed_site, target, path).content for path in paths}
        # The sitemap says when the page has changed.
        changed = {path for path in paths if after[path] != before[path]}
        assert changed == {BY_HAND, "/sitemap.xml"}
        size = sum(len(after[path]) for path in changed)
        assert (live["uploaded"], live["uploaded_bytes"]) == (len(changed), size), target
        if host is not None:
            uploads = host.uploads()[known:]
            assert (len(uploads), sent_bytes(host, uploads)) == (len(changed), size), target
    # The same pages once more: nothing is stored.
    assert deployed(person, site)["uploaded"] == 0


def test_lighthouse_gives_each_page_at_least_95(deployed_site: Deployed, tmp_path: Path) -> None:
    for path in ("/", WRITTEN):
        judged = lighthouse(deployed_site.live["cloudfront"]["url"] + path, tmp_path)
        assert judged.least_score >= SCORE_MIN, (path, judged)
