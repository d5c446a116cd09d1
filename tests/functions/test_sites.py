"""Sites, pages and parts over HTTP, on the embedded AWS."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem
from atelier.adapters.aws.dynamodb.sites.items import (
    PageItem,
    PageVersionItem,
    page_item,
    version_item,
    version_key,
)
from atelier.catalogue.catalogue import document
from atelier.clock import system_clock
from atelier.errors import NotFound
from atelier.ids import new_id
from atelier.sites.collect import collect_published
from atelier.sites.model import Block, BlockKind, PageContent, PageHead, PageVersion
from atelier.sites.preview import show_preview
from atelier.wiring.sites import preview_deps, site_deps
from tests.functions.conftest import PUBLIC_URL, AwsResources
from tests.functions.people import Person, call, create_organization, create_person, join, set_tier
from tests.functions.responses import error_of, invoke_app, success_data
from tests.invoke import EVENTS, complete_event, load_function, with_request
from tests.table_streams import TableStream


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
    # Who has seen both decides; what the other one did elsewhere stays.
    decided = save(app, ada, page, title="Begin", blocks=[{**first, "html": "<p>1</p>"}, second], resolved_version=3)
    found = success_data(decided)["page"]
    assert ([each["html"] for each in found["blocks"]], found["title"]) == (["<p>1</p>", "<p>TWO</p>"], "Begin")
    refusal(save(app, ada, page, title="Other", resolved_version=3), 409, "CONFLICT")
    success_data(save(app, ada, {**page, "version": 4}, title="Start", blocks=mine["page"]["blocks"]))
    # The same request once more changes nothing.
    again = success_data(save(app, ada, page, title="Start", blocks=[first, {**second, "html": "<p>TWO</p>"}]))
    assert again["page"]["version"] == 5


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
    assert (use["site_name"], use["page_title"], use["page_path"]) == ("Atlas", "Home", "/")
    refused = refusal(call(app, ada, f"DELETE {one}"), 409, "CONFLICT")
    assert refused["details"]["uses"] == [
        {"site_id": page["site_id"], "page_id": page["id"], "page_title": "Home", "page_path": "/"}
    ]

    call(app, ada, f"POST {path_of(page, '/publish')}", {})
    assert save(app, ada, page, blocks=[])["statusCode"] == 200
    [use] = success_data(call(app, ada, f"GET {one}/uses"))["items"]
    assert (use["in_draft"], use["is_published"]) == (False, True)
    call(app, ada, f"POST {path_of(page, '/unpublish')}")
    assert success_data(call(app, ada, f"GET {one}/uses"))["items"] == []
    assert call(app, ada, f"DELETE {one}")["statusCode"] == 204
    gone = save(app, ada, {**page, "version": 2})
    assert refusal(gone, 422, "VALIDATION_FAILED")["details"]["fields"][0]["path"] == "blocks.0.component_id"


def test_a_part_has_a_history_from_which_a_version_is_restored(app: ModuleType, ada: Person) -> None:
    first = {"name": "Card", "html": "<p>one</p>\n<p>same</p>", "css": "p{color:red}", "parameters": [{"name": "a"}]}
    part = success_data(call(app, ada, "POST /api/sections", first))["part"]
    one = f"/api/sections/{part['id']}"
    second = {"name": "Big card", "html": "<p>two</p>\n<p>same</p>", "css": "p{color:red}", "base_version": 1}
    assert call(app, ada, f"PUT {one}", second)["statusCode"] == 200
    listed = success_data(call(app, ada, f"GET {one}/versions"))["items"]
    assert [(each["number"], each["user_name"]) for each in listed] == [(2, "Ada"), (1, "Ada")]
    assert success_data(call(app, ada, f"GET {one}/versions/1"))["version"]["part"]["name"] == "Card"
    diff = success_data(call(app, ada, f"GET {one}/diff?from=1"))
    assert [each["field"] for each in diff["fields"]] == ["name", "parameters"]
    assert (diff["from_version"], diff["to_version"]) == (1, 2)
    assert {"-<p>one</p>", "+<p>two</p>", " <p>same</p>"} <= set(diff["lines"])
    assert not any(line.startswith("css") for line in diff["lines"])
    restored = success_data(call(app, ada, f"POST {one}/versions/1/restore", {}))["part"]
    assert (restored["version"], restored["name"], restored["html"]) == (3, "Card", part["html"])
    assert restored["parameters"] == part["parameters"]
    [newest, *_] = success_data(call(app, ada, f"GET {one}/versions"))["items"]
    assert newest["note"] == "Version 1"
    # Made from version 2, and version 3 says the same: no conflict.
    again = call(app, ada, f"POST {one}/versions/1/restore", {"base_version": 2})
    assert success_data(again)["part"]["version"] == 4
    for wrong in (f"GET {one}/versions/9", f"POST {one}/versions/0/restore", f"GET {one}/diff?from=9"):
        body = {} if wrong.startswith("POST") else None
        assert call(app, ada, wrong, body)["statusCode"] in (404, 422)
    eve = create_person("eve")
    for request in (f"GET {one}/versions/1", f"GET {one}/diff?from=1"):
        refusal(call(app, eve, request), 404, "NOT_FOUND")
    refusal(call(app, eve, f"POST {one}/versions/1/restore", {}), 404, "NOT_FOUND")


def test_authors_are_named_as_long_as_they_have_an_account(app: ModuleType, ada: Person) -> None:
    page = create_page(app, ada, create_site(app, ada), "/")
    made = success_data(call(app, ada, f"POST {path_of(page, '/comments')}", {"body": "a"}))["comment"]
    assert made["user_name"] == "Ada"
    UserItem(ada.user_id, PROFILE).update([UserItem.name.set("Ada Lovelace")])
    [comment] = success_data(call(app, ada, f"GET {path_of(page, '/comments')}"))["items"]
    [version] = success_data(call(app, ada, f"GET {path_of(page, '/versions')}"))["items"]
    assert {comment["user_name"], version["user_name"]} == {"Ada Lovelace"}
    names = site_deps().members.names([ada.user_id, "usr_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
    assert names == {ada.user_id: "Ada Lovelace"}


def test_a_removed_site_leaves_nothing(app: ModuleType, ada: Person, cloud: AwsResources) -> None:
    stream = TableStream(client("dynamodb"), client("dynamodbstreams"), cloud.tables.sites)
    part = success_data(call(app, ada, "POST /api/sections", {"name": "Footer", "html": "<footer>a</footer>"}))["part"]
    site = create_site(app, ada)
    page = create_page(app, ada, site, "/", {"kind": "component", "component_id": part["id"]})
    assert save(app, ada, page, title="Start")["statusCode"] == 200
    comment_on(app, ada, page, "Nice")
    stream.new_records()
    assert call(app, ada, f"DELETE /api/sites/{site['id']}")["statusCode"] == 204
    assert call(app, ada, f"GET {path_of(page)}/comments")["statusCode"] == 200, "the page is removed a moment later"
    work(stream)
    refusal(call(app, ada, f"GET {path_of(page)}"), 404, "NOT_FOUND")
    # The part is not used any more, and can be removed.
    assert call(app, ada, f"DELETE /api/sections/{part['id']}")["statusCode"] == 204
    work(stream)
    assert [item["sk"]["S"] for item in cloud.items(cloud.tables.sites)] == []


# ---- comments --------------------------------------------------------------------------------------------------------


def work(stream: TableStream) -> None:
    """Lets the stream's function act until nothing changes any more."""
    handler = load_function("streams/sites").handler
    while records := stream.new_records():
        handler({"Records": records}, None)
        # A record may come twice.
        handler({"Records": records}, None)


