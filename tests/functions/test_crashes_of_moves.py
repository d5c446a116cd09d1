"""A move dies after each call that writes, or the answer to one is lost; a death before the next write leaves the same.
Then the client repeats its request, or the stream delivers again; the end is that of a move in which nothing died."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.audit_log import AuditEventItem
from tests.crashes.interceptor import CallInterceptor, FaultMode, ProcessDied
from tests.functions.conftest import AwsResources
from tests.functions.moving import MovingProject, everything_of, file_names, move_record, moving_project, used
from tests.functions.people import call, create_organization, create_person
from tests.invoke import load_function

# Calls of S3 that read, and that the interceptor counts among the writes.
LISTINGS = {"ListObjects", "ListObjectsV2", "ListObjectVersions"}
DELIVERIES_MAX = 5
TIMES = {"created_at", "updated_at", "deleted_at", "deadline_at", "completed_at", "triggered_at", "moved_at"}
TIMES_AND_IDS = TIMES | {"attempts"}
names = (f"p{number}" for number in count())


@pytest.fixture
def interceptor(cloud: AwsResources) -> Iterator[CallInterceptor]:
    made = CallInterceptor()
    with made.attached():
        yield made


def new_project() -> MovingProject:
    """The same project as every other time, of a new person with a new organisation."""
    owner = create_person(next(names))
    return moving_project(owner, create_organization(load_function("api/workspaces"), owner, next(names))["id"])


def play(interceptor: CallInterceptor, faults: Mapping[int, FaultMode]) -> tuple[MovingProject, int]:
    """Moves a project; returns it, and how many processes died."""
    moving, deaths = new_project(), 0
    app, stream = load_function("api/projects"), load_function("streams/library")

    def request() -> bool:
        body = {"workspace_id": moving.target_id}
        return bool(call(app, moving.owner, f"POST {moving.path}/move", body)["statusCode"] == 202)

    def deliver() -> bool:
        stream.handler(move_record(moving.source_id, moving.project.id), None)
        return True

    interceptor.restart(faults, lambda each: None)
    for function, work in (("api/projects", request), ("streams/library", deliver)):
        for _ in range(DELIVERIES_MAX):
            if _lives(interceptor, function, work):
                break
            deaths += 1
    return moving, deaths


def _lives(interceptor: CallInterceptor, function: str, work: Callable[[], bool]) -> bool:
    with suppress(ProcessDied), interceptor.invocation(function):
        return work()
    return False


def outcome(moving: MovingProject) -> object:
    """What is at both sides, with names instead of ids, and without times."""
    labels = {moving.source_id: "source", moving.target_id: "target", moving.project.id: "P", moving.other.id: "O"}
    labels |= {moving.owner.user_id: "owner", **{asset_id: sha[0] for asset_id, sha in moving.assets.items()}}
    for number, each in enumerate((*moving.generation_ids, *moving.left)):
        labels[each] = labels[f"request#{each}"] = f"n{number}"
    sides = [_side(workspace_id, labels) for workspace_id in (moving.source_id, moving.target_id)]
    return sides, [_moves_in_log(workspace_id) for workspace_id in (moving.source_id, moving.target_id)]


def _side(workspace_id: str, labels: Mapping[str, str]) -> object:
    def named(text: str) -> str:
        for each, label in labels.items():
            text = text.replace(each, label)
        return text

    items = Counter[str]()
    for item in everything_of(workspace_id).values():
        # The id of an alert is a digest, and those of the other generation's assets belong to this run alone.
        kept: dict[str, Any] = {name: value for name, value in item.items() if name not in {*TIMES_AND_IDS, "sk"}}
        items[named(json.dumps(kept, sort_keys=True))] += 1
    anonymous = Counter({_without_ids(text): times for text, times in items.items()})
    return anonymous, used(workspace_id), file_names(workspace_id)


def _without_ids(text: str) -> str:
    return re.sub(r"(ast|gen|usr|alr)_[0-9A-Z]{26}", r"\1", text)


def _moves_in_log(workspace_id: str) -> list[str]:
    found = AuditEventItem.query(workspace_id, AuditEventItem.sk.startswith("event#"), consistent_read=True)
    return [item.action for item in found if item.action.startswith("project.")]


def test_whatever_dies_the_end_is_the_same(interceptor: CallInterceptor) -> None:
    undisturbed, deaths = play(interceptor, {})
    wanted, calls = outcome(undisturbed), list(interceptor.calls)
    assert deaths == 0
    assert _moves_in_log(undisturbed.source_id) == ["project.move_started", "project.moved"]
    writes = [each for each in calls if each.writes and each.operation not in LISTINGS]
    assert {each.operation for each in writes} >= {"TransactWriteItems", "CopyObject", "DeleteObject", "UpdateItem"}
    for each in writes:
        for mode in (FaultMode.DIE_AFTER, FaultMode.LOSE_ANSWER):
            moving, deaths = play(interceptor, {each.number: mode})
            assert deaths == (mode is FaultMode.DIE_AFTER), each
            assert outcome(moving) == wanted, (each, mode)
