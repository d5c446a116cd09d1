"""Access tokens: their claims, and forgeries that must be refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, KeySet, RSAKey

from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.model import Device, Session, open_session
from atelier.identity.signing import KEYS_MAX, is_valid_signature, new_key_set, public_key_set, sign, with_new_key
from atelier.ids import new_id
from tests.unit.identity.fakes import ISSUER, FakeKeySets

NOW = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
ES256 = jws.JWSRegistry.algorithms["ES256"]
KEYS = FakeKeySets()
TOKENS = AccessTokens(KEYS, ISSUER)
KEY: dict[str, Any] = KEYS.current["keys"][0]
SESSION: Session
SESSION, REFRESH_TOKEN = open_session(new_id("usr", NOW), new_id("wsp", NOW), Device("", ""), NOW)
TOKEN = TOKENS.issue(SESSION, REFRESH_TOKEN, NOW).access_token
HEADER: dict[str, Any] = {"alg": "ES256", "typ": "at+jwt", "kid": KEY["kid"]}


def part(text: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return decoded


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


CLAIMS = part(TOKEN.split(".")[1])


def signed(header: dict[str, Any], claims: object, key: dict[str, Any] = KEY) -> str:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact(header, payload, ECKey.import_key(key), algorithms=["ES256"])


def test_a_token_names_user_session_workspace_and_expiry() -> None:
    claims = TOKENS.verify(TOKEN, NOW)
    assert (claims.user_id, claims.session_id, claims.workspace_id) == (
        SESSION.user_id,
        SESSION.id,
        SESSION.workspace_id,
    )
    assert claims.expires_at == NOW + timedelta(minutes=10)


def test_a_token_has_the_documented_claims() -> None:
    seconds = int(NOW.timestamp())
    assert part(TOKEN.split(".")[0]) == HEADER
    assert {
        "iss": ISSUER,
        "aud": "atelier",
        "sub": SESSION.user_id,
        "sid": SESSION.id,
        "wsp": SESSION.workspace_id,
        "typ": "access",
        "iat": seconds,
        "nbf": seconds,
        "exp": seconds + 600,
    } == CLAIMS


def test_a_token_ends_after_ten_minutes_and_the_skew() -> None:
    assert TOKENS.verify(TOKEN, NOW + timedelta(minutes=10, seconds=29))
    with pytest.raises(Unauthenticated, match="expired"):
        TOKENS.verify(TOKEN, NOW + timedelta(minutes=10, seconds=30))


def test_a_token_from_a_clock_up_to_30_seconds_ahead_is_accepted() -> None:
    assert TOKENS.verify(TOKEN, NOW - timedelta(seconds=30))
    with pytest.raises(Unauthenticated):
        TOKENS.verify(TOKEN, NOW - timedelta(seconds=31))


def test_a_token_does_not_outlive_its_session() -> None:
    late = SESSION.ends_at - timedelta(minutes=3)
    tokens = TOKENS.issue(SESSION, REFRESH_TOKEN, late)
    assert tokens.expires_in_seconds == 180
    assert TOKENS.verify(tokens.access_token, late).expires_at == SESSION.ends_at


def test_an_independent_library_signs_and_verifies_the_same_tokens() -> None:
    """Without this test, the forgeries below could be refused only because of how this file encodes them."""
    assert TOKENS.verify(signed(HEADER, CLAIMS), NOW) == TOKENS.verify(TOKEN, NOW)
    published = KeySet.import_key_set(public_key_set(KEYS.current))
    assert json.loads(jws.deserialize_compact(TOKEN, published, algorithms=["ES256"]).payload) == CLAIMS
    assert ECKey.import_key(KEY).thumbprint() == KEY["kid"]


@given(st.binary(max_size=200))
def test_signatures_are_interchangeable_with_an_independent_library(message: bytes) -> None:
    signature = sign(KEY, message)
    key = ECKey.import_key(KEY)
    assert ES256.verify(message, signature, key)
    assert is_valid_signature(KEY, message, ES256.sign(message, key))
    assert not is_valid_signature(KEY, message + b" ", signature)
    assert not is_valid_signature(KEY, message, signature[:-1])
    assert not is_valid_signature(KEY, message, bytes(64))


def unsigned() -> str:
    return f"{encoded({**HEADER, 'alg': 'none'})}.{encoded(CLAIMS)}."


def signed_with_a_shared_secret(secret: bytes) -> str:
    head = f"{encoded({**HEADER, 'alg': 'HS256'})}.{encoded(CLAIMS)}"
    tag = hmac.new(secret, head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def signed_with_the_public_pem_as_a_shared_secret() -> str:
    return signed_with_a_shared_secret(ECKey.import_key(KEY).as_pem(private=False))


def signed_with_the_public_jwk_as_a_shared_secret() -> str:
    return signed_with_a_shared_secret(json.dumps(public_key_set(KEYS.current)["keys"][0]).encode())


def signed_with_a_strangers_key_under_our_kid() -> str:
    return signed(HEADER, CLAIMS, new_key_set()["keys"][0])


def signed_with_a_key_that_the_token_brings_along() -> str:
    theirs = new_key_set()["keys"][0]
    brought = {name: theirs[name] for name in ("kty", "crv", "x", "y")}
    return signed({**HEADER, "kid": theirs["kid"], "jwk": brought}, CLAIMS, theirs)


def signed_by_rsa() -> str:
    key = RSAKey.generate_key(2048)
    return jws.serialize_compact({**HEADER, "alg": "RS256"}, json.dumps(CLAIMS), key, algorithms=["RS256"])


@pytest.mark.parametrize(
    "forge",
    [
        unsigned,
        signed_with_the_public_pem_as_a_shared_secret,
        signed_with_the_public_jwk_as_a_shared_secret,
        signed_with_a_strangers_key_under_our_kid,
        signed_with_a_key_that_the_token_brings_along,
        signed_by_rsa,
    ],
)
def test_a_forged_signature_is_refused(forge: Callable[[], str]) -> None:
    with pytest.raises(Unauthenticated, match="not valid"):
        TOKENS.verify(forge(), NOW)


SECONDS = int(NOW.timestamp())


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://elsewhere.example.com"},
        {"iss": None},
        {"aud": "another-product"},
        {"aud": ["atelier", "another-product"]},
        {"typ": "refresh"},
        {"typ": None},
        {"exp": SECONDS - 31},
        {"exp": None},
        {"exp": str(SECONDS + 600)},
        {"exp": True},
        {"exp": float("inf")},
        {"nbf": SECONDS + 31},
        {"nbf": None},
        {"sub": None},
        {"sub": "usr_1"},
        {"sub": "wsp_01M7XCN60Q0Z9AH99VAAQWYH99"},
        {"sid": None},
        {"sid": ["ses"]},
        {"wsp": None},
        {"wsp": "wsp_../../etc"},
    ],
    ids=repr,
)
def test_a_token_of_ours_with_wrong_claims_is_refused(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**CLAIMS, **change}.items() if value is not None}
    with pytest.raises(Unauthenticated):
        TOKENS.verify(signed(HEADER, claims), NOW)


@pytest.mark.parametrize("change", [{"typ": "JWT"}, {"typ": None}, {"kid": None}, {"kid": "other"}], ids=repr)
def test_a_token_of_ours_with_a_wrong_header_is_refused(change: dict[str, Any]) -> None:
    header = {name: value for name, value in {**HEADER, **change}.items() if value is not None}
    with pytest.raises(Unauthenticated):
        TOKENS.verify(signed(header, CLAIMS), NOW)


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b'"text"', b"{", b"\xff"])
def test_a_signed_payload_that_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.verify(signed(HEADER, payload), NOW)


@given(st.text(max_size=300) | st.lists(st.text(max_size=40), max_size=6).map(".".join))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.verify(text, NOW)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5), st.binary())
def test_any_other_header_is_refused(header: object, payload: bytes) -> None:
    payload_text = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    for crafted in (header, {"alg": header}, {**HEADER, "kid": header}, {**HEADER, "crit": header}):
        with pytest.raises(Unauthenticated):
            TOKENS.verify(f"{encoded(crafted)}.{payload_text}.{'A' * 86}", NOW)


@given(st.integers(min_value=0, max_value=len(TOKEN) - 1), st.sampled_from("AZaz09-_."))
def test_a_changed_token_is_refused(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(Unauthenticated):
            TOKENS.verify(changed, NOW)


def test_an_overlong_token_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        TOKENS.verify(TOKEN + "A" * 100_000, NOW)


def test_after_a_rotation_old_and_new_tokens_verify() -> None:
    keys = FakeKeySets()
    tokens = AccessTokens(keys, ISSUER)
    before = tokens.issue(SESSION, REFRESH_TOKEN, NOW).access_token
    keys.current = with_new_key(keys.current)
    elsewhere = FakeKeySets()
    elsewhere.current = elsewhere.remembered = keys.current
    after = AccessTokens(elsewhere, ISSUER).issue(SESSION, REFRESH_TOKEN, NOW).access_token
    assert part(after.split(".")[0])["kid"] != part(before.split(".")[0])["kid"]
    # This process does not know the new key yet: it reads the secret once, and then knows the key.
    assert tokens.verify(after, NOW) == tokens.verify(before, NOW)
    assert keys.fresh_reads == 1
    assert tokens.verify(after, NOW)
    assert keys.fresh_reads == 1


def test_a_key_rotated_out_no_longer_verifies() -> None:
    keys = FakeKeySets()
    tokens = AccessTokens(keys, ISSUER)
    token = tokens.issue(SESSION, REFRESH_TOKEN, NOW).access_token
    for _ in range(KEYS_MAX):
        keys.current = with_new_key(keys.current)
        keys.remembered = keys.current
    with pytest.raises(Unauthenticated):
        tokens.verify(token, NOW)


def test_a_key_set_is_newest_first_and_bounded() -> None:
    key_set = new_key_set()
    for _ in range(5):
        key_set = with_new_key(key_set)
    assert len(key_set["keys"]) == KEYS_MAX
    again = with_new_key(key_set)
    assert again["keys"][1:] == key_set["keys"][:-1]
    assert len({key["kid"] for key in again["keys"]}) == KEYS_MAX


def test_the_published_keys_verify_and_cannot_sign() -> None:
    published = public_key_set(with_new_key(new_key_set()))
    assert [set(key) for key in published["keys"]] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}] * 2
    for key in published["keys"]:
        assert ECKey.import_key(key).thumbprint() == key["kid"]
        assert not ECKey.import_key(key).is_private
