"""Candidates as texts round-trip, whatever a workspace calls its models."""

from __future__ import annotations

import pytest

from atelier.pricing.candidates import candidate, candidate_parts

KEY, OTHER = "key_" + "0" * 25 + "1", "key_" + "0" * 25 + "2"


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize(
    "model",
    ["openai/gpt-5.5", "custom/x@v2", f"custom/x@{OTHER}", "custom/x@", "custom/x@key_1", "custom/@@"],
)
def test_a_candidate_is_taken_apart_into_what_it_was_made_of(model: str, key: str | None) -> None:
    assert candidate_parts(candidate(model, key)) == (model, key)


def test_a_usual_candidate_is_written_as_it_always_was() -> None:
    assert (candidate("openai/a", None), candidate("openai/a", KEY)) == ("openai/a", f"openai/a@{KEY}")
