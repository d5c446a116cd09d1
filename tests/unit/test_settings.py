"""Settings: a missing or invalid variable is named, and its value is not shown."""

from __future__ import annotations

import pytest

from atelier.settings import (
    DailyCredits,
    EventBus,
    FrontendOrigins,
    GenerationTimes,
    InvalidSettings,
    MediaSigning,
    Moderation,
    RateLimits,
)


def test_a_missing_variable_is_named_without_the_values_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATELIER_EVENT_BUS", raising=False)
    EventBus.read.cache_clear()  # type: ignore[attr-defined]
    with pytest.raises(InvalidSettings, match=r"^ATELIER_EVENT_BUS is missing$"):
        EventBus.read()


def test_all_that_are_missing_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match="ATELIER_SECRET_MEDIA is missing; ATELIER_MEDIA_KEY_PAIR_ID is missing"):
        MediaSigning({})


@pytest.mark.parametrize("value", ["", "0", "901", "5.5", "secret"])
def test_a_number_that_cannot_be_meant_is_refused_unseen(value: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        GenerationTimes({"ATELIER_ATTEMPT_POLL_SECONDS": value})
    assert str(refused.value) == "ATELIER_ATTEMPT_POLL_SECONDS is no number of at least 1 and at most 900"


def test_one_of_several_words_is_one_of_them() -> None:
    assert Moderation({"ATELIER_MODERATOR": "openai"}).by == "openai"
    with pytest.raises(InvalidSettings, match="ATELIER_MODERATION_UNANSWERED") as refused:
        Moderation({"ATELIER_MODERATION_UNANSWERED": "sometimes"})
    assert "sometimes" not in str(refused.value)


def test_what_is_not_said_is_the_default_and_nothing_changes_later() -> None:
    limits = RateLimits({"ATELIER_RATE_SIGN_INS_PER_ACCOUNT": "3"})
    assert (limits.requests_per_minute, limits.sign_ins_per_account, limits.sign_ins_per_address) == (600, 3, 30)
    with pytest.raises(AttributeError):
        limits.requests_per_minute = 1


FRONTENDS = FrontendOrigins(
    {"ATELIER_FRONTEND_ORIGINS": "https://app.example.com, http://localhost:*,http://dev.test:3000"}
)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "http://localhost",
        "http://localhost:1",
        "http://localhost:5173",
        "http://dev.test:3000",
    ],
)
def test_a_named_frontend_origin_is_allowed(origin: str) -> None:
    assert FRONTENDS.allow(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "https://app.example.com:8443",
        "https://app.example.com.evil.test",
        "http://app.example.com",
        "https://localhost:5173",
        "http://localhost:",
        "http://localhost:*x",
        "http://localhost:5173.evil.test",
        "http://dev.test",
        "http://dev.test:30000",
    ],
)
def test_an_origin_that_no_frontend_has_is_refused(origin: str) -> None:
    assert not FRONTENDS.allow(origin)


def test_without_frontend_origins_none_is_allowed() -> None:
    assert not FrontendOrigins({}).allow("http://localhost:5173")
    assert not FrontendOrigins({}).allow("")


@pytest.mark.parametrize(
    ("given_to", "providers", "verified_only"),
    [
        ("", "local", False),
        ("", "local,openai", True),
        ("", "replicate", True),
        ("everyone", "local,openai", False),
        ("verified", "local", True),
    ],
)
def test_daily_credits_wait_for_a_mailbox_where_a_provider_costs_money(
    given_to: str, providers: str, *, verified_only: bool
) -> None:
    settings = DailyCredits({"ATELIER_DAILY_CREDITS": given_to, "ATELIER_PROVIDERS": providers})
    assert settings.verified_only == verified_only
