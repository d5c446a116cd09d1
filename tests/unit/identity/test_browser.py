"""The refresh cookie and the check of the request's origin."""

from __future__ import annotations

import pytest

from atelier.errors import Forbidden
from atelier.identity.browser import COOKIE, Presented, cookie, no_cookie, presented

OURS = "https://media.example.com"


def test_the_cookie_is_bound_to_the_host_and_hidden_from_scripts() -> None:
    assert cookie("token") == (
        "__Host-atelier-refresh=token; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Strict"
    )
    assert "Max-Age=0" in no_cookie()


@pytest.mark.parametrize("origin", [OURS, None])
def test_our_own_page_may_use_the_cookie(origin: str | None) -> None:
    assert presented(None, {COOKIE: "token"}, origin, OURS.__eq__) == Presented("token", "cookie")


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", "", "http://media.example.com", f"{OURS}.evil.example", f"{OURS}/"]
)
def test_another_site_may_not(origin: str) -> None:
    with pytest.raises(Forbidden):
        presented(None, {COOKIE: "token"}, origin, OURS.__eq__)


def test_a_token_in_the_body_goes_first_and_needs_no_origin() -> None:
    assert presented("mine", {COOKIE: "token"}, "https://app.example.org", OURS.__eq__) == Presented("mine", "body")


@pytest.mark.parametrize("cookies", [{}, {COOKIE: ""}, {"other": "token"}], ids=repr)
def test_without_a_token_there_is_none(cookies: dict[str, str]) -> None:
    assert presented(None, cookies, OURS, OURS.__eq__) == Presented(None, "cookie")
    # Nor may another site cause the deletion of a cookie that the browser did not send.
    with pytest.raises(Forbidden):
        presented(None, cookies, "https://evil.example.com", OURS.__eq__)
