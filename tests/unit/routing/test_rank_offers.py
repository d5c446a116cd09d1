"""Which offers may serve a request, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.catalogue.catalogue import Offer, catalogue
from atelier.errors import Unavailable, ValidationFailed
from atelier.generations.quote import QuoteInput, price_request
from atelier.provider_keys.model import CustomModel, ProviderKey, ProviderPreference, WorkspaceProviders
from atelier.routing.circuit_breaker import FAILURES_TO_DOWN, Health, Scope
from atelier.routing.rank_offers import Routes

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WORKSPACE = "wsp_" + "0" * 26
PLATFORM = frozenset({"openai", "replicate", "xai"})
OFFERS = (
    Offer("openai/picture", "openai", 8, 80, 60),
    Offer("replicate/picture", "replicate", 2, 20, 60),
    Offer("xai/picture", "xai", 5, 50, 60),
)


def key(provider: str, number: int = 1, **facts: Any) -> ProviderKey:
    return ProviderKey(f"key_{number}", WORKSPACE, "usr_A", provider, f"Key {number}", "", b"", "m", NOON, **facts)


def failing(scope: Scope, times: int) -> Health:
    health = Health(scope)
    for _ in range(times):
        health = health.after_failure("transient", "", retry_after_seconds=None, started_at=NOON, now=NOON)
    return health


def routes(*preferences: ProviderPreference, keys: tuple[ProviderKey, ...] = (), **failures: int) -> Routes:
    own = WorkspaceProviders(keys, {preference.provider: preference for preference in preferences})
    return Routes(WORKSPACE, own, lambda scope: failing(scope, failures.get(scope.key_id or scope.provider, 0)), NOON)


def order(router: Routes, offers: tuple[Offer, ...] = OFFERS) -> list[str]:
    return [way.candidate for way in router.rank("auto", offers, PLATFORM)]


def test_the_cheapest_offer_comes_first_by_default() -> None:
    assert order(routes()) == ["replicate/picture", "xai/picture", "openai/picture"]


def test_a_preference_takes_precedence_over_the_price() -> None:
    assert order(routes(ProviderPreference("openai", priority=1)))[0] == "openai/picture"


def test_degraded_providers_rank_lower_and_those_in_cooldown_last() -> None:
    ways = order(routes(replicate=FAILURES_TO_DOWN, xai=1))
    assert ways == ["openai/picture", "xai/picture", "replicate/picture"]
    # Even if it has the highest preference.
    assert order(routes(ProviderPreference("xai", priority=1), xai=FAILURES_TO_DOWN))[-1] == "xai/picture"


def test_a_workspaces_provider_key_replaces_the_platforms_and_costs_no_credits() -> None:
    ways = routes(keys=(key("openai"),)).rank("auto", OFFERS, PLATFORM)
    assert ways[0] == replace(OFFERS[0], key="key_1", credits_max=0)
    assert "openai/picture" not in [way.candidate for way in ways]


def test_the_platform_is_a_fallback_for_a_workspaces_key_only_if_enabled() -> None:
    preference = ProviderPreference("openai", own_key_id="key_1", platform_fallback=True)
    assert order(routes(preference, keys=(key("openai"),)))[::3] == ["openai/picture@key_1", "openai/picture"]
    elsewhere = routes(preference, keys=(key("openai"),)).rank("auto", OFFERS, frozenset())
    assert [way.candidate for way in elsewhere] == ["openai/picture@key_1"]


def test_a_workspaces_provider_key_has_its_own_health() -> None:
    ways = order(routes(keys=(key("openai"),), openai=FAILURES_TO_DOWN))
    assert ways[0] == "openai/picture@key_1"
    assert order(routes(keys=(key("openai"),), key_1=FAILURES_TO_DOWN))[-1] == "openai/picture@key_1"


def test_the_catalogue_excludes_disabled_providers_and_includes_own_keys() -> None:
    router = routes(ProviderPreference("replicate", enabled=False), keys=(key("stability"),))
    assert router.catalogue(catalogue(PLATFORM)).enabled == {"openai", "xai", "stability"}


def test_a_model_of_a_disabled_provider_is_refused_with_the_reason() -> None:
    router = routes(ProviderPreference("replicate", enabled=False))
    ask = QuoteInput("image", "replicate/sdxl", {}, "a lighthouse")
    with pytest.raises(ValidationFailed) as refused:
        price_request(ask, catalogue=catalogue(PLATFORM), now=NOON, routes=router)
    (field,) = refused.value.facts["fields"]
    assert field == {"path": "model", "message": "replicate is switched off in the provider settings."}


def test_unavailable_names_the_providers_in_cooldown_and_the_delay() -> None:
    router = routes(replicate=FAILURES_TO_DOWN)
    with pytest.raises(Unavailable) as refused:
        router.require_available("replicate/picture", (OFFERS[1],))
    assert refused.value.facts["providers"] == ["replicate"]
    assert 0 < refused.value.facts["retry_after_seconds"] <= 31
    router.require_available("auto", OFFERS)


def test_a_custom_model_is_routed_with_the_key_that_serves_it() -> None:
    keys = (
        key("custom", 1, models=(CustomModel("mine", "image"),)),
        key("custom", 2, models=(CustomModel("other", "image"),)),
    )
    offers = (Offer("custom/mine", "custom", 3, 0, 60),)
    assert order(routes(keys=keys), offers) == ["custom/mine@key_1"]
    with pytest.raises(ValidationFailed):
        order(routes(keys=keys), (Offer("custom/nobodys", "custom", 3, 0, 60),))


@given(
    st.dictionaries(st.sampled_from(sorted(PLATFORM)), st.integers(0, FAILURES_TO_DOWN)),
    st.dictionaries(st.sampled_from(sorted(PLATFORM)), st.integers(0, 1000)),
    st.sets(st.sampled_from(sorted(PLATFORM))),
)
def test_every_offer_is_ranked_once_and_those_in_cooldown_last(
    failures: dict[str, int], priorities: dict[str, int], with_key: set[str]
) -> None:
    keys = tuple(key(provider, number) for number, provider in enumerate(sorted(with_key)))
    chosen = {each.provider: each.id for each in keys}
    preferences = [
        ProviderPreference(name, priority=priority, own_key_id=chosen.get(name))
        for name, priority in priorities.items()
    ]
    router = routes(*preferences, keys=keys, **failures)
    ways = router.rank("auto", OFFERS, PLATFORM)
    assert sorted(way.model for way in ways) == sorted(offer.model for offer in OFFERS)
    assert {way.provider for way in ways if way.key} == with_key
    rests = [
        failing(Scope(way.provider), 0 if way.key else failures.get(way.provider, 0)).in_cooldown(NOON) for way in ways
    ]
    assert rests == sorted(rests)
    later = replace(router, now=NOON + timedelta(hours=2))
    later.require_available("auto", ways)


def test_a_submission_beyond_the_longest_queue_gets_a_retry_delay() -> None:
    line = {"openai": 900.5, "replicate": 610.0, "xai": 700.0}
    reads = list[str]()

    def next_place(scope: Scope) -> datetime:
        reads.append(scope.provider)
        return NOON + timedelta(seconds=line[scope.provider])

    router = replace(routes(), next_place=next_place)
    with pytest.raises(Unavailable) as refused:
        router.require_available("auto", OFFERS)
    assert refused.value.facts["retry_after_seconds"] == 11
    assert refused.value.facts["providers"] == ["openai", "replicate", "xai"]
    line["replicate"] = 600.0
    assert router.require_available("auto", OFFERS) == timedelta(seconds=600)
    # One provider without a queue is enough, and no other is checked.
    reads.clear()
    line["openai"] = 0.0
    assert router.require_available("auto", OFFERS) == timedelta()
    assert reads == ["openai"]


def test_a_provider_in_cooldown_is_not_checked_for_its_rate_limit() -> None:
    def next_place(scope: Scope) -> datetime:
        assert scope.provider != "replicate"
        return NOON + timedelta(seconds=630)

    router = replace(routes(replicate=FAILURES_TO_DOWN), next_place=next_place)
    with pytest.raises(Unavailable, match="too many requests are in line"):
        router.require_available("auto", OFFERS)
