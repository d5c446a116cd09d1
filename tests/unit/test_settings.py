"""Settings: a missing or invalid variable is named, and its value is not shown."""

from __future__ import annotations

import pytest

from atelier.environment import InvalidSettings
from atelier.settings import (
    CallerRateLimits,
    DailyCredits,
    EventBus,
    FrontendOrigins,
    GenerationTimes,
    MediaSigning,
    Moderation,
)


def test_a_missing_variable_is_named_without_the_values_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATELIER_EVENT_BUS", raising=False)
    EventBus.read.cache_clear()  # type: ignore[attr-defined]
    with pytest.raises(InvalidSettings, match=r"^ATELIER_EVENT_BUS is missing$"):
        EventBus.read()


def test_all_missing_variables_are_named_at_once() -> None:
    with pytest.raises(InvalidSettings, match="ATELIER_SECRET_MEDIA is missing; ATELIER_MEDIA_KEY_PAIR_ID is missing"):
        MediaSigning({})


@pytest.mark.parametrize("value", ["", "0", "901", "5.5", "secret"])
def test_an_invalid_number_is_refused_without_its_value(value: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        GenerationTimes({"ATELIER_ATTEMPT_POLL_SECONDS": value})
    assert str(refused.value) == "ATELIER_ATTEMPT_POLL_SECONDS is no number of at least 1 and at most 900"


def test_a_choice_outside_its_values_is_refused() -> None:
    assert Moderation({"ATELIER_MODERATOR": "openai"}).service == "openai"
    with pytest.raises(InvalidSettings, match="ATELIER_MODERATION_UNANSWERED") as refused:
        Moderation({"ATELIER_MODERATION_UNANSWERED": "sometimes"})
    assert "sometimes" not in str(refused.value)


def test_an_absent_variable_has_its_default_and_settings_are_frozen() -> None:
    limits = CallerRateLimits({"ATELIER_RATE_SIGN_INS_PER_ACCOUNT": "3"})
    assert (limits.requests_per_minute, limits.sign_ins_per_account, limits.sign_ins_per_address) == (600, 3, 30)
    with pytest.raises(AttributeError):
        limits.requests_per_minute = 1


OWN = "https://atelier.example.com"
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
def test_a_configured_frontend_origin_is_allowed(origin: str) -> None:
    assert FRONTENDS.allow(origin, own=OWN)


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
def test_an_unlisted_origin_is_refused(origin: str) -> None:
    assert not FRONTENDS.allow(origin, own=OWN)


def test_no_origin_is_allowed_without_frontend_origins() -> None:
    assert not FrontendOrigins({}).allow("http://localhost:5173", own=OWN)
    assert not FrontendOrigins({}).allow("", own=OWN)
    assert FrontendOrigins({}).allow(OWN, own=OWN)


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
def test_daily_credits_need_verification_if_a_provider_costs_money(
    given_to: str, providers: str, *, verified_only: bool
) -> None:
    settings = DailyCredits({"ATELIER_DAILY_CREDITS": given_to, "ATELIER_PROVIDERS": providers})
    assert settings.verified_only == verified_only
