"""How many projects a workspace may have: counted in the transaction that creates one, exact in every race."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.projects import ProjectItem
from atelier.adapters.aws.dynamodb.usage import PROJECTS, UsageItem, read_usage
from atelier.audit_log.model import Origin
from atelier.catalogue.quotas import Quota
from atelier.clock import rfc3339
from atelier.errors import NotFound, QuotaExceeded
from atelier.ids import new_id
from atelier.projects.manage import (
    NewProject,
    ProjectAndBudget,
    change_project,
    create_project,
    read_project,
    remove_project,
)
from tests.conftest import Tables
from tests.integration.world import NOON, World
from tests.price_lists import with_tiers

LIMIT = 3


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables)
    made.catalogue = with_tiers(free={"projects_max": LIMIT}, starter={"projects_max": LIMIT + 1})
    return made


def quota(world: World) -> Quota:
    return Quota("projects", world.catalogue.tier(world.wallet().tier_at(world.now)), world.catalogue)


def create(world: World, name: str = "Boats", key: str | None = None) -> str:
    new = NewProject(world.workspace_id, "usr_A", name, idempotency_key=key)
    (project, _), _ = create_project(
        new, projects=world.projects, keys=world.keys, quota=quota(world), origin=Origin(), now=world.now
    )
    return project.id


def set_archived(world: World, project_id: str, archived: bool) -> None:
    def changed(before: ProjectAndBudget) -> ProjectAndBudget:
        return replace(before[0], archived_at=world.now if archived else None), before[1]

    change_project(
        world.workspace_id,
        project_id,
        changed,
        projects=world.projects,
        quota=lambda: quota(world),
        origin=Origin(),
        now=world.now,
    )


def remove(world: World, project_id: str) -> None:
    remove_project(world.workspace_id, project_id, projects=world.projects)


def counted(world: World) -> int:
    return read_usage(world.workspace_id, PROJECTS).used


def refusal(action: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(QuotaExceeded) as refused:
        action()
    assert (refused.value.status, refused.value.code) == (403, "QUOTA_EXCEEDED")
    return refused.value.facts


def store_project_of_yesterday(world: World, *, archived: bool = False) -> str:
    """A project that was stored before there were counters."""
    at = rfc3339(NOON - timedelta(days=1))
    item = ProjectItem(
        world.workspace_id,
        new_id("prj", NOON),
        user_id="usr_A",
        name="Old",
        created_at=at,
        updated_at=at,
        archived_at=at if archived else None,
    )
    item.save()
    return item.sk


def test_a_project_beyond_the_tiers_number_is_refused_and_not_stored(world: World) -> None:
    for _ in range(LIMIT):
        create(world)
    facts = refusal(lambda: create(world))
    assert facts == {
        "quota": "projects",
        "limit": LIMIT,
        "used": LIMIT,
        "tiers": ["starter@1", "pro@1", "studio@1"],
    }
    assert len(world.projects.list(world.workspace_id, None, None, 10).projects) == counted(world) == LIMIT


def test_a_repeated_creation_is_answered_and_not_counted_again(world: World) -> None:
    first = create(world, key="key-1")
    for _ in range(LIMIT - 1):
        create(world)
    assert create(world, key="key-1") == first
    assert counted(world) == LIMIT


def test_a_removed_project_makes_room(world: World) -> None:
    made = [create(world) for _ in range(LIMIT)]
    remove(world, made[0])
    with pytest.raises(NotFound):
        remove(world, made[0])
    assert counted(world) == LIMIT - 1
    create(world)
    refusal(lambda: create(world))


def test_an_archived_project_makes_room_and_needs_room_to_come_back(world: World) -> None:
    made = [create(world) for _ in range(LIMIT)]
    set_archived(world, made[0], archived=True)
    set_archived(world, made[0], archived=True)
    assert counted(world) == LIMIT - 1
    other = create(world)
    assert refusal(lambda: set_archived(world, made[0], archived=False))["used"] == LIMIT
    assert read_project(world.workspace_id, made[0], projects=world.projects)[0].archived_at is not None
    remove(world, other)
    set_archived(world, made[0], archived=False)
    assert counted(world) == LIMIT


def test_an_archived_project_is_removed_without_being_counted_twice(world: World) -> None:
    made = [create(world) for _ in range(LIMIT)]
    set_archived(world, made[0], archived=True)
    remove(world, made[0])
    assert counted(world) == LIMIT - 1


@pytest.mark.parametrize("first", ["create", "archive", "remove"])
def test_projects_from_before_the_counter_are_counted_once_whatever_comes_first(world: World, first: str) -> None:
    old = create(world)
    UsageItem(world.workspace_id, f"usage#{PROJECTS}").delete()
    store_project_of_yesterday(world)
    store_project_of_yesterday(world, archived=True)
    if first == "create":
        create(world)
    elif first == "archive":
        set_archived(world, old, archived=True)
    else:
        remove(world, old)
    assert counted(world) == {"create": 3, "archive": 1, "remove": 1}[first]


def test_a_workspace_above_its_limit_keeps_its_projects(world: World) -> None:
    kept = [store_project_of_yesterday(world) for _ in range(LIMIT + 2)]
    assert refusal(lambda: create(world)) == {
        "quota": "projects",
        "limit": LIMIT,
        "used": LIMIT + 2,
        # Starter allows one more, which is too few.
        "tiers": ["pro@1", "studio@1"],
    }
    found = world.projects.list(world.workspace_id, None, None, 10).projects
    assert {project.id for project in found} == set(kept)


def test_parallel_creations_never_exceed_the_limit(world: World) -> None:
    store_project_of_yesterday(world)

    def attempt(number: int) -> bool:
        try:
            create(world, f"Boats {number}")
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(attempt, range(8)))
    assert sum(created) == LIMIT - 1
    assert len(world.projects.list(world.workspace_id, None, None, 20).projects) == counted(world) == LIMIT
