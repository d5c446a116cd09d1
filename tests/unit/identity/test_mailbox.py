"""The mailbox of an address: spellings that are one mailbox, and similar addresses that are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.identity.credentials import normalize_email
from atelier.identity.mailbox import mailbox_digest, mailbox_of


@pytest.mark.parametrize(
    ("addresses", "one"),
    [
        (
            ["Ada.Lovelace@gmail.com", "adalovelace+1@googlemail.com", "a.d.a.lovelace+x+y@GMAIL.com"],
            "adalovelace@gmail.com",
        ),
        (["ada+shop@example.com", "ADA@example.com", "ａｄａ@example.com"], "ada@example.com"),
        (["ada+1@outlook.com", "ada@outlook.com"], "ada@outlook.com"),
        (["ada@me.com", "ada+x@icloud.com", "ada@mac.com"], "ada@icloud.com"),
        (["a.da@proton.me", "a-d_a@protonmail.com", "ada+1@pm.me"], "ada@proton.me"),
        (["a.da@ya.ru", "a-da@yandex.com"], "ada@yandex.ru"),
        (["ada-shop@yahoo.co.uk", "ada@yahoo.co.uk"], "ada@yahoo.co.uk"),
        (["shop@ada.fastmail.com", "ada+1@fastmail.com"], "ada@fastmail.com"),
        (["ada@exämple.de", "ada+1@xn--exmple-cua.de", "ada@EXÄMPLE.de"], "ada@xn--exmple-cua.de"),
    ],
)
def test_the_addresses_of_one_mailbox_have_one_form(addresses: list[str], one: str) -> None:
    assert {mailbox_of(normalize_email(address)) for address in addresses} == {one}


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ("ada.lovelace@example.com", "adalovelace@example.com"),
        ("sales@example.com", "support@example.com"),
        ("ada-lovelace@example.com", "ada@example.com"),
        ("ada@mail.example.com", "ada@example.com"),
        ("ada@gmail.com", "ada@gmail.de"),
        ("+1@example.com", "+2@example.com"),
        ("ada@fastmail.com", "ada@fastmail.fm"),
    ],
)
def test_addresses_of_different_mailboxes_stay_distinct(one: str, another: str) -> None:
    assert mailbox_of(normalize_email(one)) != mailbox_of(normalize_email(another))


@given(st.emails())
def test_every_address_has_a_mailbox_and_a_digest_that_hides_it(address: str) -> None:
    email = normalize_email(address)
    local_part, _, domain = mailbox_of(email).rpartition("@")
    assert local_part
    assert domain
    assert email not in mailbox_digest(email)
    assert len(mailbox_digest(email)) == 64
