"""Forms are taken from our own pages alone."""

from __future__ import annotations

import pytest

from studio import csrf
from studio.csrf import COOKIE, ForeignForm, check, masked, token_of

OWN = "https://media.example.com"
# Written out, because each test process must collect the same cases.
TOKEN, OTHER_TOKEN = "Mdxiqv3LrVFiLNAYpPSn9Q", "9Hl_hDH8YkXGFu2ydjbZzg"
COOKIES = {COOKIE: TOKEN}


def test_a_browser_keeps_its_token() -> None:
    token, cookie = token_of({})
    assert cookie is not None
    assert cookie.startswith(f"{COOKIE}={token}; Path=/;")
    assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=Strict"))
    assert token_of({COOKIE: token}) == (token, None)


@pytest.mark.parametrize("broken", ["", "x", "AAAA", TOKEN + "A", TOKEN[:-1], "ü" * 22])
def test_a_cookie_that_is_no_token_is_replaced(broken: str) -> None:
    token, cookie = token_of({COOKIE: broken})
    assert (token != broken, cookie is not None) == (True, True)


def test_a_page_never_holds_the_same_bytes_twice() -> None:
    assert len({masked(TOKEN) for _ in range(20)}) == 20
    assert all(TOKEN not in masked(TOKEN) for _ in range(20))


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin", "origin": "http://127.0.0.1:8080"},
        {"sec-fetch-site": "none"},
        {"origin": OWN},
        {},
    ],
)
def test_our_own_form_is_taken(headers: dict[str, str]) -> None:
    check(headers, COOKIES, masked(TOKEN), OWN)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
    ],
)
def test_a_form_of_another_origin_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(ForeignForm):
        check(headers, COOKIES, masked(TOKEN), OWN)


@pytest.mark.parametrize("cookie", ["", "x", OTHER_TOKEN], ids=["none", "no token", "another's"])
def test_a_form_without_the_browsers_own_token_is_refused(cookie: str) -> None:
    for sent in (masked(TOKEN), cookie):
        with pytest.raises(ForeignForm):
            check({}, {COOKIE: cookie}, sent, OWN)


@pytest.mark.parametrize("sent", ["", "x", TOKEN, TOKEN + TOKEN, "é" * 43])
def test_what_is_no_masked_token_is_refused(sent: str) -> None:
    for each in (sent, masked(TOKEN) + "AA", masked(OTHER_TOKEN)):
        with pytest.raises(ForeignForm):
            check({}, COOKIES, each, OWN)


def test_the_token_has_128_random_bits() -> None:
    assert csrf.TOKEN_BYTES == 16
    assert len({token_of({})[0] for _ in range(100)}) == 100
