"""Sites, pages and parts over HTTP, on the embedded AWS."""

from __future__ import annotations

import json
from types import ModuleType
from typing import Any

import pytest

from atelier.catalogue.catalogue import document
from atelier.sites.collect import collect_published
from atelier.wiring.sites import site_deps
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/sites")


@pytest.fixture
def ada(app: ModuleType) -> Person:
    return create_person("ada")


def refusal(response: Any, status: int, code: str) -> dict[str, Any]:
    """The error of a refused request."""
    assert error_of(response) == (status, code), response["body"]
    error: dict[str, Any] = json.loads(response["body"])
    return error


def create_site(app: ModuleType, person: Person, slug: str = "atlas-films", **fields: Any) -> dict[str, Any]:
    response = call(app, person, "POST /api/sites", {"name": "Atlas", "slug": slug, **fields})
    assert response["statusCode"] == 201, response["body"]
    site: dict[str, Any] = success_data(response)["site"]
    return site


def block(id: str, html: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "html": html, **fields}


def create_page(app: ModuleType, person: Person, site: dict[str, Any], path: str = "/", *blocks: Any) -> dict[str, Any]:
    body = {
        "path": path,
        "title": "Home",
        "blocks": list(blocks) or [block("a", "<p>one</p>"), block("b", "<p>two</p>")],
    }
    response = call(app, person, f"POST /api/sites/{site['id']}/pages", body)
    assert response["statusCode"] == 201, response["body"]
    page: dict[str, Any] = success_data(response)["page"]
    return page


def path_of(page: dict[str, Any], below: str = "") -> str:
    return f"/api/sites/{page['site_id']}/pages/{page['id']}{below}"


def save(app: ModuleType, person: Person, page: dict[str, Any], **changes: Any) -> Any:
    names = ("path", "title", "blocks", "seo", "language")
    body = {**{name: page[name] for name in names}, "base_version": page["version"], **changes}
    return call(app, person, f"PUT {path_of(page)}", body)


def test_a_site_with_published_pages_is_collected(app: ModuleType, ada: Person) -> None:
    site = create_site(app, ada, theme={"color-text": "#222"})
    about = create_page(app, ada, site, "/about")
    home = create_page(app, ada, site)
    create_page(app, ada, site, "/draft")
    for page in (about, home):
        assert call(app, ada, f"POST {path_of(page, '/publish')}", {})["statusCode"] == 200
    # A later version is a draft until it is published.
    assert save(app, ada, home, title="Later")["statusCode"] == 200
    found = collect_published(site_deps(), ada.workspace_id, site["id"])
    assert [(page.content.path, page.content.title, page.version) for page in found.pages] == [
        ("/", "Home", 1),
        ("/about", "Home", 1),
    ]
    assert found.site.theme == {"color-text": "#222"}
    listed = success_data(call(app, ada, f"GET /api/sites/{site['id']}/pages"))["items"]
    assert {page["path"]: (page["status"], page["version"]) for page in listed} == {
        "/": ("published", 2),
        "/about": ("published", 1),
        "/draft": ("draft", 1),
    }


def test_what_only_one_side_changed_is_merged_and_the_rest_is_a_conflict(app: ModuleType, ada: Person) -> None:
    page = create_page(app, ada, create_site(app, ada))
    first, second = page["blocks"]
    theirs = success_data(save(app, ada, page, blocks=[{**first, "html": "<p>ONE</p>"}, second]))
    assert theirs["merged"] is False
    mine = success_data(save(app, ada, page, title="Start", blocks=[first, {**second, "html": "<p>TWO</p>"}]))
    assert mine["merged"] is True
    assert [each["html"] for each in mine["page"]["blocks"]] == ["<p>ONE</p>", "<p>TWO</p>"]
    assert (mine["page"]["title"], mine["page"]["version"]) == ("Start", 3)

    refused = save(app, ada, page, title="Begin", blocks=[{**first, "html": "<p>1</p>"}, second])
    error = refusal(refused, 409, "CONFLICT")
    details = error["details"]
    assert (details["blocks"], details["fields"]) == (["a"], ["title"])
    assert (details["base_version"], details["current_version"]) == (1, 3)
    assert [details[side]["blocks"][0]["html"] for side in ("theirs", "mine")] == ["<p>ONE</p>", "<p>1</p>"]
    # The same request once more changes nothing.
    again = success_data(save(app, ada, page, title="Start", blocks=[first, {**second, "html": "<p>TWO</p>"}]))
    assert again["page"]["version"] == 3