def comment_on(app: ModuleType, person: Person, page: dict[str, Any], body: str, **fields: Any) -> dict[str, Any]:
    response = call(app, person, f"POST {path_of(page, '/comments')}", {"body": body, **fields})
    assert response["statusCode"] == 201, response["body"]
    made: dict[str, Any] = success_data(response)["comment"]
    return made


def test_a_thread_about_a_block_is_resolved_and_opened_again(app: ModuleType, ada: Person) -> None:
    page = create_page(app, ada, create_site(app, ada))
    first = comment_on(app, ada, page, "Too long", block_id="a")
    assert (first["block_id"], first["page_version"]) == ("a", 1)
    reply = comment_on(app, ada, page, "Yes", reply_to=first["id"])
    assert (reply["block_id"], reply["reply_to"]) == ("a", first["id"])
    one = path_of(page, f"/comments/{first['id']}")
    resolved = success_data(call(app, ada, f"POST {one}/resolve"))["comment"]
    assert resolved["resolved_by"] == ada.user_id
    assert success_data(call(app, ada, f"POST {one}/resolve"))["comment"] == resolved
    assert success_data(call(app, ada, f"POST {one}/reopen"))["comment"]["resolved_at"] is None
    refusal(call(app, ada, f"POST {path_of(page, '/comments')}/{reply['id']}/resolve"), 422, "VALIDATION_FAILED")
    for wrong in ({"block_id": "x"}, {"reply_to": reply["id"]}, {"mentions": [new_id("usr", system_clock())]}):
        refused = call(app, ada, f"POST {path_of(page, '/comments')}", {"body": "a", **wrong})
        assert next(iter(wrong)) in refusal(refused, 422, "VALIDATION_FAILED")["details"]["fields"][0]["path"]
    assert success_data(call(app, ada, f"PUT {one}", {"body": "Much too long"}))["comment"]["body"] == "Much too long"
    assert call(app, ada, f"DELETE {one}")["statusCode"] == 204
    listed = success_data(call(app, ada, f"GET {path_of(page)}/comments?limit=1"))
    assert [(each["body"], each["deleted"]) for each in listed["items"]] == [("", True)]
    rest = success_data(call(app, ada, f"GET {path_of(page)}/comments?cursor={listed['next_cursor']}"))
    assert [each["body"] for each in rest["items"]] == ["Yes"]


