"""Sessions and refresh tokens as values: rotation, grace, expiry."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.errors import Unauthenticated
from atelier.identity.model import ROTATIONS_KEPT_MAX, Device, RefreshToken, Session, SessionTokens, open_session
from atelier.ids import new_id

NOW = datetime(2026, 11, 20, 21, 4, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def opened() -> tuple[Session, RefreshToken]:
    return open_session(new_id("usr", NOW), new_id("wsp", NOW), Device("Firefox", "203.0.113.7"), NOW)


def test_a_refresh_token_round_trips_as_text() -> None:
    _, token = opened()
    assert RefreshToken.parse(str(token)) == token


@given(st.text(max_size=200))
def test_an_invalid_refresh_token_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        RefreshToken.parse(text)


@pytest.mark.parametrize("cut", [1, 2, 10, 43])
def test_a_shortened_refresh_token_is_refused(cut: int) -> None:
    _, token = opened()
    with pytest.raises(Unauthenticated):
        RefreshToken.parse(str(token)[:-cut])


def test_neither_a_token_nor_a_session_shows_the_secret() -> None:
    session, token = opened()
    secret = str(token).rpartition(".")[2]
    shown = repr([token, session, SessionTokens("an access token", 600, token)])
    assert secret not in shown
    assert token.secret.hex() not in shown
    assert "an access token" not in shown


def test_a_used_token_has_one_successor_for_ten_seconds() -> None:
    session, token = opened()
    session, successor = session.rotate(token, NOW)
    assert session.is_unused_token(successor)
    assert not session.is_unused_token(token)
    for seconds in (-2, 0, 5, 10):
        assert session.successor(token, NOW + seconds * SECOND) == successor
    assert session.successor(token, NOW + 10.001 * SECOND) is None
    assert session.successor(successor, NOW) is None


def test_each_token_of_a_quick_chain_keeps_its_own_grace() -> None:
    session, first = opened()
    session, second = session.rotate(first, NOW)
    session, third = session.rotate(second, NOW + 4 * SECOND)
    assert session.successor(first, NOW + 9 * SECOND) == second
    assert session.successor(second, NOW + 14 * SECOND) == third
    assert session.successor(first, NOW + 11 * SECOND) is None


def test_a_rotation_past_its_grace_period_is_dropped() -> None:
    session, token = opened()
    for minute in range(5):
        session, token = session.rotate(token, NOW + minute * timedelta(minutes=1))
    assert len(session.rotations) == 1


def test_a_session_keeps_a_bounded_number_of_rotations() -> None:
    session, token = opened()
    for _ in range(3 * ROTATIONS_KEPT_MAX):
        session, token = session.rotate(token, NOW)
    assert len(session.rotations) == ROTATIONS_KEPT_MAX


def test_the_stored_session_does_not_yield_a_refresh_token() -> None:
    """Without the presented token, neither nonce nor digests yield its successor."""
    session, token = opened()
    session, successor = session.rotate(token, NOW)
    stranger = replace(token, secret=bytes(32))
    stored = repr(session)
    assert successor.secret.hex() not in stored
    assert token.secret.hex() not in stored
    assert session.successor(stranger, NOW) is None


def test_an_idle_session_ends_after_seven_days() -> None:
    session, token = opened()
    session, _ = session.rotate(token, NOW + timedelta(days=1))
    assert session.is_live(NOW + timedelta(days=8) - SECOND)
    assert not session.is_live(NOW + timedelta(days=8))


def test_an_active_session_ends_after_thirty_days() -> None:
    session, token = opened()
    for day in range(1, 30):
        session, token = session.rotate(token, NOW + timedelta(days=day))
    assert session.is_live(NOW + timedelta(days=30) - SECOND)
    assert not session.is_live(NOW + timedelta(days=30))


def test_a_revoked_session_is_not_live() -> None:
    session, _ = opened()
    assert not replace(session, revoked_at=NOW).is_live(NOW)
