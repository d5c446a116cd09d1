"""Articles over HTTP: from the draft to the public, who may do what, what is refused, and what two do at once."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from types import ModuleType
from typing import Any

import feedparser
import pytest

from atelier.articles.publish_article import publish_due
from atelier.clock import parse_rfc3339, rfc3339, system_clock
from atelier.ids import new_id
from atelier.library.model import Asset
from atelier.wiring import articles
from atelier.wiring.library import assets
from tests.functions.conftest import PUBLIC_URL, AwsResources
from tests.functions.people import (
    Person,
    call,
    create_administrator,
    create_organization,
    create_person,
    join,
    set_tier,
)
from tests.functions.responses import Reply, error_of, invoke_app, success_data
from tests.invoke import EVENTS, complete_event, load_function, with_request

PATH, DESK = "/api/articles", "/api/editorial/articles"
AWKWARD = 'Fish & Chips <b>"quoted"</b> ]]> 🐟 \u202e'


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/articles")


class Desk:
    """The editorial workspace, with its owner, another editor, and somebody who only reads."""

    def __init__(self, app: ModuleType, *, needs_review: bool = False) -> None:
        workspaces = load_function("api/workspaces")
        self.app, self.root = app, create_administrator("root")
        self.ada, self.bob, self.eve = create_person("ada"), create_person("bob"), create_person("eve")
        self.id = str(create_organization(workspaces, self.ada)["id"])
        set_tier(self.id, "pro@1")
        join(workspaces, self.ada, self.id, self.bob)
        join(workspaces, self.ada, self.id, self.eve, "viewer")
        settings = {"workspace_id": self.id, "needs_review": needs_review, "title": "Atlas & News"}
        success_data(call(app, self.root, "PUT /api/admin/editorial", settings))

    def call(self, request: str, body: Any = None, *, by: Person | None = None, **headers: str) -> Reply:
        """A request in the editorial workspace."""
        return call(self.app, by or self.ada, request, body, **{"atelier-workspace": self.id}, **headers)

    def made(self, *, by: Person | None = None, **fields: Any) -> dict[str, Any]:
        """A new article."""
        about = {name: fields.pop(name) for name in ("locale", "kind", "translation_of") if name in fields}
        body = {"fields": {"title": "Light in film", "body": "# Light", **fields}, **about}
        view: dict[str, Any] = success_data(self.call(f"POST {PATH}", body, by=by))["article"]
        return view

    def published(self, **fields: Any) -> dict[str, Any]:
        """A new article that the public sees."""
        made = self.made(**fields)
        success_data(self.call(f"POST {PATH}/{made['id']}/publish"))
        return made

    def picture(self) -> str:
        """An asset of the workspace; its file is nowhere."""
        at = system_clock()
        asset_id = new_id("ast", at)
        assets().record_upload(
            Asset(asset_id, self.id, self.ada.user_id, "image", "Lamp", "png", "0" * 64, 5, 64, 64, None, at)
        )
        return asset_id


def visit(app: ModuleType, path: str, **headers: str) -> Reply:
    """A request of somebody who has no account."""
    sent = with_request(complete_event(EVENTS / "api/articles"), f"GET {path}", headers=headers)
    sent["requestContext"].pop("authorizer")
    return invoke_app(app, sent)


def text_of(reply: Reply) -> bytes:
    return base64.b64decode(reply["body"])


def listed(app: ModuleType, query: str = "") -> list[str]:
    return [each["title"] for each in success_data(visit(app, f"{PATH}{query}"))["items"]]


def test_an_article_from_its_draft_to_the_public_and_back(app: ModuleType) -> None:
    desk = Desk(app)
    lamp = desk.picture()
    made = desk.made(
        body=f"# Light\n\n![A lamp](asset:{lamp}) <script>alert(1)</script>\n\n[Us](/about)", tags=["film"]
    )
    assert (made["slug"], made["status"], made["version"]) == ("light-in-film", "draft", 1)
    assert error_of(visit(app, f"{PATH}/light-in-film")) == (404, "NOT_FOUND")
    assert error_of(visit(app, f"{PATH}/files/{lamp}")) == (404, "NOT_FOUND")
    assert listed(app) == []

    head = success_data(desk.call(f"POST {PATH}/{made['id']}/publish"))["article"]
    assert (head["status"], head["published_version"]) == ("published", 1)
    article = success_data(visit(app, f"{PATH}/light-in-film"))["article"]
    assert article == success_data(visit(app, f"{PATH}/{made['id']}"))["article"]
    assert "<script" not in article["html"]
    assert f'src="{PUBLIC_URL}/api/articles/files/{lamp}"' in article["html"]
    assert f'href="{PUBLIC_URL}/about"' in article["html"]
    assert article["url"] == f"{PUBLIC_URL}/articles/en/light-in-film"
    file = visit(app, f"{PATH}/files/{lamp}")
    assert file["statusCode"] == 302
    assert f"/media/{desk.id}/" in file["headers"]["Location"]
    assert "Signature=" in file["headers"]["Location"]
    assert (listed(app), listed(app, "?tag=film"), listed(app, "?tag=x"), listed(app, "?locale=de")) == (
        ["Light in film"],
        ["Light in film"],
        [],
        [],
    )

    for _ in range(2):
        success_data(desk.call(f"POST {PATH}/{made['id']}/unpublish"))
    assert listed(app) == []
    assert error_of(visit(app, f"{PATH}/light-in-film")) == (404, "NOT_FOUND")
    assert error_of(visit(app, f"{PATH}/files/{lamp}")) == (404, "NOT_FOUND")


def test_caches_are_told_how_long_and_a_known_tag_gets_304(app: ModuleType) -> None:
    desk = Desk(app)
    made = desk.published()
    for path in (PATH, f"{PATH}/light-in-film", "/feed.xml", "/feed.atom", "/feed.json"):
        first = visit(app, path)
        assert first["headers"]["Cache-Control"].startswith("public, max-age=")
        again = visit(app, path, **{"if-none-match": first["headers"]["ETag"]})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == first["headers"]["ETag"]
    tag = visit(app, PATH)["headers"]["ETag"]
    change = {"base_version": 1, "fields": {"title": "Shadow in film"}}
    success_data(desk.call(f"PUT {PATH}/{made['id']}", change))
    assert visit(app, PATH)["headers"]["ETag"] == tag
    success_data(desk.call(f"POST {PATH}/{made['id']}/publish"))
    assert visit(app, PATH)["headers"]["ETag"] != tag


def test_an_old_slug_leads_to_the_new_one_and_nobody_else_gets_it(app: ModuleType) -> None:
    desk = Desk(app)
    made = desk.published(slug="old")
    for number, slug in enumerate(("never-shown", "new"), 1):
        change = {"base_version": number, "fields": {"title": "T", "slug": slug}}
        success_data(desk.call(f"PUT {PATH}/{made['id']}", change))
    success_data(desk.call(f"POST {PATH}/{made['id']}/publish"))
    moved = visit(app, f"{PATH}/old")
    assert (moved["statusCode"], moved["headers"]["Location"]) == (301, f"{PATH}/new?locale=en")
    taken = desk.call(f"POST {PATH}", {"fields": {"title": "T", "slug": "old"}})
    assert json.loads(taken["body"])["details"]["fields"][0]["path"] == "slug"
    # A slug that the public never saw is free again, and so is the same one in another locale.
    desk.made(slug="never-shown")
    desk.made(slug="old", locale="de")


def test_two_editors_at_once_lose_no_words(app: ModuleType) -> None:
    desk = Desk(app)
    made = desk.made()
    path = f"PUT {PATH}/{made['id']}"
    by_bob = {"base_version": 1, "fields": {"title": "By Bob"}}
    success_data(desk.call(path, by_bob, by=desk.bob))
    refused = desk.call(path, {"base_version": 1, "fields": {"title": "By Ada"}})
    assert error_of(refused) == (409, "VERSION_CONFLICT")
    assert json.loads(refused["body"])["details"] == {"current": 2}
    # The same request once more, whose answer was lost.
    again = success_data(desk.call(path, by_bob, by=desk.bob))["article"]
    assert (again["version"], again["title"]) == (2, "By Bob")

    versions = success_data(desk.call(f"GET {DESK}/{made['id']}/versions", by=desk.eve))["items"]
    assert [(each["number"], each["user_id"]) for each in versions] == [(2, desk.bob.user_id), (1, desk.ada.user_id)]
    diff = success_data(desk.call(f"GET {DESK}/{made['id']}/diff?from=1&to=2"))
    assert diff["fields"] == [{"field": "title", "before": "Light in film", "after": "By Bob"}]
    assert diff["lines"] == ["@@ -1 +0,0 @@", "-# Light"]
    restored = success_data(desk.call(f"POST {PATH}/{made['id']}/versions/1/restore", {}))["article"]
    assert (restored["version"], restored["title"], restored["body"]) == (3, "Light in film", "# Light")


def test_where_reviews_are_asked_for_only_what_another_person_approved_is_public(app: ModuleType) -> None:
    desk = Desk(app, needs_review=True)
    path = f"{PATH}/{desk.made()['id']}"
    in_an_hour = {"at": rfc3339(system_clock() + timedelta(hours=1))}
    assert error_of(desk.call(f"POST {path}/publish")) == (409, "CONFLICT")
    assert error_of(desk.call(f"POST {path}/schedule", in_an_hour)) == (409, "CONFLICT")
    assert error_of(desk.call(f"POST {path}/approve", {"version": 1}, by=desk.bob)) == (409, "CONFLICT")
    assert success_data(desk.call(f"POST {path}/submit"))["article"]["status"] == "in_review"
    assert error_of(desk.call(f"POST {path}/approve", {"version": 1})) == (403, "FORBIDDEN")
    assert error_of(desk.call(f"POST {path}/approve", {"version": 1}, by=desk.eve)) == (403, "FORBIDDEN")
    approved = success_data(desk.call(f"POST {path}/approve", {"version": 1}, by=desk.bob))["article"]
    assert (approved["status"], approved["approved_by"]) == ("approved", desk.bob.user_id)
    # What is written afterwards was approved by nobody.
    success_data(desk.call(f"PUT {path}", {"base_version": 1, "fields": {"title": "More"}}))
    assert error_of(desk.call(f"POST {path}/publish")) == (409, "CONFLICT")
    success_data(desk.call(f"POST {path}/publish", {"version": 1}))
    assert listed(app) == ["Light in film"]


def test_a_scheduled_article_is_published_once_at_its_time(app: ModuleType, cloud: AwsResources) -> None:
    desk, now = Desk(app), system_clock()
    made, at = desk.made(), now + timedelta(days=2)
    assert error_of(desk.call(f"POST {PATH}/{made['id']}/schedule", {"at": rfc3339(now)}))[0] == 422
    head = success_data(desk.call(f"POST {PATH}/{made['id']}/schedule", {"at": rfc3339(at)}))["article"]
    assert (head["status"], parse_rfc3339(head["scheduled_at"])) == ("scheduled", at)
    # A later draft stays a draft.
    success_data(desk.call(f"PUT {PATH}/{made['id']}", {"base_version": 1, "fields": {"title": "Later", "slug": "x"}}))
    deps = articles.deps()
    early, late = at - timedelta(seconds=1), at + timedelta(minutes=3)
    assert publish_due(None, deps=deps, clock=lambda: early) == 0
    assert [publish_due(None, deps=deps, clock=lambda: late) for _ in range(2)] == [1, 0]
    assert listed(app) == ["Light in film"]
    [shown] = success_data(visit(app, PATH))["items"]
    assert parse_rfc3339(shown["published_at"]) == at
    told = [item for item in cloud.items(cloud.tables.audit) if item.get("action", {}).get("S") == "article.published"]
    assert len(told) == 1


def test_an_unpublished_article_is_not_published_by_its_schedule(app: ModuleType) -> None:
    desk, at = Desk(app), system_clock() + timedelta(days=2)
    made = desk.made()
    success_data(desk.call(f"POST {PATH}/{made['id']}/schedule", {"at": rfc3339(at)}))
    success_data(desk.call(f"POST {PATH}/{made['id']}/unpublish"))
    assert publish_due(None, deps=articles.deps(), clock=lambda: at) == 0
    assert listed(app) == []


def test_a_deleted_draft_leaves_nothing_and_its_slug_is_free(app: ModuleType, cloud: AwsResources) -> None:
    desk = Desk(app)
    english = desk.made(slug="light")
    draft = desk.made(slug="licht", locale="de", translation_of=english["id"])
    one, change = f"{PATH}/{draft['id']}", {"base_version": 1, "fields": {"title": "T", "slug": "lampe"}}
    success_data(desk.call(f"PUT {one}", change))
    assert error_of(desk.call(f"DELETE {one}", by=desk.eve)) == (403, "FORBIDDEN")
    assert error_of(call(app, desk.eve, f"DELETE {one}")) == (404, "NOT_FOUND")
    assert desk.call(f"DELETE {one}")["statusCode"] == 204
    for request in (f"GET {DESK}/{draft['id']}", f"GET {DESK}/{draft['id']}/versions", f"DELETE {one}"):
        assert error_of(desk.call(request)) == (404, "NOT_FOUND")
    assert error_of(visit(app, one)) == (404, "NOT_FOUND")
    assert [each["id"] for each in success_data(desk.call(f"GET {DESK}"))["items"]] == [english["id"]]
    assert draft["id"] not in json.dumps(cloud.items(cloud.tables.community))
    again = desk.made(slug="licht", locale="de", translation_of=english["id"])
    assert desk.made(slug="lampe", locale="de")["slug"] == "lampe"
    assert success_data(desk.call(f"POST {PATH}/{again['id']}/publish"))["article"]["status"] == "published"


def test_a_deleted_article_is_gone_by_each_address_and_out_of_lists_and_feeds(
    app: ModuleType, cloud: AwsResources
) -> None:
    desk = Desk(app)
    lamp = desk.picture()
    made = desk.published(slug="old", body=f"![A lamp](asset:{lamp})")
    success_data(desk.call(f"PUT {PATH}/{made['id']}", {"base_version": 1, "fields": {"title": "T", "slug": "new"}}))
    success_data(desk.call(f"POST {PATH}/{made['id']}/publish"))
    token = success_data(desk.call(f"POST {PATH}/{made['id']}/preview", {}))["token"]
    paths = (PATH, "/feed.xml", "/feed.atom", "/feed.json")
    tags = [visit(app, path)["headers"]["ETag"] for path in paths]
    assert desk.call(f"DELETE {PATH}/{made['id']}")["statusCode"] == 204
    for path in (made["id"], "old?locale=en", "new"):
        assert error_of(visit(app, f"{PATH}/{path}")) == (410, "GONE")
    for path in (f"files/{lamp}", f"previews/{token}"):
        assert error_of(visit(app, f"{PATH}/{path}")) == (404, "NOT_FOUND")
    assert error_of(desk.call(f"POST {PATH}/{made['id']}/publish")) == (404, "NOT_FOUND")
    for path, tag in zip(paths, tags, strict=True):
        answer = visit(app, path, **{"if-none-match": tag})
        assert answer["statusCode"] == 200
        assert made["id"] not in json.dumps(answer)
    assert listed(app) == []
    # Nothing of what was written stays, and nobody else gets an address that the public has seen.
    assert not [item for item in cloud.items(cloud.tables.community) if "article-version#" in item["sk"]["S"]]
    assert error_of(desk.call(f"POST {PATH}", {"fields": {"title": "T", "slug": "old"}}))[0] == 422
    told = [item for item in cloud.items(cloud.tables.audit) if item.get("action", {}).get("S") == "article.deleted"]
    assert len(told) == 1


def test_translations_know_one_another(app: ModuleType) -> None:
    desk = Desk(app)
    english = desk.published(slug="light")
    german = desk.published(slug="licht", title="Licht", locale="de", translation_of=english["id"])
    body = {"fields": {"title": "Noch eins"}, "locale": "de", "translation_of": english["id"]}
    assert error_of(desk.call(f"POST {PATH}", body)) == (409, "CONFLICT")
    assert error_of(visit(app, f"{PATH}/licht")) == (404, "NOT_FOUND")
    article = success_data(visit(app, f"{PATH}/licht?locale=de"))["article"]
    assert [(each["locale"], each["slug"]) for each in article["translations"]] == [("en", "light")]
    assert (listed(app, "?locale=de"), listed(app)) == (["Licht"], ["Licht", "Light in film"])
    success_data(desk.call(f"POST {PATH}/{german['id']}/unpublish"))
    assert success_data(visit(app, f"{PATH}/light"))["article"]["translations"] == []


def test_a_markdown_file_with_front_matter_is_an_article(app: ModuleType) -> None:
    desk = Desk(app)
    file = "---\ntitle: Light\ntags: [film, light]\nsummary: What light does\n---\n# Light\n"
    made = success_data(desk.call(f"POST {PATH}", {"file": file}))["article"]
    assert (made["title"], made["tags"], made["body"]) == ("Light", ["film", "light"], "# Light\n")
    written = text_of(desk.call(f"GET {DESK}/{made['id']}/file")).decode()
    change = success_data(desk.call(f"PUT {PATH}/{made['id']}", {"base_version": 1, "file": written}))["article"]
    assert {**change, "version": 1, "updated_at": made["updated_at"]} == made
    for wrong in ("---\ntitle: [", "---\ntitle: T", "---\ntitle: T\nnope: 1\n---\n", "---\n- a\n---\n", "no title"):
        assert error_of(desk.call(f"POST {PATH}", {"file": wrong}))[0] == 422
    bomb = "---\ntitle: &a [x, x]\ntags: [*a, *a]\n---\n"
    assert error_of(desk.call(f"POST {PATH}", {"file": bomb}))[0] == 422


def test_what_is_wrong_is_refused_and_nothing_is_lost(app: ModuleType) -> None:
    desk = Desk(app)
    foreign = new_id("ast", system_clock())
    for fields in (
        {"title": ""},
        {"title": "T", "slug": "No Slug"},
        {"title": "日本"},
        {"title": "T", "tags": ["a,b"]},
        {"title": "T", "cover_id": foreign},
        {"title": "T", "body": f"![x](asset:{foreign})"},
        {"title": "T", "body": "x" * 100_001},
        {"title": "T", "body": "*a* " * 3000},
    ):
        assert error_of(desk.call(f"POST {PATH}", {"fields": fields})) == (422, "VALIDATION_FAILED"), fields
    assert success_data(desk.call(f"GET {DESK}"))["items"] == []
    assert error_of(visit(app, f"{PATH}?cursor=c2hvd24jeA"))[0] == 422


def test_only_the_editorial_workspace_writes_and_a_foreign_article_is_missing(app: ModuleType) -> None:
    desk, mallory = Desk(app), create_person("mallory")
    made = desk.made()
    assert error_of(call(app, mallory, f"POST {PATH}", {"fields": {"title": "Spam"}})) == (409, "CONFLICT")
    for request in (
        f"GET {DESK}/{made['id']}",
        f"POST {PATH}/{made['id']}/publish",
        f"POST {PATH}/{made['id']}/preview",
    ):
        assert error_of(call(app, mallory, request)) == (404, "NOT_FOUND")
        assert error_of(call(app, mallory, request, **{"atelier-workspace": desk.id})) == (404, "NOT_FOUND")
    assert error_of(desk.call(f"PUT {PATH}/{made['id']}", {"base_version": 1}, by=desk.eve)) == (403, "FORBIDDEN")
    personal = {"workspace_id": mallory.workspace_id}
    assert error_of(call(app, desk.root, "PUT /api/admin/editorial", personal))[0] == 422


def test_the_same_creation_twice_is_one_article(app: ModuleType) -> None:
    desk = Desk(app)
    body, key = {"fields": {"title": "Light"}}, {"idempotency-key": "one"}
    first, second = (desk.call(f"POST {PATH}", body, **key) for _ in range(2))
    assert success_data(first)["article"] == success_data(second)["article"]
    assert second["headers"]["Idempotent-Replayed"] == "true"
    assert error_of(desk.call(f"POST {PATH}", {"fields": {"title": "Dark"}}, **key))[0] == 422


def test_a_preview_shows_a_draft_until_it_expires_and_only_as_we_signed_it(app: ModuleType) -> None:
    desk = Desk(app)
    lamp = desk.picture()
    made = desk.made(body=f"![](asset:{lamp})")
    preview = success_data(desk.call(f"POST {PATH}/{made['id']}/preview", {}))
    assert preview["url"] == f"{PUBLIC_URL}/articles/preview/{preview['token']}"
    reply = visit(app, f"{PATH}/previews/{preview['token']}")
    assert reply["headers"]["Cache-Control"] == "no-store"
    assert "Signature=" in success_data(reply)["article"]["html"]
    start, _, mac = preview["token"].rpartition(".")
    for wrong in (f"{start}.{mac[:-1]}0" if mac[-1] != "0" else f"{start}.{mac[:-1]}1", start, "x", f"{start}9.{mac}"):
        assert error_of(visit(app, f"{PATH}/previews/{wrong}")) == (404, "NOT_FOUND")


def test_feeds_are_well_formed_with_awkward_titles_and_absolute_addresses(app: ModuleType) -> None:
    desk = Desk(app)
    lamp = desk.picture()
    body = f"# <Light> & shadow\n\n![x](asset:{lamp})\n\n[Home](/)"
    desk.published(title=AWKWARD, slug="awkward", body=body, author="Ada & Co", tags=["a & b"], cover_id=lamp)
    desk.published(title="Second", summary="In short")
    for path, version in (("/feed.xml", "rss20"), ("/feed.atom", "atom10")):
        reply = visit(app, path)
        feed = feedparser.parse(text_of(reply), response_headers={"content-type": reply["headers"]["Content-Type"]})
        assert (feed.bozo, feed.version, feed.feed.title) == (False, version, "Atlas & News")
        assert f"{PUBLIC_URL}{path}" in [link.href for link in feed.feed.links]
        first, second = feed.entries[1], feed.entries[0]
        assert (first.title_detail.value.strip(), second.summary) == (AWKWARD, "In short")
        assert first.link == f"{PUBLIC_URL}/articles/en/awkward"
        assert (first.author, first.tags[0].term) == ("Ada & Co", "a & b")
        [content] = [each.value for each in first.content if "html" in each.type]
        assert f"{PUBLIC_URL}/api/articles/files/{lamp}" in content
        assert f'href="{PUBLIC_URL}/"' in content
        assert first.published_parsed is not None
    document = json.loads(text_of(visit(app, "/feed.json")))
    assert document["version"] == "https://jsonfeed.org/version/1.1"
    assert document["feed_url"] == f"{PUBLIC_URL}/feed.json"
    item = document["items"][1]
    assert (item["title"], item["url"]) == (AWKWARD, f"{PUBLIC_URL}/articles/en/awkward")
    assert all(("content_html" in each) != ("content_text" in each) and each["id"] for each in document["items"])
    assert item["authors"] == [{"name": "Ada & Co"}]
    empty = feedparser.parse(text_of(visit(app, "/feed.xml?locale=fr")))
    assert (empty.bozo, empty.entries) == (False, [])


def test_lists_go_on_from_page_to_page(app: ModuleType) -> None:
    desk = Desk(app)
    for number in range(5):
        desk.published(title=f"T{number}")
    seen, cursor = list[str](), ""
    while True:
        page = success_data(visit(app, f"{PATH}?limit=2{cursor}"))
        seen += [each["title"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["T4", "T3", "T2", "T1", "T0"]
    assert [each["title"] for each in success_data(desk.call(f"GET {DESK}?status=published&limit=1"))["items"]] == [
        "T4"
    ]
