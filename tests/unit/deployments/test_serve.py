"""Our own edge: which file of which deployment a request gets."""

from __future__ import annotations

import pytest

from atelier.deployments.model import DeploymentTarget, preview_label
from atelier.deployments.serve import BODY_BYTES_MAX, IMMUTABLE, HostedAnswer, HostingDeps, serve
from atelier.sites.model import Redirect, SiteSettings
from tests.unit.deployments.sites import block, page, published
from tests.unit.deployments.world import World

MOVED = SiteSettings(
    redirects=(Redirect("/old", "/about/"), Redirect("/away", "https://example.com/", permanent=False))
)


class Site:
    """A site on our own edge. changes: of its next deployments."""

    def __init__(self) -> None:
        self.world = World(published(page("/"), page("/about"), settings=MOVED))
        self.deps = HostingDeps(self.world.sites, self.world.store, self.world.files, {})

    def get(self, path: str, label: str = "oak", tag: str = "") -> HostedAnswer:
        return serve(label, path, tag, deps=self.deps)


@pytest.fixture
def site() -> Site:
    made = Site()
    made.world.run(made.world.request())
    return made


def test_pages_are_found_at_their_paths(site: Site) -> None:
    home = site.get("/")
    assert (home.status, home.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<title>A page</title>" in home.body
    assert "must-revalidate" in home.headers["cache-control"]
    moved = site.get("/about")
    assert (moved.status, moved.headers["location"]) == (301, "/about/")
    assert b"Text of /about." in site.get("/about/").body


def test_a_known_page_is_not_sent_again(site: Site) -> None:
    tag = site.get("/").headers["etag"]
    again = site.get("/", tag=f'W/"x", {tag}')
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(("path", "status", "to"), [("/old", 301, "/about/"), ("/away/", 302, "https://example.com/")])
def test_redirects_lead_to_their_places(site: Site, path: str, status: int, to: str) -> None:
    answer = site.get(path)
    assert (answer.status, answer.headers["location"]) == (status, to)


def test_what_is_not_there_gets_the_page_for_it(site: Site) -> None:
    missing = site.get("/nothing")
    assert missing.status == 404
    assert b"There is no such page." in missing.body
    assert site.get("/", label="elm").status == 404
    assert site.get("/../index.html").status == 404


def test_no_cookie_is_set_and_no_script_may_run(site: Site) -> None:
    headers = site.get("/").headers
    assert "set-cookie" not in headers
    assert "script-src 'none'" in headers["content-security-policy"]


def test_hashed_files_never_change_and_outlive_their_deployment(site: Site) -> None:
    world = site.world
    (style,) = [
        file.path for file in world.files.manifests[next(iter(world.store.records))].files if ".css" in file.path
    ]
    assert site.get(style).headers["cache-control"] == IMMUTABLE
    world.sites.published = published(page("/"), theme={"color-text": "#000"})
    world.run(world.request())
    assert style not in site.get("/").body.decode()
    assert site.get(style).status == 200
    assert site.get("/about/").status == 404


def test_a_preview_has_an_address_of_its_own(site: Site) -> None:
    world = site.world
    world.sites.published = published(page("/", block("<h1>Draft</h1>")))
    preview = world.run(world.request(is_preview=True))
    shown = site.get("/", label=preview_label("oak", preview.id))
    assert b"Draft" in shown.body
    assert shown.headers["x-robots-tag"] == "noindex"
    assert b"Draft" not in site.get("/").body
    live = world.store.live(preview.workspace_id, preview.site_id, DeploymentTarget.CLOUDFRONT)
    assert live is not None
    assert site.get("/", label=preview_label("oak", live.deployment_id)).status == 404
    assert site.get("/", label=preview_label("elm", preview.id)).status == 404


def test_a_large_file_is_fetched_where_it_is_stored(site: Site) -> None:
    world = site.world
    world.sites.published = published(page("/", block("x" * BODY_BYTES_MAX)))
    world.run(world.request())
    answer = site.get("/")
    assert (answer.status, answer.body) == (302, b"")
    assert answer.headers["location"].startswith("https://files.example/")
