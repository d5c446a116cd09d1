"""Deployments in a browser: deploy and follow, look at the site, roll back, check the domain; and another host, with a
key that is revoked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from infra.simulators.site_hosts.host import HostSimulator
from tests.local.conftest import Stack

WORDS, OTHER_WORDS = "Made of oak", "Made of ash"


@pytest.fixture
def netlify(stack: Stack) -> Iterator[HostSimulator]:
    """The host, which takes its token again after the test."""
    host = stack.site_hosts["netlify"]
    yield host
    host.is_revoked = False


def publish(page: Page, words: str) -> None:
    page.get_by_label("HTML", exact=True).fill(f"<h1>Chairs</h1><p>{words}</p>")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Saved as version")).to_be_visible()
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.get_by_text("Published", exact=True)).to_be_visible()


def deploy(page: Page, deployments: str, target: str = "Our own edge") -> None:
    page.goto(deployments)
    page.get_by_role("region", name="New deployment").get_by_label("Where to").select_option(label=target)
    page.get_by_role("button", name="Deploy").click()
    page.wait_for_url("**/deployments/dep_*")


def words_at(page: Page, url: str) -> str:
    """What a visitor sees, in a tab of its own."""
    visitor = page.context.new_page()
    visitor.goto(url)
    words = visitor.locator("main").inner_text()
    visitor.close()
    return words


def test_a_site_is_deployed_followed_and_rolled_back(page: Page, sign_up: Callable[[], str], stack: Stack) -> None:
    slug, domain = f"chairs-{uuid.uuid4().hex[:12]}", f"www.{uuid.uuid4().hex[:12]}.example"
    sign_up()
    page.goto("/sites")
    page.get_by_label("Name", exact=True).fill("Chairs")
    page.get_by_label("Short name").fill(slug)
    page.get_by_role("button", name="Create the site").click()
    page.get_by_label("Title").fill("Home")
    page.get_by_role("button", name="Create the page").click()
    page.get_by_role("button", name="Add a block").click()
    publish(page, WORDS)
    editor = page.url.partition("?")[0]
    site = editor.partition("/pages/")[0]
    deployments = f"{site}/deployments"

    # The page of a deployment follows it by itself.
    deploy(page, deployments)
    first = page.url
    expect(page.get_by_text("shown now", exact=True)).to_be_visible()
    expect(page.get_by_text("Rendered 1 pages")).to_be_visible()
    address = str(page.get_by_role("main").get_by_role("link", name=f"{slug}.localhost").get_attribute("href"))
    assert WORDS in words_at(page, address)

    page.goto(editor)
    publish(page, OTHER_WORDS)
    deploy(page, deployments)
    expect(page.get_by_text("shown now", exact=True)).to_be_visible()
    assert OTHER_WORDS in words_at(page, address)

    page.goto(first)
    expect(page.get_by_text("was live", exact=True)).to_be_visible()
    page.get_by_role("button", name="Roll back to this one").click()
    page.wait_for_url(lambda url: "/deployments/dep_" in url and url != first)
    expect(page.get_by_text("was live", exact=True).or_(page.get_by_text("shown now", exact=True))).to_be_visible()
    assert WORDS in words_at(page, address)

    page.goto(deployments)
    page.get_by_role("link", name="Set one in the settings").click()
    page.get_by_label("Domain").fill(domain)
    page.get_by_role("button", name="Save").click()
    stack.dns.add(domain, "CNAME", "old.example")
    page.goto(deployments)
    page.get_by_role("button", name="Check the domain").click()
    found = page.get_by_role("region", name="Domain of its own")
    expect(found.get_by_text("The domain leads elsewhere.")).to_be_visible()
    expect(found.get_by_role("listitem").first).to_have_text(f"{domain} CNAME {slug}.localhost")
    expect(found.get_by_role("listitem").last).to_have_text(f"{domain} CNAME old.example")
    stack.dns.records[domain, "CNAME"] = [f"{slug}.localhost"]
    page.get_by_role("button", name="Check the domain").click()
    expect(found.get_by_text("The domain leads to this target.")).to_be_visible()


def test_another_hosts_key_works_until_it_is_revoked(
    page: Page, sign_up: Callable[[], str], netlify: HostSimulator
) -> None:
    sign_up()
    page.goto("/sites")
    page.get_by_label("Name", exact=True).fill("Chairs")
    page.get_by_label("Short name").fill(f"chairs-{uuid.uuid4().hex[:12]}")
    page.get_by_role("button", name="Create the site").click()
    page.get_by_label("Title").fill("Home")
    page.get_by_role("button", name="Create the page").click()
    page.get_by_role("button", name="Add a block").click()
    publish(page, WORDS)
    deployments = f"{page.url.partition('/pages/')[0]}/deployments"

    page.goto(deployments)
    page.get_by_role("region", name="New deployment").get_by_label("Where to").select_option(label="Netlify")
    page.get_by_role("button", name="Deploy").click()
    expect(page.get_by_text("add one of netlify")).to_be_visible()

    page.goto("/integrations")
    page.get_by_label("Token", exact=True).fill(netlify.api_key)
    page.get_by_label("Host").select_option(label="Netlify")
    page.get_by_role("button", name="Add the account").click()
    page.get_by_role("button", name="Test").click()
    expect(page.get_by_text("the host accepts the token.")).to_be_visible()
    assert netlify.api_key not in page.content()

    deploy(page, deployments, "Netlify")
    expect(page.get_by_text("shown now", exact=True)).to_be_visible()

    netlify.is_revoked = True
    deploy(page, deployments, "Netlify")
    expect(page.get_by_text("failed", exact=True)).to_be_visible()
    expect(page.locator(".notice").get_by_text("The host does not accept the credentials")).to_be_visible()
    page.goto("/integrations")
    expect(page.get_by_text("refused", exact=True)).to_be_visible()


def test_an_account_at_a_host_is_asked_only_for_what_that_host_needs(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    page.goto("/integrations")
    rooms = page.get_by_role("navigation", name="Rooms")
    expect(rooms.get_by_role("link", name="Sites")).to_have_attribute("aria-current", "page")
    for host, asked, spared in (("GitHub", "Owner", "Team"), ("Netlify", "Team", "Owner")):
        page.get_by_label("Host").select_option(label=host)
        expect(page.get_by_label(asked, exact=True)).to_be_visible()
        expect(page.get_by_label(spared, exact=True)).to_be_hidden()
