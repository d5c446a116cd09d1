"""Signed attempt ids."""

from __future__ import annotations

import pytest

from atelier.generations.callback import Address, sign, verify

KEY = b"k" * 32
ULID = "01M7XC43T8VQH8B4746A8669M7"
ADDRESS = Address("replicate", f"wsp_{ULID}", f"gen_{ULID}", f"att_{ULID}")


def test_a_signed_address_reads_back() -> None:
    assert verify("replicate", sign(ADDRESS, KEY), KEY) == ADDRESS


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nonsense",
        sign(ADDRESS, KEY)[:-1],
        sign(ADDRESS, b"other"),
        sign(ADDRESS, KEY).replace("gen_0", "gen_1"),
        sign(ADDRESS, KEY) + "é",
    ],
)
def test_what_we_did_not_sign_is_nobodys_address(token: str) -> None:
    assert verify("replicate", token, KEY) is None


def test_an_address_signed_for_one_provider_does_not_serve_another() -> None:
    assert verify("fal", sign(ADDRESS, KEY), KEY) is None