def test_members_comment_editors_edit_and_who_is_mentioned_is_told_once(
    app: ModuleType, ada: Person, cloud: AwsResources
) -> None:
    stream = TableStream(client("dynamodb"), client("dynamodbstreams"), cloud.tables.sites)
    bob = create_person("bob")
    organization = create_organization(load_function("api/workspaces"), ada)
    set_tier(organization["id"], "pro@1")
    join(load_function("api/workspaces"), ada, organization["id"], bob, "member")
    here = {"atelier-workspace": organization["id"]}
    site = success_data(call(app, ada, "POST /api/sites", {"name": "A", "slug": "atlas-films"}, **here))["site"]
    body = {"path": "/", "title": "Home", "blocks": [block("a", "<p>one</p>")]}
    page = success_data(call(app, ada, f"POST /api/sites/{site['id']}/pages", body, **here))["page"]
    refusal(call(app, bob, f"PUT {path_of(page)}", {**body, "base_version": 1}, **here), 403, "FORBIDDEN")
    said = {"body": f"@{ada.user_id} look, and @{new_id('usr', system_clock())} too", "block_id": "a"}
    made = call(app, bob, f"POST {path_of(page)}/comments", said, **here, **{"idempotency-key": "k1"})
    comment = success_data(made)["comment"]
    assert comment["mentions"] == [ada.user_id]
    again = call(app, bob, f"POST {path_of(page)}/comments", said, **here, **{"idempotency-key": "k1"})
    assert again["headers"]["Idempotent-Replayed"] == "true"
    one = f"{path_of(page)}/comments/{comment['id']}"
    refusal(call(app, ada, f"PUT {one}", {"body": "other"}, **here), 403, "FORBIDDEN")
    call(app, bob, f"PUT {one}", {"body": f"@{ada.user_id} look here"}, **here)
    work(stream)
    pages = [item for item in cloud.items(cloud.tables.realtime) if item["sk"]["S"].startswith("page#")]
    told = [event for item in pages for event in json.loads(item["events"]["S"]) if "comment.mentioned" in str(event)]
    assert len(told) == 1


# ---- versions, previews ----------------------------------------------------------------------------------------------