def test_a_slug_is_unique_until_it_is_freed(app: ModuleType, ada: Person) -> None:
    bob = create_person("bob")
    site = create_site(app, ada, domain="www.Example.org")
    assert site["domain"] == "www.example.org"
    taken = call(app, bob, "POST /api/sites", {"name": "B", "slug": "atlas-films"})
    assert refusal(taken, 409, "CONFLICT")["details"] == {"field": "slug"}
    taken = call(app, bob, "POST /api/sites", {"name": "B", "slug": "other", "domain": "www.example.org"})
    assert refusal(taken, 409, "CONFLICT")["details"] == {"field": "domain"}
    changed = call(app, ada, f"PUT /api/sites/{site['id']}", {"slug": "atlas-movies", "domain": None})
    assert success_data(changed)["site"]["domain"] is None
    theirs = create_site(app, bob, domain="www.example.org")
    assert refusal(call(app, ada, f"GET /api/sites/{theirs['id']}"), 404, "NOT_FOUND")
    assert call(app, bob, f"DELETE /api/sites/{theirs['id']}")["statusCode"] == 204
    create_site(app, bob)


def test_the_tier_limits_the_sites(app: ModuleType, ada: Person) -> None:
    limit = document()["tiers"][0].get("sites_max", 3)
    sites = [create_site(app, ada, f"site-{number}") for number in range(limit)]
    refused = call(app, ada, "POST /api/sites", {"name": "B", "slug": "one-more"})
    details = refusal(refused, 403, "QUOTA_EXCEEDED")["details"]
    assert (details["quota"], details["used"]) == ("sites", limit)
    call(app, ada, f"DELETE /api/sites/{sites[0]['id']}")
    create_site(app, ada, "one-more")


def test_a_part_in_use_stays_and_says_where(app: ModuleType, ada: Person) -> None:
    body = {"name": "Card", "html": '<h2>{{ title }}</h2><slot name="text">…</slot>', "parameters": [{"name": "title"}]}
    part = success_data(call(app, ada, "POST /api/components", body))["part"]
    assert part["slots"] == ["text"]
    page = create_page(app, ada, create_site(app, ada), "/", {"kind": "component", "component_id": part["id"]})
    one = f"/api/components/{part['id']}"
    [use] = success_data(call(app, ada, f"GET {one}/uses"))["items"]
    assert (use["page_id"], use["in_draft"], use["is_published"]) == (page["id"], True, False)
    refused = refusal(call(app, ada, f"DELETE {one}"), 409, "CONFLICT")
    assert refused["details"]["uses"] == [{"site_id": page["site_id"], "page_id": page["id"]}]

    call(app, ada, f"POST {path_of(page, '/publish')}", {})
    assert save(app, ada, page, blocks=[])["statusCode"] == 200
    [use] = success_data(call(app, ada, f"GET {one}/uses"))["items"]
    assert (use["in_draft"], use["is_published"]) == (False, True)
    call(app, ada, f"POST {path_of(page, '/unpublish')}")
    assert success_data(call(app, ada, f"GET {one}/uses"))["items"] == []
    assert call(app, ada, f"DELETE {one}")["statusCode"] == 204
    gone = save(app, ada, {**page, "version": 2})
    assert refusal(gone, 422, "VALIDATION_FAILED")["details"]["fields"][0]["path"] == "blocks.0.component_id"
