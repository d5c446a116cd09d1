"""Workshops over HTTP: who may do what, what is refused, and what stays when somebody is erased."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, UserItem
from atelier.adapters.aws.dynamodb.workshops.items import ITEMS
from atelier.caller import Caller
from atelier.clock import rfc3339, system_clock
from atelier.events.workshop_events import EnrolmentChange
from atelier.feeds.model import feed_event
from atelier.ids import new_id
from atelier.item_kinds import KINDS
from atelier.library.model import Asset
from atelier.notifications.model import NotificationKind
from atelier.notifications.notify import notify_of_events
from atelier.notifications.ports import NotificationView
from atelier.wiring import feeds, ledger, notifications, workshops
from atelier.wiring.library import assets
from atelier.workshops.advance import advance
from atelier.workshops.end_workshops import end_workshops
from atelier.workshops.present import list_materials
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_organization, create_person, give_credits, join, set_tier
from tests.functions.responses import error_of, success_data
from tests.invoke import load_function

PATH = "/api/workshops"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/workshops")


def educator(name: str) -> Person:
    person = create_person(name)
    UserItem(person.user_id, PROFILE).update([UserItem.persona.set("educator")])
    return person


def attendee(name: str) -> Person:
    """A person with credits that can pay a fee."""
    person = create_person(name)
    give_credits(person)
    return person


def uploaded(person: Person) -> str:
    """An asset of a person's workspace; its file is nowhere."""
    at = system_clock()
    asset_id, of = new_id("ast", at), (person.workspace_id, person.user_id)
    assets().record_upload(Asset(asset_id, *of, "image", "Handout", "png", "0" * 64, 5, 64, 64, None, at))
    return asset_id


def body(**fields: Any) -> dict[str, Any]:
    start = system_clock() + timedelta(days=7)
    return {
        "title": "Light in film",
        "starts_at": rfc3339(start),
        "ends_at": rfc3339(start + timedelta(hours=2)),
        "time_zone": "Europe/Berlin",
        "capacity": 2,
        "price_credits": 10,
        "visibility": "public",
        **fields,
    }


def scheduled(app: ModuleType, person: Person, **fields: Any) -> str:
    made: str = success_data(call(app, person, f"POST {PATH}", body(**fields)))["workshop"]["id"]
    success_data(call(app, person, f"POST {PATH}/{made}/schedule"))
    return made


def starts(workshop_id: str) -> None:
    """The workshop's start comes, for those who look at it now."""
    at = workshops.workshops().find(workshop_id).starts_at
    advance(workshop_id, deps=workshops.advance_deps(), now=at)


def enrolment(app: ModuleType, person: Person, workshop_id: str) -> dict[str, Any]:
    view: dict[str, Any] = success_data(call(app, person, f"GET {PATH}/{workshop_id}"))["workshop"]["enrolment"]
    return view


def list_materials_at(person: Person, workshop_id: str, now: datetime) -> list[dict[str, Any]]:
    """The materials that somebody sees at a time."""
    caller = Caller(person.user_id, person.workspace_id, "owner", None)
    url, find = workshops.material_url, workshops.find_assets
    found = list_materials(workshops.deps(), caller, workshop_id, now, find=find, url=url)
    items: list[dict[str, Any]] = found.model_dump(mode="json")["items"]
    return items


