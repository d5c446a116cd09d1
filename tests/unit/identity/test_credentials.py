"""The normal form of e-mail addresses, and the rules for passwords."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.identity.credentials import normalize_email, normalize_password, require_unrelated, validate_password
from atelier.identity.passwords import Argon2


@pytest.mark.parametrize(
    ("typed", "known"),
    [
        ("ada@example.com", "ada@example.com"),
        ("  Ada@Example.COM\n", "ada@example.com"),
        ("ＡＤＡ＠example．com", "ada@example.com"),
        ("STRASSE@exämple.de", "strasse@exämple.de"),
        ("straße@exämple.de", "strasse@exämple.de"),
        ("o'neil+tag@mail.example.co.uk", "o'neil+tag@mail.example.co.uk"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
    ],
)
def test_an_email_address_has_one_normal_form(typed: str, known: str) -> None:
    assert normalize_email(typed) == known


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@example",
        "ada@@example.com",
        "ada@example..com",
        "ada@-example.com",
        "ada@example-.com",
        ".ada@example.com",
        "ada.@example.com",
        "a da@example.com",
        "ada@exam ple.com",
        "ada@example.com\nbcc: eve@example.com",
        "ada\x00@example.com",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        f"{'a' * 65}@example.com",
        f"ada@{'a' * 64}.com",
        f"ada@{'a.' * 130}com",
    ],
)
def test_an_invalid_email_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an e-mail address"):
        normalize_email(text)


@given(st.emails())
def test_normalising_twice_changes_nothing(address: str) -> None:
    known = normalize_email(address)
    assert normalize_email(known) == known
    assert normalize_email(address.upper()) == normalize_email(known.upper())


@pytest.mark.parametrize(
    "password", ["correct horse battery", "Zwölf Boxkämpfer", "🐎🦄🐉🐍🦊🐢🐎🦄🐉🐍🐢🦊", "春眠不覚暁処処聞啼鳥夜来"]
)
def test_a_long_uncommon_password_is_accepted(password: str) -> None:
    assert validate_password(password) == normalize_password(password)


@pytest.mark.parametrize("password", ["", "short", "elevenchars", "x7" * 129])
def test_a_password_has_12_to_256_characters(password: str) -> None:
    with pytest.raises(ValueError, match="12 to 256 characters"):
        validate_password(password)


@pytest.mark.parametrize(
    "password", ["password1234", "PassWord1234", "123456789012", "qwertyuiop123", "aaaaaaaaaaaa", "ｐassword1234"]
)
def test_a_common_password_is_refused_in_any_spelling(password: str) -> None:
    with pytest.raises(ValueError, match="too common") as refused:
        validate_password(password)
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "password",
    [
        " " * 12,
        "\u3000" * 12,
        "\u200b \u00a0\u2003\u200d" * 3,
        "\t a \t b \t c \t",
        "aaaaaaaaaaab",
        "ababABABcabc",
        "a b c a b c a b c",
        "-" * 40,
        "🐎" * 12,
    ],
    ids=ascii,
)
def test_a_password_of_blanks_or_of_few_characters_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match="5 different characters"):
        validate_password(password)


@pytest.mark.parametrize(
    "password",
    ["abcdeabcdeabcde", "Horse! Horse! Horse! ", "bcdefghijklmn", "zyxwvutsrqpon", "345678901234", "876543210987"],
)
def test_a_repeating_or_sequential_password_is_refused(password: str) -> None:
    with pytest.raises(ValueError, match=r"repeats or counts|too common"):
        validate_password(password)


@pytest.mark.parametrize(
    "password",
    [
        "ada.lovelace@example.com",
        "ADA.LOVELACE@EXAMPLE.COM",
        "ada.lovelace",
        "AdaLovelace2026!",
        "ecalevol.ada",
        "moc.elpmaxe@ecalevol.ada",
        "Zoë Byron-King",
        "zoe-byron-king-1",
        "gniK noryB ëoZ",
        "lovelace+byron",
        "\uff41\uff44\uff41.lovelace",
    ],
)
def test_the_users_own_address_or_name_is_refused_as_password(password: str) -> None:
    with pytest.raises(ValueError, match="your own e-mail address or name") as refused:
        require_unrelated(normalize_password(password), "ada.lovelace+studio@example.com", "Zoë Byron-King")
    assert password not in str(refused.value)


@pytest.mark.parametrize("password", ["correct horse battery", "ada likes steam engines", "example of a long phrase"])
def test_a_longer_password_may_contain_the_users_name(password: str) -> None:
    require_unrelated(password, "ada.lovelace+studio@example.com", "Ada Lovelace")


def test_the_password_length_is_counted_after_normalising() -> None:
    # Eleven characters, one of them typed as two code points.
    with pytest.raises(ValueError, match="12 to 256"):
        validate_password("zwolf e\u0301len")


def test_a_password_is_normalised_across_unicode_forms() -> None:
    assert normalize_password("caf\u00e9 noir") == normalize_password("cafe\u0301 noir")


def test_argon2_uses_the_documented_parameters() -> None:
    passwords = Argon2()
    encoded = passwords.hash("correct horse battery")
    prefix, salt, tag = encoded.rpartition("$")[0].rpartition("$")[0], *encoded.split("$")[-2:]
    assert prefix == "$argon2id$v=19$m=19456,t=2,p=1"
    assert (len(salt) * 6 // 8, len(tag) * 6 // 8) == (16, 32)
    assert passwords.verify(encoded, "correct horse battery")
    assert not passwords.verify(encoded, "correct horse batterz")
    assert not passwords.needs_rehash(encoded)


def test_a_hash_with_weaker_parameters_is_outdated_but_verifies() -> None:
    from argon2 import PasswordHasher

    weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("correct horse battery")
    assert Argon2().verify(weak, "correct horse battery")
    assert Argon2().needs_rehash(weak)


def test_a_missing_password_hash_never_verifies() -> None:
    assert not Argon2().verify(None, "correct horse battery")
    assert not Argon2().verify(None, "")