def test_versions_are_compared_and_restored(app: ModuleType, ada: Person) -> None:
    page = create_page(app, ada, create_site(app, ada))
    first, second = page["blocks"]
    later = success_data(
        save(app, ada, page, title="Start", note="Shorter", blocks=[second, {**first, "html": "<p>1</p>"}])
    )["page"]
    diff = success_data(call(app, ada, f"GET {path_of(page)}/diff?from=1"))
    assert (diff["from_version"], diff["to_version"]) == (1, 2)
    assert diff["fields"] == [{"field": "title", "before": "Home", "after": "Start"}]
    assert {each["block_id"]: each["change"] for each in diff["blocks"]} == {"b": "moved", "a": "changed"}
    [changed] = [each for each in diff["blocks"] if each["block_id"] == "a"]
    assert changed["lines"] == ["html:", "@@ -1 +1 @@", "-<p>one</p>", "+<p>1</p>"]
    restored = success_data(call(app, ada, f"POST {path_of(page)}/versions/1/restore", {}))["page"]
    assert (restored["version"], restored["blocks"], restored["title"]) == (3, page["blocks"], "Home")
    listed = success_data(call(app, ada, f"GET {path_of(page)}/versions?limit=2"))
    assert [(each["number"], each["note"], each["user_id"]) for each in listed["items"]] == [
        (3, "Version 1", ada.user_id),
        (2, "Shorter", ada.user_id),
    ]
    rest = success_data(call(app, ada, f"GET {path_of(page)}/versions?cursor={listed['next_cursor']}"))
    assert [each["number"] for each in rest["items"]] == [1]
    content = success_data(call(app, ada, f"GET {path_of(page)}/versions/2"))["content"]
    assert content["blocks"] == later["blocks"]
    refusal(call(app, ada, f"GET {path_of(page)}/versions/9"), 404, "NOT_FOUND")


def test_a_replaced_version_is_kept_as_the_tier_says_and_a_published_one_for_ever(
    app: ModuleType, ada: Person, cloud: AwsResources
) -> None:
    page = create_page(app, ada, create_site(app, ada))
    call(app, ada, f"POST {path_of(page)}/publish", {})
    page = success_data(save(app, ada, page, title="B"))["page"]
    page = success_data(save(app, ada, page, title="C"))["page"]
    expiry = {
        int(item["sk"]["S"].rpartition("#")[2]): item.get("expires_at_seconds")
        for item in cloud.items(cloud.tables.sites)
        if item["sk"]["S"].startswith("version#")
    }
    assert (expiry[1], expiry[3]) == (None, None)
    days = (int(expiry[2]["N"]) - time.time()) / 86400  # type: ignore[index]
    assert 29 < days <= 30
    # What is over is gone at once, though the database deletes it later.
    PageVersionItem(ada.workspace_id, version_key(page["id"], 2)).update(
        actions=[PageVersionItem.expires_at_seconds.set(1)]
    )
    refusal(call(app, ada, f"GET {path_of(page)}/versions/2"), 404, "NOT_FOUND")
    # Publishing an earlier version keeps that one.
    assert (
        success_data(call(app, ada, f"POST {path_of(page)}/publish", {"version": 3}))["page"]["published_version"] == 3
    )
    refused = save(app, ada, {**page, "version": 2}, title="D", blocks=[])
    assert refusal(refused, 409, "CONFLICT")["details"]["current_version"] == 3


def test_a_preview_is_signed_sandboxed_and_expires(app: ModuleType, ada: Person) -> None:
    site = create_site(app, ada, theme={"color-text": "#222"})
    body = {"name": "Card", "html": '<a href="{{ link }}">{{ text }}</a><slot name="more">m</slot>'}
    body["parameters"] = [{"name": "link"}, {"name": "text", "default": "<T>"}]  # type: ignore[assignment]
    part = success_data(call(app, ada, "POST /api/components", body))["part"]
    use = {
        "kind": "component",
        "component_id": part["id"],
        "parameters": {"link": "javascript:mark()"},
        "slots": {"more": "<b>own</b>"},
    }
    page = create_page(app, ada, site, "/", block("a", "<h1>Hello</h1>", css="h1{color:var(--color-text)}"), use)
    preview = success_data(call(app, ada, f"POST {path_of(page)}/preview", {}))
    path = preview["url"].removeprefix(PUBLIC_URL)
    assert path.startswith("/api/previews/wsp_")
    # Whoever has the address sees it, without an account.
    shown = invoke_app(app, with_request(complete_event(EVENTS / "api/sites"), f"GET {path}"))
    document = base64.b64decode(shown["body"]).decode()
    assert "<h1>Hello</h1>" in document
    assert "--color-text:#222" in document
    assert '<a href="#">&lt;T&gt;</a><b>own</b>' in document
    headers = {name.lower(): value for name, value in shown["headers"].items()}
    assert "sandbox" in headers["content-security-policy"]
    assert "allow-same-origin" not in headers["content-security-policy"]
    assert "allow-scripts" not in headers["content-security-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-robots-tag"].startswith("noindex")
    assert shown["cookies"] == []
    for wrong in (path[:-1], path.replace(".1.", ".2."), "/api/previews/x", "/api/previews/" + "9" * 200):
        refusal(invoke_app(app, with_request(complete_event(EVENTS / "api/sites"), f"GET {wrong}")), 404, "NOT_FOUND")
    later = system_clock() + timedelta(hours=1, seconds=1)
    with pytest.raises(NotFound, match="expired"):
        show_preview(path.rpartition("/")[2], deps=preview_deps(), now=later)


