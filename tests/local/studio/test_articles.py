"""Articles in a browser: written, previewed, published and read by somebody without an account."""

from __future__ import annotations

import uuid
from urllib.parse import quote

import feedparser
import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.local.administrator import create_administrator
from tests.local.client import PASSWORD, AccountClient
from tests.local.conftest import BROWSER_SECONDS_MAX, Stack
from tests.local.studio.pages import EDITORIAL_PAGES
from tests.local.studio.test_every_page import MARKER, check_page


@pytest.fixture
def editor(page: Page, stack: Stack) -> AccountClient:
    """The owner of the editorial workspace, who is signed in and works there."""
    account, root = AccountClient(stack.base_url), create_administrator(stack.base_url, stack.running)
    name = "Atlas News"
    made = account.http.post("/api/workspaces", json={"name": name}).json()["data"]["workspace"]
    settings = {"workspace_id": made["id"], "title": MARKER}
    assert root.http.put("/api/admin/editorial", json=settings).status_code == 200
    account.http.headers["atelier-workspace"] = made["id"]
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(account.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/home")
    page.goto("/team")
    page.get_by_role("button", name=f"Work in {name}").click()
    page.wait_for_url("**/create")
    return account


def test_an_article_is_written_previewed_published_and_read_by_everybody(
    page: Page, browser: Browser, editor: AccountClient, stack: Stack
) -> None:
    slug = f"light-{uuid.uuid4().hex[:8]}"
    page.goto("/editorial")
    page.get_by_role("link", name="New article").first.click()
    page.get_by_label("Title", exact=True).fill("Light <b>in</b> film")
    page.get_by_label("Address", exact=True).fill(slug)
    page.get_by_label("Text", exact=True).fill("# What light does\n\n*Much.* <script>document.title = 'run'</script>")
    page.get_by_label("Tags").fill("film, light")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Light <b>in</b> film")).to_be_visible()
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("A preview: only people with this address")).to_be_visible()
    preview = page.url

    stranger_context = browser.new_context(base_url=stack.base_url, locale="en-GB")
    stranger_context.set_default_timeout(BROWSER_SECONDS_MAX * 1000)
    stranger = stranger_context.new_page()
    answer = stranger.goto(f"/articles/en/{slug}")
    assert answer is not None
    assert answer.status == 404
    stranger.goto(preview)
    expect(stranger.get_by_role("heading", name="What light does", level=2)).to_be_visible()

    page.go_back()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text("Version 1 is public")).to_be_visible()
    stranger.goto("/articles")
    stranger.get_by_role("link", name="Light <b>in</b> film").first.click()
    stranger.wait_for_url(f"**/articles/en/{slug}")
    expect(stranger.get_by_text("Much.", exact=True)).to_be_visible()
    assert stranger.title() != "run"

    page.get_by_label("Address", exact=True).fill(f"{slug}-new")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Publish now").click()
    expect(page.get_by_text("Version 2 is public")).to_be_visible()
    stranger.goto(f"/articles/en/{slug}")
    stranger.wait_for_url(f"**/articles/en/{slug}-new")
    stranger_context.close()

    for path, content_type in (("/feed.xml", "application/rss+xml"), ("/feed.atom", "application/atom+xml")):
        feed = httpx.get(f"{stack.base_url}{path}")
        assert feed.headers["content-type"].startswith(content_type)
        parsed = feedparser.parse(feed.content, response_headers=dict(feed.headers))
        assert not parsed.bozo
        assert f"{stack.base_url}/articles/en/{slug}-new" in [entry.link for entry in parsed.entries]
    items = httpx.get(f"{stack.base_url}/feed.json").json()["items"]
    assert f"{stack.base_url}/articles/en/{slug}-new" in [item["url"] for item in items]
    tag = httpx.head(f"{stack.base_url}/api/articles").headers["etag"]
    assert httpx.get(f"{stack.base_url}/api/articles", headers={"if-none-match": tag}).status_code == 304

    page.get_by_text("Delete it …").click()
    page.get_by_role("button", name="Delete it for good").click()
    page.wait_for_url("**/editorial")
    gone = httpx.get(f"{stack.base_url}/articles/en/{slug}-new")
    assert (gone.status_code, "This was deleted." in gone.text) == (410, True)


def test_what_two_editors_type_at_once_is_kept(page: Page, editor: AccountClient, stack: Stack) -> None:
    fields = {"title": "Shadow", "slug": f"shadow-{uuid.uuid4().hex[:8]}"}
    made = editor.http.post("/api/articles", json={"fields": fields}).json()["data"]["article"]
    page.goto(f"/editorial/{made['id']}")
    body = {"base_version": 1, "fields": {**fields, "title": "Theirs"}}
    assert editor.http.put(f"/api/articles/{made['id']}", json=body).status_code == 200
    page.get_by_label("Title", exact=True).fill("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody has saved version 2 meanwhile")).to_be_visible()
    expect(page.get_by_label("Title", exact=True)).to_have_value("Mine")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    page.get_by_role("link", name="Versions").click()
    page.get_by_role("link", name="Changes of version 3").click()
    expect(page.get_by_text("Theirs", exact=True)).to_be_visible()


def test_pages_of_articles_are_as_all_others(page: Page, editor: AccountClient) -> None:
    fields = {"title": MARKER, "slug": f"marker-{uuid.uuid4().hex[:8]}", "summary": MARKER, "author": "<b>Ada</b>"}
    body = f"# {MARKER}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quoted\n\n```\n{'long ' * 60}\n```\n\n- [Home](/)\n"
    sent = {"fields": {**fields, "body": body, "tags": ["film & light"]}, "note": "first"}
    article = editor.http.post("/api/articles", json=sent).json()["data"]["article"]["id"]
    changed = {**sent, "base_version": 1, "fields": {**fields, "title": f"{MARKER} 2", "body": body}}
    assert editor.http.put(f"/api/articles/{article}", json=changed).status_code == 200
    assert editor.http.post(f"/api/articles/{article}/publish", json={"version": 1}).status_code == 200
    preview = editor.http.post(f"/api/articles/{article}/preview", json={}).json()["data"]["token"]
    ids = {"article": article, "locale": "en", "slug": fields["slug"], "preview": quote(preview)}
    for name, path in {"articles": "/articles", "editorial": "/editorial", **EDITORIAL_PAGES}.items():
        check_page(page, f"{name}_full", path.format(**ids))
