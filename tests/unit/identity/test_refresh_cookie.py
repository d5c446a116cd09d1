"""The refresh cookie and the check of the request's origin."""

from __future__ import annotations

import pytest

from atelier.errors import Forbidden
from atelier.identity.refresh_cookie import COOKIE_NAME, PresentedToken, expired_cookie, presented_token, refresh_cookie

OURS = "https://media.example.com"


def test_the_cookie_is_bound_to_the_host_and_hidden_from_scripts() -> None:
    assert refresh_cookie("token") == (
        "__Host-atelier-refresh=token; Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Strict"
    )
    assert "Max-Age=0" in expired_cookie()


@pytest.mark.parametrize("origin", [OURS, None])
def test_the_public_origin_may_use_the_refresh_cookie(origin: str | None) -> None:
    assert presented_token(None, {COOKIE_NAME: "token"}, origin, OURS.__eq__) == PresentedToken("token", "cookie")


@pytest.mark.parametrize(
    "origin", ["https://evil.example.com", "null", "", "http://media.example.com", f"{OURS}.evil.example", f"{OURS}/"]
)
def test_another_origin_may_not_use_the_refresh_cookie(origin: str) -> None:
    with pytest.raises(Forbidden):
        presented_token(None, {COOKIE_NAME: "token"}, origin, OURS.__eq__)


def test_a_token_in_the_body_takes_precedence_and_needs_no_origin() -> None:
    assert presented_token("mine", {COOKIE_NAME: "token"}, "https://app.example.org", OURS.__eq__) == PresentedToken(
        "mine", "body"
    )


@pytest.mark.parametrize("cookies", [{}, {COOKIE_NAME: ""}, {"other": "token"}], ids=repr)
def test_a_request_without_a_token_presents_none(cookies: dict[str, str]) -> None:
    assert presented_token(None, cookies, OURS, OURS.__eq__) == PresentedToken(None, "cookie")
    # Nor may another site cause the deletion of a cookie that the browser did not send.
    with pytest.raises(Forbidden):
        presented_token(None, cookies, "https://evil.example.com", OURS.__eq__)