# ---- what people send ------------------------------------------------------------------------------------------------


def test_what_pages_must_not_contain_is_taken_out_and_named(app: ModuleType, ada: Person) -> None:
    site = create_site(app, ada)
    body = {
        "path": "/",
        "title": "A",
        "blocks": [block("a", '<p onclick="mark()">a</p>', css="@import 'x';p{color:red}")],
    }
    saved = success_data(call(app, ada, f"POST /api/sites/{site['id']}/pages", body))
    assert saved["page"]["blocks"][0]["html"] == "<p>a</p>"
    assert saved["removed"] == [
        {"block_id": "a", "what": "onclick of <p>", "where": "html"},
        {"block_id": "a", "what": "@import", "where": "css"},
    ]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"path": "/A"}, "path"),
        ({"path": "about"}, "path"),
        ({"path": "/a/../b"}, "path"),
        ({"path": "/assets/a"}, "path"),
        ({"blocks": [{"id": "a"}, {"id": "a"}]}, "blocks.0.id"),
        ({"blocks": [{"js": "mark()"}]}, "blocks.0.js"),
        ({"blocks": [{"kind": "component"}]}, "blocks.0.component_id"),
        ({"blocks": [{"parameters": {"a": "b"}}]}, "blocks.0.kind"),
        ({"blocks": [{"html": '<img src="asset:ast_01ARZ3NDEKTSV4RRFFQ69G5FAV">'}]}, "blocks.0"),
        ({"seo": {"image_asset_id": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}, "seo.image_asset_id"),
        ({"blocks": [{"html": "a" * 99_999, "id": f"b{n}"} for n in range(4)]}, "blocks"),
        ({"language": "english!"}, "language"),
    ],
)
def test_a_page_that_cannot_be_stored_is_refused(
    app: ModuleType, ada: Person, fields: dict[str, Any], path: str
) -> None:
    site = create_site(app, ada)
    refused = call(app, ada, f"POST /api/sites/{site['id']}/pages", {"path": "/", "title": "A", **fields})
    assert path in [each["path"] for each in refusal(refused, 422, "VALIDATION_FAILED")["details"]["fields"]]


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"slug": "www"}, "slug"),
        ({"slug": "Atlas"}, "slug"),
        ({"slug": "a--b"}, "slug"),
        ({"domain": "not a domain"}, "domain"),
        ({"domain": "10.0.0.1"}, "domain"),
        ({"theme": {"color-text": "red;} p{color:blue"}}, "theme.color-text"),
        ({"settings": {"redirects": [{"path": "/a", "to": "javascript:mark()"}]}}, "settings.redirects.0.to"),
        ({"settings": {"favicon_asset_id": "ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"}}, "settings.favicon_asset_id"),
    ],
)
def test_a_site_that_cannot_be_stored_is_refused(
    app: ModuleType, ada: Person, fields: dict[str, Any], path: str
) -> None:
    refused = call(app, ada, "POST /api/sites", {"name": "A", "slug": "atlas", **fields})
    assert path in [each["path"] for each in refusal(refused, 422, "VALIDATION_FAILED")["details"]["fields"]]


def test_scripts_and_foreign_hosts_need_a_tier_that_includes_them(app: ModuleType, ada: Person) -> None:
    for settings in ({"scripts": True}, {"allowed_hosts": ["img.example.org"]}):
        refused = call(app, ada, "POST /api/sites", {"name": "A", "slug": "atlas", "settings": settings})
        assert refusal(refused, 402, "PAYMENT_REQUIRED")["details"]["tiers"]
    set_tier(ada.workspace_id, "starter@1")
    settings = {"scripts": True, "allowed_hosts": ["img.example.org"]}
    site = create_site(app, ada, settings=settings)
    html = '<img src="https://img.example.org/a.png" alt="">'
    page = create_page(app, ada, site, "/", block("a", html, js="document.title = 'mark'"))
    assert page["blocks"][0]["html"] == html
    preview = success_data(call(app, ada, f"POST {path_of(page)}/preview", {}))
    path = preview["url"].removeprefix(PUBLIC_URL)
    shown = invoke_app(app, with_request(complete_event(EVENTS / "api/sites"), f"GET {path}"))
    assert "document.title = 'mark'" in base64.b64decode(shown["body"]).decode()
    policy = shown["headers"]["Content-Security-Policy"]
    assert policy.endswith("sandbox allow-scripts")
    assert "https://img.example.org" in policy


