"""Signed attempt ids."""

from __future__ import annotations

import pytest

from atelier.generations.webhook_token import WebhookAddress, sign, verify

KEY = b"k" * 32
ULID = "01M7XC43T8VQH8B4746A8669M7"
ADDRESS = WebhookAddress("replicate", f"wsp_{ULID}", f"gen_{ULID}", f"att_{ULID}")


def test_a_signed_address_round_trips() -> None:
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
def test_a_token_without_a_valid_signature_is_refused(token: str) -> None:
    assert verify("replicate", token, KEY) is None


def test_an_address_signed_for_one_provider_is_invalid_for_another() -> None:
    assert verify("fal", sign(ADDRESS, KEY), KEY) is None