def test_a_workshop_from_its_draft_to_its_reviews(app: ModuleType) -> None:
    ada, bob, eve = educator("ada"), attendee("bob"), attendee("eve")
    asset = uploaded(ada)
    workshop_id = scheduled(app, ada, material_ids=[asset])
    assert error_of(call(app, bob, f"GET {PATH}/{workshop_id}/materials")) == (404, "NOT_FOUND")
    taken = call(app, bob, f"POST {PATH}/{workshop_id}/enrol")
    assert (taken["statusCode"], success_data(taken)["workshop"]["enrolment"]["state"]) == (201, "enrolled")
    again = call(app, bob, f"POST {PATH}/{workshop_id}/enrol")
    assert again["headers"]["Idempotent-Replayed"] == "true"
    materials = success_data(call(app, bob, f"GET {PATH}/{workshop_id}/materials"))
    opens_at = workshops.workshops().find(workshop_id).starts_at - timedelta(hours=48)
    assert materials["items"] == []
    assert datetime.fromisoformat(materials["opens_at"]) == opens_at
    shown = list_materials_at(bob, workshop_id, opens_at - timedelta(milliseconds=1))
    assert shown == []
    [material] = list_materials_at(bob, workshop_id, opens_at)
    assert material["asset_id"] == asset
    assert list_materials_at(ada, workshop_id, system_clock())[0]["asset_id"] == asset
    assert f"/media/{ada.workspace_id}/" in material["url"]
    assert "Signature=" in material["url"]

    attendees = success_data(call(app, ada, f"GET {PATH}/{workshop_id}/attendees"))["items"]
    assert [(each["user_id"], each["name"], each["state"]) for each in attendees] == [(bob.user_id, "Bob", "enrolled")]
    assert error_of(call(app, bob, f"GET {PATH}/{workshop_id}/attendees")) == (404, "NOT_FOUND")
    attended = f"PUT {PATH}/{workshop_id}/attendees/{bob.user_id}"
    assert error_of(call(app, ada, attended, {"attended": True})) == (409, "CONFLICT")
    review = {"stars": 5, "text": "Very clear"}
    assert error_of(call(app, bob, f"PUT {PATH}/{workshop_id}/review", review)) == (403, "FORBIDDEN")
    starts(workshop_id)
    success_data(call(app, ada, attended, {"attended": True}))
    success_data(call(app, bob, f"PUT {PATH}/{workshop_id}/review", review))
    success_data(call(app, bob, f"PUT {PATH}/{workshop_id}/review", {"stars": 4, "text": "Clear"}))
    assert error_of(call(app, bob, f"PUT {PATH}/{workshop_id}/review", {"stars": 6}))[0] == 422
    assert error_of(call(app, eve, f"PUT {PATH}/{workshop_id}/review", review)) == (404, "NOT_FOUND")
    listed = success_data(call(app, eve, f"GET {PATH}/{workshop_id}/reviews"))["items"]
    assert [(each["name"], each["stars"], each["text"]) for each in listed] == [("Bob", 4, "Clear")]
    assert ledger.wallets().wallet(ada.workspace_id).available == 10


def test_whoever_is_no_educator_gives_no_workshops(app: ModuleType) -> None:
    bob = attendee("bob")
    assert error_of(call(app, bob, f"POST {PATH}", body())) == (403, "FORBIDDEN")


def test_a_workshop_of_a_workspace_is_seen_by_its_members_alone(app: ModuleType) -> None:
    ada, bob, eve = educator("ada"), attendee("bob"), attendee("eve")
    workspaces = load_function("api/workspaces")
    atlas = create_organization(workspaces, ada)["id"]
    set_tier(atlas, "starter@1")
    join(workspaces, ada, atlas, bob, "member")
    inside = {"atelier-workspace": atlas}
    made = success_data(call(app, ada, f"POST {PATH}", body(visibility="workspace"), **inside))["workshop"]["id"]
    success_data(call(app, ada, f"POST {PATH}/{made}/schedule", **inside))
    assert error_of(call(app, eve, f"GET {PATH}/{made}")) == (404, "NOT_FOUND")
    assert error_of(call(app, eve, f"POST {PATH}/{made}/enrol")) == (404, "NOT_FOUND")
    assert error_of(call(app, eve, f"POST {PATH}/{made}/cancel")) == (404, "NOT_FOUND")
    # The workspace would pay itself, so its members pay nothing.
    done = success_data(call(app, bob, f"POST {PATH}/{made}/enrol", **inside))["workshop"]["enrolment"]
    assert (done["state"], done["price_credits"]) == ("enrolled", 0)
    assert error_of(call(app, bob, f"POST {PATH}/{made}/cancel", **inside)) == (403, "FORBIDDEN")
    assert success_data(call(app, eve, f"GET {PATH}?scope=public"))["items"] == []