# ---- two clients at once ---------------------------------------------------------------------------------------------


def test_two_clients_at_once_lose_no_word(app: ModuleType, ada: Person) -> None:
    """Each of several clients changes a block of its own, all from the same version, at the same time."""
    ids = [f"b{number}" for number in range(6)]
    page = create_page(app, ada, create_site(app, ada), "/", *(block(id, f"<p>{id}</p>") for id in ids))

    def write(id: str) -> int:
        blocks = [{**each, "html": f"<p>{id} new</p>"} if each["id"] == id else each for each in page["blocks"]]
        return int(save(app, ada, page, blocks=blocks)["statusCode"])

    with ThreadPoolExecutor(len(ids)) as pool:
        statuses = list(pool.map(write, ids))
    assert statuses == [200] * len(ids)
    found = success_data(call(app, ada, f"GET {path_of(page)}"))["page"]
    assert [each["html"] for each in found["blocks"]] == [f"<p>{id} new</p>" for id in ids]
    assert found["version"] == 1 + len(ids)


def test_a_part_is_either_used_or_removed(app: ModuleType, ada: Person) -> None:
    """A page begins to use a part while somebody removes it."""
    site = create_site(app, ada)
    for number in range(4):
        part = success_data(call(app, ada, "POST /api/components", {"name": "A", "html": "<p>a</p>"}))["part"]
        body = {"path": f"/p{number}", "title": "A", "blocks": [{"kind": "component", "component_id": part["id"]}]}
        with ThreadPoolExecutor(2) as pool:
            used = pool.submit(call, app, ada, f"POST /api/sites/{site['id']}/pages", body)
            removed = pool.submit(call, app, ada, f"DELETE /api/components/{part['id']}")
        statuses = (used.result()["statusCode"], removed.result()["statusCode"])
        assert statuses in ((201, 409), (422, 204))


def test_a_path_is_of_one_page_also_while_its_published_version_has_it(app: ModuleType, ada: Person) -> None:
    site = create_site(app, ada)
    page = create_page(app, ada, site, "/about")
    call(app, ada, f"POST {path_of(page)}/publish", {})
    page = success_data(save(app, ada, page, path="/company"))["page"]
    body = {"path": "/about", "title": "B"}
    refused = call(app, ada, f"POST /api/sites/{site['id']}/pages", body)
    assert refusal(refused, 422, "VALIDATION_FAILED")["details"]["fields"][0]["path"] == "path"
    call(app, ada, f"POST {path_of(page)}/publish", {})
    assert call(app, ada, f"POST /api/sites/{site['id']}/pages", body)["statusCode"] == 201
    with ThreadPoolExecutor(4) as pool:
        bodies = [{"path": "/same", "title": str(number)} for number in range(4)]
        answers = list(pool.map(lambda each: call(app, ada, f"POST /api/sites/{site['id']}/pages", each), bodies))
    assert sorted(each["statusCode"] for each in answers) == [201, 422, 422, 422]


def test_a_site_of_a_thousand_pages_is_collected(app: ModuleType, ada: Person) -> None:
    site, now = create_site(app, ada), system_clock()
    with PageItem.batch_write() as heads, PageVersionItem.batch_write() as versions:
        for number in range(1000):
            page_id, path = new_id("pag", now), f"/p{number}"
            content = PageContent(path, path, (Block("a", BlockKind.HTML, "<p>a</p>"),))
            head = PageHead(page_id, ada.workspace_id, site["id"], path, path, 1, 2, now, now, ada.user_id)
            published = replace(head, published_version=1, published_path=path, was_published=True)
            heads.save(page_item(published))
            versions.save(version_item(ada.workspace_id, PageVersion(page_id, 1, content, ada.user_id, now)))
    found = collect_published(site_deps(), ada.workspace_id, site["id"])
    assert [page.content.path for page in found.pages] == sorted(f"/p{number}" for number in range(1000))
