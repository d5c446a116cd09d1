"""Links and codes in mails: what they open, and how every other one is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atelier.audit_log.model import Origin
from atelier.errors import Forbidden, RateLimited
from atelier.identity import pending_link
from atelier.identity.mail_limits import LINKS_PER_ADDRESS
from atelier.identity.model import User, new_user
from atelier.identity.pending_link import LIFETIMES, LinkRefused, Purpose, new_link_mail, open_by_token
from atelier.identity.require_verified import require_verified
from atelier.identity.verify_mailbox import verify_by_token
from atelier.mails.links import Link, LinkKey
from tests.unit.identity.fakes import IdentityFakes

NOW = datetime(2026, 11, 29, 2, tzinfo=UTC)
ORIGIN = Origin(address="203.0.113.7")
LIFETIME = LIFETIMES[Purpose.VERIFY_EMAIL]


@pytest.fixture
def identity() -> IdentityFakes:
    return IdentityFakes()


def user_with_link(identity: IdentityFakes, email: str = "ada@example.com") -> tuple[User, str]:
    """An unverified user and the token of the link that was sent to the user's address."""
    user, _ = new_user(email, "Ada", NOW)
    identity.store.users[user.id] = user
    sent = new_link_mail(Purpose.VERIFY_EMAIL, user.id, email, None, NOW)
    identity.store.replace(sent)
    return user, identity.link_key.token(sent.pending.link)


def test_a_link_serves_until_it_expires(identity: IdentityFakes) -> None:
    user, token = user_with_link(identity)
    late = NOW + LIFETIME
    with pytest.raises(LinkRefused):
        verify_by_token(token, ORIGIN, identity.mailbox_deps, late)
    verified = verify_by_token(token, ORIGIN, identity.mailbox_deps, late - timedelta(milliseconds=1))
    assert (verified.id, verified.email_verified) == (user.id, True)


def test_a_newer_link_replaces_the_older_one(identity: IdentityFakes) -> None:
    user, older = user_with_link(identity)
    identity.store.replace(new_link_mail(Purpose.VERIFY_EMAIL, user.id, user.email, None, NOW))
    with pytest.raises(LinkRefused):
        verify_by_token(older, ORIGIN, identity.mailbox_deps, NOW)


def test_a_link_to_an_address_that_the_user_has_left_is_refused(identity: IdentityFakes) -> None:
    user, token = user_with_link(identity)
    moved, _ = new_user("ada@new.example", "Ada", NOW)
    identity.store.users[user.id] = moved
    with pytest.raises(LinkRefused):
        verify_by_token(token, ORIGIN, identity.mailbox_deps, NOW)


def test_a_token_is_refused_when_any_part_of_it_is_anothers(identity: IdentityFakes) -> None:
    _, mine = user_with_link(identity)
    _, other = user_with_link(identity, "eve@example.com")
    owner, link_id, mac = mine.split(".")
    other_owner, other_link_id, other_mac = other.split(".")
    forged = [
        f"{other_owner}.{link_id}.{mac}",
        f"{owner}.{other_link_id}.{mac}",
        f"{owner}.{link_id}.{other_mac}",
        f"{owner}.{link_id}.{mac[:-1]}",
        f"{owner}.{link_id}.{mac}\n",
        mine.upper(),
        "",
    ]
    for token in forged:
        with pytest.raises(LinkRefused) as refused:
            verify_by_token(token, ORIGIN, identity.mailbox_deps, NOW)
        assert refused.value.facts["fields"][0]["path"] == "token"


def test_a_token_of_another_purpose_or_deployment_is_refused(identity: IdentityFakes) -> None:
    user, _ = user_with_link(identity)
    pending = identity.store.links[user.id, Purpose.VERIFY_EMAIL]
    other_purpose = identity.link_key.token(Link("other", user.id, pending.link.id))
    other_deployment = LinkKey(b"another key").token(pending.link)
    for token in (other_purpose, other_deployment):
        with pytest.raises(LinkRefused):
            open_by_token(token, Purpose.VERIFY_EMAIL, links=identity.store, key=identity.link_key, now=NOW)


def test_tries_with_links_are_limited_by_address_before_anything_is_read(identity: IdentityFakes) -> None:
    _, token = user_with_link(identity)
    for _ in range(LINKS_PER_ADDRESS):
        with pytest.raises(LinkRefused):
            verify_by_token("x", ORIGIN, identity.mailbox_deps, NOW)
    with pytest.raises(RateLimited):
        verify_by_token(token, ORIGIN, identity.mailbox_deps, NOW)


def test_codes_have_six_digits_and_differ_by_link() -> None:
    key = LinkKey(b"k")
    codes = {key.code(Link("verify_email", "usr_x", f"lnk_{number}")) for number in range(200)}
    assert all(len(code) == 6 and code.isdecimal() for code in codes)
    assert len(codes) > 195


def test_every_purpose_has_a_lifetime_and_a_kind_of_mail() -> None:
    assert set(pending_link.LIFETIMES) == set(pending_link.KINDS) == set(Purpose)


def test_an_account_without_a_verified_address_is_refused_with_the_reason() -> None:
    user, _ = new_user("ada@example.com", "Ada", NOW)
    with pytest.raises(Forbidden) as refused:
        require_verified(user)
    assert refused.value.facts == {"reason": "email_not_verified"}
