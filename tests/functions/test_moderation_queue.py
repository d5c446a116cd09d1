"""The moderation queue: what gets into it, and what administrators decide."""

from __future__ import annotations

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.identity.items import PROFILE, SessionItem, UserItem, session_sk
from atelier.adapters.aws.dynamodb.moderation_queue import SUBJECTS_MAX
from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.ids import new_id
from atelier.moderation.queue import Flag, FlagSource
from atelier.wiring import audit_log, moderation_queue
from tests.functions.conftest import AwsResources
from tests.functions.people import Person, call, create_administrator, create_person
from tests.functions.responses import Reply, error_of, success_data
from tests.integration.world import run_concurrently
from tests.invoke import load_function

QUEUE = "/api/admin/moderation"
REASON = "The rule is for this"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_people")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


@pytest.fixture
def eve(cloud: AwsResources) -> Person:
    return create_person("eve")


def flag(person: Person, subject_id: str = "ref_1", *, category: str = "hate", days_ago: int = 0) -> str:
    at = system_clock() - timedelta(days=days_ago)
    found = Flag(
        FlagSource.RESULT, person.workspace_id, person.user_id, category, "image", "local/canvas", subject_id, at
    )
    moderation_queue.queue().flag(found)
    return found.item_id


def listed(app: ModuleType, ada: Person, query: str = "") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = success_data(call(app, ada, f"GET {QUEUE}{query}"))["items"]
    return items


def decide(app: ModuleType, ada: Person, id: str, decision: str) -> Reply:
    return call(app, ada, f"POST {QUEUE}/{id}/decide", {"decision": decision, "reason": REASON})


def actions(log: str) -> list[str]:
    return [each["action"] for each in audit_log.reads().page(log, EventFilter(), None, 50).events]


def test_a_refused_prompt_is_in_the_queue_without_its_text(app: ModuleType, ada: Person, eve: Person) -> None:
    body, generations = {"prompt": "child porn", "model": "local/canvas"}, load_function("api/generations")
    for key in ("one", "one", "two"):
        refused = call(generations, eve, "POST /api/generate/image", body, **{"idempotency-key": key})
        assert error_of(refused) == (422, "VALIDATION_FAILED")
    [item] = listed(app, ada)
    assert (item["source"], item["user_id"], item["workspace_id"]) == ("prompt", eve.user_id, eve.workspace_id)
    # The repetition under the same key is the same refusal.
    assert (item["category"], item["count"], item["kind"], item["decision"]) == ("minors", 2, "image", None)
    assert item["subject_ids"] == []
    assert success_data(call(app, ada, f"GET {QUEUE}/{item['id']}"))["item"] == item


def test_one_item_is_of_one_person_day_and_reason(app: ModuleType, ada: Person, eve: Person) -> None:
    other = create_person("mallory")
    ids = [flag(eve), flag(eve, "ref_2"), flag(eve, category="violence"), flag(eve, days_ago=2), flag(other)]
    assert len(set(ids)) == 4
    items = listed(app, ada)
    assert {each["id"]: each["count"] for each in items} == {ids[0]: 2, ids[2]: 1, ids[3]: 1, ids[4]: 1}
    # The newest day first, in pages.
    assert items[-1]["id"] == ids[3]
    first = success_data(call(app, ada, f"GET {QUEUE}?limit=3"))
    rest = listed(app, ada, f"?limit=3&cursor={first['next_cursor']}")
    assert [each["id"] for each in first["items"] + rest] == [each["id"] for each in items]


def test_nobody_makes_an_item_grow_without_end(app: ModuleType, ada: Person, eve: Person) -> None:
    run_concurrently(4, lambda part: [flag(eve, f"ref_{part}_{number}") for number in range(60)])
    [item] = listed(app, ada)
    assert item["count"] == SUBJECTS_MAX


@pytest.mark.parametrize("decision", ["uphold", "release"])
def test_a_decision_is_written_once_in_both_logs(app: ModuleType, ada: Person, eve: Person, decision: str) -> None:
    id = flag(eve)
    for _ in range(2):
        item = success_data(decide(app, ada, id, decision))["item"]
        assert (item["decision"], item["reason"], item["decided_by"]) == (decision, REASON, ada.user_id)
    assert listed(app, ada) == []
    assert listed(app, ada, "?decided=true") == [item]
    for log in (PLATFORM_LOG, eve.workspace_id):
        assert actions(log).count("moderation.decided") == 1
    assert error_of(decide(app, ada, id, "suspend")) == (409, "CONFLICT")
    assert UserItem.get(eve.user_id, PROFILE).status == "active"


def test_suspending_ends_the_sessions_of_the_person(app: ModuleType, ada: Person, eve: Person) -> None:
    id = flag(eve)
    for _ in range(2):
        assert success_data(decide(app, ada, id, "suspend"))["item"]["decision"] == "suspend"
    assert UserItem.get(eve.user_id, PROFILE).status == "suspended"
    assert SessionItem.get(eve.user_id, session_sk(eve.session_id)).revoked_at
    assert actions(eve.user_id).count("account.suspended") == 1


def test_an_administrator_is_not_suspended_and_the_item_stays_open(app: ModuleType, ada: Person) -> None:
    bob = create_administrator("bob")
    id = flag(bob)
    assert error_of(decide(app, ada, id, "suspend")) == (409, "CONFLICT")
    assert [each["id"] for each in listed(app, ada)] == [id]


def test_two_who_decide_at_once_decide_once(app: ModuleType, ada: Person, eve: Person) -> None:
    bob, id = create_administrator("bob"), flag(eve)
    replies = run_concurrently(2, lambda number: decide(app, (ada, bob)[number], id, ("uphold", "release")[number]))
    assert sorted(reply["statusCode"] for reply in replies) == [200, 409]
    assert actions(PLATFORM_LOG).count("moderation.decided") == 1


def test_a_missing_item_and_an_unknown_decision_are_refused(app: ModuleType, ada: Person, eve: Person) -> None:
    missing = new_id("mod", system_clock())
    assert error_of(call(app, ada, f"GET {QUEUE}/{missing}")) == (404, "NOT_FOUND")
    assert error_of(decide(app, ada, missing, "uphold")) == (404, "NOT_FOUND")
    assert error_of(decide(app, ada, flag(eve), "delete")) == (422, "VALIDATION_FAILED")
