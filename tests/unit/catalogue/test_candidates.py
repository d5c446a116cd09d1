"""Candidates as texts round-trip, whatever a workspace calls its models."""

from __future__ import annotations

import pytest

from atelier.catalogue.candidates import format_candidate, parse_candidate

KEY, OTHER = "key_" + "0" * 25 + "1", "key_" + "0" * 25 + "2"


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    "model",
    ["openai/gpt-5.5", "custom/x@v2", f"custom/x@{OTHER}", "custom/x@", "custom/x@key_1", "custom/@@"],
)
def test_a_candidate_text_round_trips_to_model_and_key(model: str, key: str | None) -> None:
    assert parse_candidate(format_candidate(model, key)) == (model, key)


def test_a_candidate_text_keeps_its_stored_format() -> None:
    assert (format_candidate("openai/a", None), format_candidate("openai/a", KEY)) == ("openai/a", f"openai/a@{KEY}")