def test_lists_show_public_workshops_by_start_and_ones_own_enrolments(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    later = rfc3339(system_clock() + timedelta(days=9))
    second = scheduled(app, ada, title="Second", starts_at=later, ends_at=rfc3339(system_clock() + timedelta(days=10)))
    first = scheduled(app, ada, title="First", price_credits=0)
    draft = success_data(call(app, ada, f"POST {PATH}", body()))["workshop"]["id"]
    page = success_data(call(app, bob, f"GET {PATH}?scope=public&limit=1"))
    assert [each["id"] for each in page["items"]] == [first]
    rest = success_data(call(app, bob, f"GET {PATH}?scope=public&limit=5&cursor={page['next_cursor']}"))
    assert [each["id"] for each in rest["items"]] == [second]
    success_data(call(app, bob, f"POST {PATH}/{first}/enrol"))
    [mine] = success_data(call(app, bob, f"GET {PATH}?scope=enrolled"))["items"]
    assert (mine["id"], mine["enrolment"]["state"]) == (first, "enrolled")
    own = success_data(call(app, ada, f"GET {PATH}"))["items"]
    assert [each["id"] for each in own] == [draft, first, second]


@pytest.mark.parametrize("key", ["public#", "public#2099#x#y", "public#a#b#c#d", "workshop#"])
def test_a_made_up_cursor_is_refused(app: ModuleType, key: str) -> None:
    cursor = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    assert error_of(call(app, attendee("bob"), f"GET {PATH}?scope=public&cursor={cursor}"))[0] == 422


def test_a_series_has_one_id_and_a_repeated_request_makes_it_once(app: ModuleType) -> None:
    ada = educator("ada")
    sent = body(repeat={"every_weeks": 1, "count": 3})
    made = success_data(call(app, ada, f"POST {PATH}", sent, **{"idempotency-key": "k1"}))
    assert [each["series_id"] for each in made["series"]] == [made["workshop"]["id"]] * 3
    again = call(app, ada, f"POST {PATH}", sent, **{"idempotency-key": "k1"})
    assert success_data(again)["workshop"]["id"] == made["workshop"]["id"]
    assert len(success_data(call(app, ada, f"GET {PATH}"))["items"]) == 3
    other = call(app, ada, f"POST {PATH}", body(), **{"idempotency-key": "k1"})
    assert error_of(other)[1] == "IDEMPOTENCY_MISMATCH"


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"starts_at": "2020-01-01T10:00:00Z"}, "starts_at"),
        ({"ends_at": "2020-01-01T10:00:00Z"}, "ends_at"),
        ({"starts_at": "0001-01-01T00:00:00+14:00"}, "starts_at"),
        ({"ends_at": "9999-12-31T23:59:59-14:00"}, "ends_at"),
        ({"starts_at": "2030-01-01T10:00:00"}, "starts_at"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"capacity": 0}, "capacity"),
        ({"price_credits": -1}, "price_credits"),
        ({"title": "  "}, "title"),
        ({"material_ids": ["ast_01M7XCN60QZZZZZZZZZZZZZZZZ"]}, "material_ids"),
        ({"repeat": {"every_weeks": 1}}, "repeat"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(app: ModuleType, wrong: dict[str, Any], path: str) -> None:
    response = call(app, educator("ada"), f"POST {PATH}", body(**wrong))
    assert error_of(response) == (422, "VALIDATION_FAILED")
    assert path in response["body"]


def test_a_change_keeps_what_people_have_agreed_to(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    workshop_id = scheduled(app, ada)
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))
    assert error_of(call(app, ada, f"PUT {PATH}/{workshop_id}", {"price_credits": 11})) == (409, "CONFLICT")
    changed = success_data(call(app, ada, f"PUT {PATH}/{workshop_id}", {"title": "Light", "capacity": 1}))["workshop"]
    assert (changed["title"], changed["capacity"], changed["price_credits"]) == ("Light", 1, 10)
    success_data(call(app, attendee("eve"), f"POST {PATH}/{workshop_id}/enrol"))
    assert success_data(call(app, ada, f"GET {PATH}/{workshop_id}"))["workshop"]["waiting_count"] == 1


