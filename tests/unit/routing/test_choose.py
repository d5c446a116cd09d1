"""Which offers may serve a request, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.credentials.model import Own, ProviderKey, Served, Wish
from atelier.errors import Unavailable, ValidationFailed
from atelier.generations.quote import Ask, priced
from atelier.pricing.catalogue import Offer, catalogue
from atelier.routing.choose import Routes
from atelier.routing.model import FAILURES_TO_DOWN, Health, Scope

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
        health = health.failed("transient", "", retry_after_seconds=None, started_at=NOON, now=NOON)
    return health


def routes(*wishes: Wish, keys: tuple[ProviderKey, ...] = (), **failures: int) -> Routes:
    own = Own(keys, {wish.provider: wish for wish in wishes})
    return Routes(WORKSPACE, own, lambda scope: failing(scope, failures.get(scope.key_id or scope.provider, 0)), NOON)


def order(router: Routes, offers: tuple[Offer, ...] = OFFERS) -> list[str]:
    return [way.candidate for way in router.ordered("auto", offers, PLATFORM)]


def test_with_nothing_said_the_cheapest_comes_first() -> None:
    assert order(routes()) == ["replicate/picture", "xai/picture", "openai/picture"]


def test_a_wish_goes_before_the_price() -> None:
    assert order(routes(Wish("openai", priority=1)))[0] == "openai/picture"


def test_who_has_failed_lately_comes_after_who_has_not_and_who_rests_comes_last() -> None:
    ways = order(routes(replicate=FAILURES_TO_DOWN, xai=1))
    assert ways == ["openai/picture", "xai/picture", "replicate/picture"]
    # Even if it has the highest preference.
    assert order(routes(Wish("xai", priority=1), xai=FAILURES_TO_DOWN))[-1] == "xai/picture"


def test_an_own_key_takes_the_platforms_place_and_costs_no_credits() -> None:
    ways = routes(keys=(key("openai"),)).ordered("auto", OFFERS, PLATFORM)
    assert ways[0] == replace(OFFERS[0], key="key_1", credits_max=0)
    assert "openai/picture" not in [way.candidate for way in ways]


def test_the_platform_stands_in_for_an_own_key_only_where_that_is_wished() -> None:
    wish = Wish("openai", own_key_id="key_1", platform_fallback=True)
    assert order(routes(wish, keys=(key("openai"),)))[::3] == ["openai/picture@key_1", "openai/picture"]
    elsewhere = routes(wish, keys=(key("openai"),)).ordered("auto", OFFERS, frozenset())
    assert [way.candidate for way in elsewhere] == ["openai/picture@key_1"]


def test_the_health_of_an_own_key_is_its_own() -> None:
    ways = order(routes(keys=(key("openai"),), openai=FAILURES_TO_DOWN))
    assert ways[0] == "openai/picture@key_1"
    assert order(routes(keys=(key("openai"),), key_1=FAILURES_TO_DOWN))[-1] == "openai/picture@key_1"


def test_a_provider_that_is_switched_off_is_not_in_the_catalogue_and_one_with_an_own_key_is() -> None:
    router = routes(Wish("replicate", enabled=False), keys=(key("stability"),))
    assert router.catalogue(catalogue(PLATFORM)).enabled == {"openai", "xai", "stability"}


def test_one_that_is_named_though_it_is_switched_off_is_refused_with_the_reason() -> None:
    router = routes(Wish("replicate", enabled=False))
    ask = Ask("image", "replicate/sdxl", {}, "a lighthouse")
    with pytest.raises(ValidationFailed) as refused:
        priced(ask, catalogue=catalogue(PLATFORM), now=NOON, routes=router)
    (field,) = refused.value.facts["fields"]
    assert field == {"path": "model", "message": "replicate is switched off in the provider settings."}


def test_when_everybody_rests_the_caller_hears_of_whom_and_for_how_long() -> None:
    router = routes(replicate=FAILURES_TO_DOWN)
    with pytest.raises(Unavailable) as refused:
        router.require_awake("replicate/picture", (OFFERS[1],))
    assert refused.value.facts["providers"] == ["replicate"]
    assert 0 < refused.value.facts["retry_after_seconds"] <= 31
    router.require_awake("auto", OFFERS)


def test_a_model_of_ones_own_is_asked_for_with_the_key_that_serves_it() -> None:
    keys = (
        key("custom", 1, models=(Served("mine", "image"),)),
        key("custom", 2, models=(Served("other", "image"),)),
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
def test_nobody_is_lost_or_doubled_and_those_at_rest_come_last(
    failures: dict[str, int], priorities: dict[str, int], with_key: set[str]
) -> None:
    keys = tuple(key(provider, number) for number, provider in enumerate(sorted(with_key)))
    chosen = {each.provider: each.id for each in keys}
    wishes = [Wish(name, priority=priority, own_key_id=chosen.get(name)) for name, priority in priorities.items()]
    router = routes(*wishes, keys=keys, **failures)
    ways = router.ordered("auto", OFFERS, PLATFORM)
    assert sorted(way.model for way in ways) == sorted(offer.model for offer in OFFERS)
    assert {way.provider for way in ways if way.key} == with_key
    rests = [
        failing(Scope(way.provider), 0 if way.key else failures.get(way.provider, 0)).is_cooling(NOON) for way in ways
    ]
    assert rests == sorted(rests)
    later = replace(router, now=NOON + timedelta(hours=2))
    later.require_awake("auto", ways)


def test_where_all_have_more_to_do_than_can_be_waited_for_a_submission_is_told_when_to_come_again() -> None:
    line = {"openai": 900.5, "replicate": 610.0, "xai": 700.0}
    asked = list[str]()

    def next_place(scope: Scope) -> datetime:
        asked.append(scope.provider)
        return NOON + timedelta(seconds=line[scope.provider])

    router = replace(routes(), next_place=next_place)
    with pytest.raises(Unavailable) as refused:
        router.require_awake("auto", OFFERS)
    assert refused.value.facts["retry_after_seconds"] == 11
    assert refused.value.facts["providers"] == ["openai", "replicate", "xai"]
    line["replicate"] = 600.0
    assert router.require_awake("auto", OFFERS) == timedelta(seconds=600)
    # One provider without a queue is enough, and no other is checked.
    asked.clear()
    line["openai"] = 0.0
    assert router.require_awake("auto", OFFERS) == timedelta()
    assert asked == ["openai"]


def test_who_rests_is_not_asked_for_a_place() -> None:
    def next_place(scope: Scope) -> datetime:
        assert scope.provider != "replicate"
        return NOON + timedelta(seconds=630)

    router = replace(routes(replicate=FAILURES_TO_DOWN), next_place=next_place)
    with pytest.raises(Unavailable, match="too many requests are in line"):
        router.require_awake("auto", OFFERS)
