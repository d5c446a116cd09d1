"""The routes of notifications in functions/api/account, fed with events."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.notifications.model import Action, Notification, NotificationKind
from atelier.wiring import notifications
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

PREFERENCES = "/api/notifications/preferences"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/account")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_person("ada")


def add(person: Person, number: int = 1, **fields: Any) -> list[str]:
    """New notifications, oldest first; returns their ids."""
    ids = list[str]()
    for at in range(number):
        now = system_clock() + timedelta(milliseconds=at)
        kind, action = NotificationKind.PAYMENT_FAILED, Action("See the plan", "/plan")
        each = Notification(new_id("ntf", now), person.user_id, kind, f"Title {at}", "Body", now, action, **fields)
        assert notifications.store().add(each)
        ids.append(each.id)
    return ids


def get(app: ModuleType, person: Person, path: str = "/api/notifications") -> dict[str, Any]:
    data: dict[str, Any] = success_data(call(app, person, f"GET {path}"))
    return data


def test_notifications_are_listed_in_pages_newest_first(app: ModuleType, ada: Person) -> None:
    ids = add(ada, 5)
    first = get(app, ada, "/api/notifications?limit=3")
    second = get(app, ada, f"/api/notifications?limit=3&cursor={first['next_cursor']}")
    assert [each["id"] for each in (*first["items"], *second["items"])] == ids[::-1]
    assert (first["unread_count"], second["next_cursor"]) == (5, None)
    assert first["items"][0]["action"] == {"label": "See the plan", "url": "/plan"}
    assert get(app, ada, "/api/notifications/unread-count") == {"unread_count": 5}


def test_reading_archiving_and_reading_all_change_list_and_count(app: ModuleType, ada: Person) -> None:
    first, second, *_ = add(ada, 4)
    for _ in range(2):
        view = success_data(call(app, ada, f"POST /api/notifications/{first}/read"))["notification"]
        assert view["read_at"]
        assert success_data(call(app, ada, f"POST /api/notifications/{second}/archive"))["notification"]["archived_at"]
    assert get(app, ada)["unread_count"] == 2
    assert len(get(app, ada)["items"]) == 3
    assert [each["id"] for each in get(app, ada, "/api/notifications?archived=true")["items"]] == [second]
    assert len(get(app, ada, "/api/notifications?unread=true")["items"]) == 2
    for _ in range(2):
        assert success_data(call(app, ada, "POST /api/notifications/read-all")) == {"unread_count": 0}
    assert get(app, ada, "/api/notifications?unread=true")["items"] == []


def test_an_action_item_stays_until_it_is_acknowledged(app: ModuleType, ada: Person) -> None:
    (item,) = add(ada, is_action_item=True)
    assert error_of(call(app, ada, f"POST /api/notifications/{item}/archive")) == (409, "CONFLICT")
    success_data(call(app, ada, "POST /api/notifications/read-all"))
    assert error_of(call(app, ada, f"POST /api/notifications/{item}/archive")) == (409, "CONFLICT")
    assert success_data(call(app, ada, f"POST /api/notifications/{item}/acknowledge"))["notification"][
        "acknowledged_at"
    ]
    success_data(call(app, ada, f"POST /api/notifications/{item}/archive"))
    assert get(app, ada)["items"] == []


def test_a_notification_of_another_person_is_answered_as_a_missing_one(app: ModuleType, ada: Person) -> None:
    (item,) = add(create_person("bob"))
    for act in ("read", "acknowledge", "archive"):
        foreign = call(app, ada, f"POST /api/notifications/{item}/{act}")
        missing = call(app, ada, f"POST /api/notifications/{new_id('ntf', system_clock())}/{act}")
        assert error_of(foreign) == error_of(missing) == (404, "NOT_FOUND")
    assert get(app, ada) == {"items": [], "next_cursor": None, "unread_count": 0}


def test_preferences_begin_with_the_defaults_and_are_replaced(app: ModuleType, ada: Person) -> None:
    default = get(app, ada, PREFERENCES)
    assert default["kinds"]["budget_alert"] == {"in_app": True, "email": True, "webhook": False}
    assert (default["kinds"]["update"]["email"], default["quiet_hours"], default["digest"]) == (False, None, "at_once")
    assert "deployment_ended" in default["kinds"]
    body = {
        "kinds": {"budget_alert": {"in_app": False, "email": False, "webhook": True}},
        "quiet_hours": {"from": "22:00", "to": "07:00"},
        "digest": "daily",
    }
    saved = success_data(call(app, ada, f"PUT {PREFERENCES}", body))
    assert saved == get(app, ada, PREFERENCES)
    assert saved["kinds"]["budget_alert"] == {"in_app": False, "email": False, "webhook": True}
    assert (saved["quiet_hours"], saved["digest"]) == ({"from": "22:00", "to": "07:00"}, "daily")
    assert success_data(call(app, ada, f"PUT {PREFERENCES}", {})) == default


@pytest.mark.parametrize(
    "body",
    [
        {"kinds": {"budget_alert": {"in_app": True}}},
        {"kinds": {"nonsense": {"in_app": True, "email": True, "webhook": True}}},
        {"quiet_hours": {"from": "25:00", "to": "07:00"}},
        {"quiet_hours": {"from": "22:00:30", "to": "07:00"}},
        {"quiet_hours": {"from": "22:00+02:00", "to": "07:00"}},
        {"digest": "weekly"},
        {"security": False},
    ],
)
def test_invalid_preferences_are_refused(app: ModuleType, ada: Person, body: dict[str, Any]) -> None:
    assert error_of(call(app, ada, f"PUT {PREFERENCES}", body))[0] == 422
    assert get(app, ada, PREFERENCES)["digest"] == "at_once"


def test_an_update_whose_time_is_over_leaves_the_list_and_the_count(app: ModuleType, ada: Person) -> None:
    over, shown = add(ada, shown_until=system_clock())[0], add(ada, shown_until=system_clock() + timedelta(days=1))[0]
    for path in ("/api/notifications", "/api/notifications?unread=true"):
        found = get(app, ada, path)
        assert ([each["id"] for each in found["items"]], found["unread_count"]) == ([shown], 1)
    assert [each["id"] for each in get(app, ada, "/api/notifications?archived=true")["items"]] == [over]
