"""Webhooks in a browser: an endpoint is added, tried out, rotated, disabled and removed."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Page, expect
from standardwebhooks.webhooks import Webhook

from tests.webhook_receiver import webhook_receiver


def test_an_endpoint_is_added_tried_out_and_removed(page: Page, sign_up: Callable[[], str]) -> None:
    sign_up()
    with webhook_receiver() as receiver:
        receiver.statuses.append(500)
        page.goto("/webhooks")
        page.get_by_label("Address", exact=True).fill("https://10.0.0.1/")
        page.get_by_role("button", name="Add the endpoint").click()
        expect(page.locator("#e-url")).to_contain_text("leads inside")
        page.get_by_label("Address", exact=True).fill(f"{receiver.url}/hook")
        page.get_by_label("Description").fill("my <b>flow</b>")
        page.get_by_label("All events").uncheck()
        page.get_by_text("Single events").click()
        page.get_by_label("invoice.paid").check()
        page.get_by_role("button", name="Add the endpoint").click()
        secret = page.locator("#new-secret").inner_text()
        page.get_by_role("link", name="my <b>flow</b>").click()
        expect(page.get_by_text(secret)).to_have_count(0)
        page.get_by_role("button", name="Send a test event").click()
        [(_, headers, body), *_] = receiver.wait_for(2, seconds_max=40)
        assert Webhook(secret).verify(body, headers)
        assert json.loads(body)["type"] == "webhook.test"

        page.reload()
        expect(page.get_by_role("heading", name="500")).to_be_visible()
        page.get_by_role("button", name="Send again").click()
        receiver.wait_for(3, seconds_max=40)
        page.get_by_role("link", name="To the endpoint").click()
        page.get_by_role("button", name="Make a new secret").click()
        newest = page.locator("#new-secret").inner_text()
        assert newest != secret
        page.get_by_role("button", name="Send a test event").click()
        _, headers, body = receiver.wait_for(4, seconds_max=40)[3]
        for each in (secret, newest):
            assert Webhook(each).verify(body, headers)

    page.get_by_role("link", name="To the endpoint").click()
    page.get_by_role("button", name="Disable").click()
    expect(page.get_by_role("button", name="Send a test event")).to_have_count(0)
    page.get_by_text("Remove", exact=True).click()
    page.get_by_role("button", name="Remove the endpoint").click()
    expect(page.get_by_text("No endpoints yet")).to_be_visible()
