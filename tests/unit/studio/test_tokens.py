"""What the form for a token offers is what the API takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from atelier.identity.scopes import SCOPES
from studio.pages.tokens import DAYS, DAYS_MAX, GROUPS, PERMISSIONS, end_of
from studio.strings import LANGUAGES, Translator


def test_the_form_offers_every_scope_with_words_for_it() -> None:
    assert {*GROUPS, *PERMISSIONS} == set(SCOPES)
    for language in LANGUAGES:
        assert [scope for scope in SCOPES if not Translator(language).has(f"tokens.scope.{scope}")] == []


@pytest.mark.parametrize("days", DAYS)
def test_each_choice_of_days_ends_within_the_time_that_the_api_allows(days: int) -> None:
    now = datetime.now(UTC)
    end = end_of(str(days), now)
    if days == DAYS_MAX:
        # The API's own longest time.
        assert end is None
    else:
        assert timedelta(days=days) < datetime.fromisoformat(str(end)) - now <= timedelta(days=days + 1)


@pytest.mark.parametrize("text", ["", "x", "-1", "²", "9999999999"])
def test_what_is_no_number_of_days_is_the_apis_longest_time(text: str) -> None:
    assert end_of(text, datetime.now(UTC)) is None