def test_a_calendar_file_is_for_whoever_sees_the_workshop(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    workshop_id = scheduled(app, ada)
    file = call(app, bob, f"GET {PATH}/{workshop_id}/calendar.ics")
    assert file["headers"]["Content-Type"] == "text/calendar; charset=utf-8"
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/withdraw"))
    assert b"METHOD:CANCEL" in decoded(call(app, bob, f"GET {PATH}/{workshop_id}/calendar.ics"))
    assert b"METHOD:PUBLISH" in decoded(call(app, ada, f"GET {PATH}/{workshop_id}/calendar.ics"))


def decoded(response: dict[str, Any]) -> bytes:
    return base64.b64decode(response["body"])


def test_the_end_of_an_educators_workspace_gives_every_fee_back(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    workshop_id = scheduled(app, ada)
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))
    before = ledger.wallets().wallet(bob.workspace_id)
    assert before.held == 10
    for _ in range(2):
        end_workshops(ada.workspace_id, deps=workshops.advance_deps(), now=system_clock())
    after = ledger.wallets().wallet(bob.workspace_id)
    assert (after.held, after.available) == (0, before.available + 10)
    assert enrolment(app, bob, workshop_id)["state"] == "cancelled"


def test_an_attendee_of_another_workspace_is_reminded_once_in_their_own_zone(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    UserItem(bob.user_id, PROFILE).update([UserItem.time_zone.set("Asia/Tokyo")])
    workshop_id = scheduled(app, ada)
    place = success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))["workshop"]["enrolment"]
    at = rfc3339(system_clock())
    told = EnrolmentChange(
        ada.workspace_id, workshop_id, place["id"], bob.user_id, "reminder", "Light", "2027-03-01T09:00:00.000Z", 24, at
    )
    for _ in range(2):
        notify_of_events(ada.workspace_id, [feed_event(told)], notifications.notify_deps(), system_clock())
    [got] = notifications.store().page(bob.user_id, NotificationView.CURRENT, None, 10).notifications
    assert got.kind is NotificationKind.WORKSHOP_REMINDER
    assert "2027-03-01 18:00 (Asia/Tokyo)" in got.body
    assert got.action is not None
    assert got.action.url == f"/workshops/{workshop_id}"


def test_moves_offers_and_cancellations_are_notified_once_each(app: ModuleType) -> None:
    ada, bob, cem = educator("ada"), attendee("bob"), attendee("cem")
    workshop_id = scheduled(app, ada, capacity=1)
    one = f"{PATH}/{workshop_id}"
    for person in (bob, cem):
        success_data(call(app, person, f"POST {one}/enrol"))
    start = system_clock() + timedelta(days=20)
    moved = {"starts_at": rfc3339(start), "ends_at": rfc3339(start + timedelta(hours=1))}
    success_data(call(app, ada, f"PUT {one}", moved))
    success_data(call(app, bob, f"POST {one}/withdraw"))
    success_data(call(app, ada, f"POST {one}/cancel"))
    events = [each.event for each in feeds.feeds().after(ada.workspace_id, 0, system_clock()).entries]
    for _ in range(2):
        notify_of_events(ada.workspace_id, events, notifications.notify_deps(), system_clock())
    got = {
        person.user_id: sorted(
            each.kind.value
            for each in notifications.store().page(person.user_id, NotificationView.CURRENT, None, 10).notifications
        )
        for person in (ada, bob, cem)
    }
    assert got == {
        ada.user_id: [],
        bob.user_id: ["workshop_moved"],
        cem.user_id: ["workshop_cancelled", "workshop_moved", "workshop_offer"],
    }


def test_the_schedule_does_what_a_dead_process_left(app: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    workshop_id = scheduled(app, ada, capacity=1)
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))
    start = workshops.workshops().find(workshop_id).starts_at
    schedule = load_function("schedules/advance_workshops")
    assert schedule.handler({}, None, clock=lambda: start) == {"advanced": 1}
    assert schedule.handler({}, None, clock=lambda: start) == {"advanced": 0}
    assert ledger.wallets().wallet(ada.workspace_id).available == 10


def test_each_class_of_items_has_a_decision_for_its_table(app: ModuleType) -> None:
    assert {item.__name__ for item in ITEMS} <= {kind.item for kind in KINDS if kind.table == "community"}
