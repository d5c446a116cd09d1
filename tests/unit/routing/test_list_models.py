"""The models that a workspace can use, from the catalogue, its keys and its preferences."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from atelier.catalogue.catalogue import catalogue
from atelier.provider_keys.model import CUSTOM, CustomModel, ProviderKey, ProviderPreference, WorkspaceProviders
from atelier.routing.list_models import list_models

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = NOON.date()
OPENAI_IMAGE = "openai/gpt-image-2"
CATALOGUE = catalogue(frozenset({"local", "openai"}))


def key(provider: str, number: int = 1, **facts: Any) -> ProviderKey:
    return ProviderKey(f"key_{number}", "wsp_1", "usr_1", provider, f"Key {number}", "", b"", "m", NOON, **facts)


def is_offered(workspace_providers: WorkspaceProviders, platform: set[str], sunset_at: date | None = None) -> bool:
    known = CATALOGUE.with_sunsets({OPENAI_IMAGE: sunset_at} if sunset_at else {})
    found = list_models(known, workspace_providers, frozenset(platform), None, TODAY)
    return next(item.is_offered for item in found.items if item.id == OPENAI_IMAGE)


@pytest.mark.parametrize(
    ("keys", "platform", "offered"),
    [
        ((), {"local"}, False),
        ((), {"local", "openai"}, True),
        ((key("openai"),), {"local"}, True),
        ((key("openai", is_active=False),), {"local"}, False),
    ],
    ids=["no access", "the platform's access", "an own key", "an own key that is switched off"],
)
def test_a_model_is_offered_where_there_is_access(
    keys: tuple[ProviderKey, ...], platform: set[str], offered: bool
) -> None:
    assert is_offered(WorkspaceProviders(keys), platform) is offered


def test_a_model_of_a_disabled_provider_is_listed_and_not_offered() -> None:
    disabled = WorkspaceProviders(preferences={"openai": ProviderPreference("openai", enabled=False)})
    assert not is_offered(disabled, {"openai"})


@pytest.mark.parametrize(("days_left", "offered"), [(1, True), (0, False), (-1, False)])
def test_a_model_is_offered_until_the_day_before_its_shutdown(days_left: int, offered: bool) -> None:
    assert is_offered(WorkspaceProviders(), {"openai"}, TODAY + timedelta(days=days_left)) is offered


def test_the_models_of_custom_endpoints_come_last_with_all_their_kinds() -> None:
    models = (CustomModel("mine", "text"), CustomModel("drawer", "image"))
    keys = (key(CUSTOM, 1, models=models), key(CUSTOM, 2, models=(CustomModel("mine", "image"),)))
    found = list_models(CATALOGUE, WorkspaceProviders(keys), frozenset({"local"}), None, TODAY)
    assert [(item.id, item.kinds, item.is_offered) for item in found.items[-2:]] == [
        ("custom/mine", ["image", "text"], True),
        ("custom/drawer", ["image"], True),
    ]
    switched_off = WorkspaceProviders(tuple(key(CUSTOM, 1, models=models, is_active=False) for _ in range(1)))
    left = list_models(CATALOGUE, switched_off, frozenset({"local"}), None, TODAY)
    assert not [item for item in left.items if item.provider == CUSTOM]


def test_a_listing_of_one_kind_has_the_models_that_make_it() -> None:
    everything = list_models(CATALOGUE, WorkspaceProviders(), frozenset({"local"}), None, TODAY)
    texts = list_models(CATALOGUE, WorkspaceProviders(), frozenset({"local"}), "text", TODAY)
    assert texts.items == [item for item in everything.items if "text" in item.kinds]
    assert {past.kind for past in texts.retired} <= {"text"}
    assert 0 < len(texts.items) < len(everything.items)
