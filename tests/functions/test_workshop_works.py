"""What participants show of their work with a workshop: by their own choice, of what everybody sees."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.workshops.show_works import WORKS_MAX
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_person
from tests.functions.responses import error_of, success_data
from tests.functions.test_showcase_api import offered
from tests.functions.test_workshops_api import PATH, attendee, educator, scheduled, starts
from tests.invoke import load_function


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/workshops")


@pytest.fixture
def showcase(cloud: AwsResources) -> ModuleType:
    return load_function("api/showcase")


def attended(app: ModuleType, ada: Person, *people: Person) -> str:
    """A workshop of Ada's that these people have attended."""
    workshop_id = scheduled(app, ada, price_credits=0, capacity=5)
    for person in people:
        success_data(call(app, person, f"POST {PATH}/{workshop_id}/enrol"))
    starts(workshop_id)
    for person in people:
        success_data(call(app, ada, f"PUT {PATH}/{workshop_id}/attendees/{person.user_id}", {"attended": True}))
    return workshop_id


def shown(app: ModuleType, person: Person, workshop_id: str) -> list[tuple[str, str]]:
    works: list[dict[str, Any]] = success_data(call(app, person, f"GET {PATH}/{workshop_id}/works"))["items"]
    return [(each["name"], each["listing_id"]) for each in works]


def test_a_participant_shows_own_works_and_takes_them_off(app: ModuleType, showcase: ModuleType) -> None:
    ada, bob, eve, stranger = educator("ada"), attendee("bob"), attendee("eve"), create_person("zoe")
    workshop_id = attended(app, ada, bob, eve)
    mine, theirs = offered(showcase, bob), offered(showcase, eve)
    one = f"{PATH}/{workshop_id}/works/{mine}"
    for _ in range(2):
        work = success_data(call(app, bob, f"PUT {one}"))["work"]
        assert (work["name"], work["title"], f"/media/{mine}/" in work["thumbnail_url"]) == ("Bob", "Lighthouse", True)
    success_data(call(app, eve, f"PUT {PATH}/{workshop_id}/works/{theirs}"))
    for person in (ada, bob, stranger):
        assert sorted(shown(app, person, workshop_id)) == [("Bob", mine), ("Eve", theirs)]
    page = success_data(call(app, stranger, f"GET {PATH}/{workshop_id}/works?limit=1"))
    rest = success_data(call(app, stranger, f"GET {PATH}/{workshop_id}/works?limit=1&cursor={page['next_cursor']}"))
    assert {page["items"][0]["listing_id"], rest["items"][0]["listing_id"]} == {mine, theirs}

    # Nobody else takes it off, but its educator.
    for other in (eve, stranger):
        assert error_of(call(app, other, f"DELETE {one}")) == (404, "NOT_FOUND")
    assert call(app, ada, f"DELETE {PATH}/{workshop_id}/works/{theirs}")["statusCode"] == 204
    for _ in range(2):
        assert call(app, bob, f"DELETE {one}")["statusCode"] == 204
    assert shown(app, stranger, workshop_id) == []


def test_only_who_attended_shows_and_only_a_published_work_of_their_own(app: ModuleType, showcase: ModuleType) -> None:
    ada, bob, eve = educator("ada"), attendee("bob"), attendee("eve")
    workshop_id = scheduled(app, ada, price_credits=0)
    success_data(call(app, bob, f"POST {PATH}/{workshop_id}/enrol"))
    mine, theirs = offered(showcase, bob), offered(showcase, eve)
    works = f"{PATH}/{workshop_id}/works"
    assert error_of(call(app, bob, f"PUT {works}/{mine}")) == (403, "FORBIDDEN")
    starts(workshop_id)
    success_data(call(app, ada, f"PUT {PATH}/{workshop_id}/attendees/{bob.user_id}", {"attended": True}))
    assert error_of(call(app, bob, f"PUT {works}/{theirs}")) == (403, "FORBIDDEN")
    assert error_of(call(app, eve, f"PUT {works}/{theirs}")) == (404, "NOT_FOUND")
    assert error_of(call(app, ada, f"PUT {works}/{mine}")) == (404, "NOT_FOUND")
    assert error_of(call(app, bob, f"PUT {works}/{new_id('lst', system_clock())}")) == (404, "NOT_FOUND")
    assert error_of(call(app, bob, f"PUT {works}/nonsense"))[0] in (404, 422)
    # What is taken back from the showcase is shown nowhere.
    success_data(call(app, bob, f"PUT {works}/{mine}"))
    success_data(call(showcase, bob, f"DELETE /api/showcase/{mine}"))
    assert shown(app, eve, workshop_id) == []


def test_a_person_shows_ten_works_at_most_however_many_come_at_once(app: ModuleType, showcase: ModuleType) -> None:
    ada, bob = educator("ada"), attendee("bob")
    workshop_id = attended(app, ada, bob)
    works = [offered(showcase, bob) for _ in range(WORKS_MAX + 2)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: call(app, bob, f"PUT {PATH}/{workshop_id}/works/{each}"), works))
    assert sorted(each["statusCode"] for each in answers) == [200] * WORKS_MAX + [409] * 2
    assert len(shown(app, bob, workshop_id)) == WORKS_MAX
    # One that is shown already is no more than there are.
    kept = next(each for each, answer in zip(works, answers, strict=True) if answer["statusCode"] == 200)
    assert call(app, bob, f"PUT {PATH}/{workshop_id}/works/{kept}")["statusCode"] == 200
