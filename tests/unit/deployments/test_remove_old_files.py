"""Files of deployments that nobody can show again go; what can be shown keeps every file, whenever a process dies."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.audit_log.model import Origin
from atelier.deployments.addresses import SiteHosts
from atelier.deployments.deploy import deploy
from atelier.deployments.model import DeploymentStatus, DeploymentTarget, SiteDeployment, preview_label
from atelier.deployments.remove_old_files import KEPT_FOR, KEPT_LAST
from atelier.deployments.request import RequestDeps, roll_back
from atelier.deployments.serve import HostingDeps, serve
from atelier.errors import Conflict
from tests.unit.deployments.sites import USER, WORKSPACE, block, page, published
from tests.unit.deployments.world import Died, Faults, World

LATER = KEPT_FOR + timedelta(days=1)


def content(number: int) -> World:
    return World(published(page("/", block(f"<h1>{number}</h1>")), page("/about")))


def deployed(world: World, number: int, **changes: Any) -> SiteDeployment:
    """A live deployment whose home page nobody else has."""
    world.sites.published = content(number).sites.published
    return world.run(world.request(**changes))


def home(world: World, deployment: SiteDeployment) -> str:
    files = world.files.manifest(WORKSPACE, deployment.id).files
    return next(file.sha256 for file in files if file.path == "/index.html")


def go_back(world: World, to: SiteDeployment) -> SiteDeployment:
    deps = RequestDeps(world.store, world.sites, world.integrations, None, SiteHosts("x.example", "https"))  # type: ignore[arg-type]
    return roll_back(WORKSPACE, to.id, USER, None, Origin(), deps=deps, now=world.now)[0]


def assert_whole(world: World) -> None:
    """Asserts that every deployment that may be shown has all its files."""
    for each in world.store.records.values():
        may_be_shown = each.status in (DeploymentStatus.LIVE, DeploymentStatus.ROLLED_BACK)
        if may_be_shown and world.store.records[each.built_by].files_removed_at is None:
            assert {file.sha256 for file in world.files.manifests[each.built_by].files} <= world.files.bodies.keys()


def test_the_last_twenty_and_the_last_thirty_days_are_kept() -> None:
    world = content(0)
    first, *others = [deployed(world, number) for number in range(KEPT_LAST + 1)]
    unique = home(world, first)
    world.now += LATER
    deployed(world, 100)
    gone = world.store.get(WORKSPACE, first.id)
    assert gone.files_removed_at is not None
    assert unique not in world.files.bodies
    assert first.id not in world.files.manifests
    assert [world.store.get(WORKSPACE, each.id).files_removed_at for each in others] == [None] * KEPT_LAST
    with pytest.raises(Conflict, match="not kept") as refused:
        go_back(world, gone)
    assert refused.value.facts == {"reason": "files_removed"}
    # The next one that is as old, and no more: the first one is not looked at again.
    deployed(world, 101)
    assert world.store.get(WORKSPACE, others[0].id).files_removed_at is not None
    assert world.store.get(WORKSPACE, others[1].id).files_removed_at is None
    assert_whole(world)


def test_nothing_goes_within_thirty_days_however_many_there_are() -> None:
    world = content(0)
    for number in range(KEPT_LAST + 5):
        deployed(world, number)
    assert not [each for each in world.store.records.values() if each.files_removed_at]


def test_what_is_shown_stays_however_old_and_so_do_other_targets() -> None:
    world = content(0)
    netlify = deployed(world, 1, target=DeploymentTarget.NETLIFY)
    first, *others = [deployed(world, number) for number in range(2, KEPT_LAST + 10)]
    world.run(go_back(world, first))
    world.now += LATER
    deployed(world, 100, target=DeploymentTarget.VERCEL)
    gone = [each for each in others if world.store.get(WORKSPACE, each.id).files_removed_at]
    assert gone
    assert gone == others[: len(gone)]
    kept = [world.store.get(WORKSPACE, each.id) for each in (netlify, first, *others[-KEPT_LAST + 1 :])]
    assert [each.files_removed_at for each in kept] == [None] * len(kept)
    assert_whole(world)
    assert world.run(go_back(world, others[-1])).status is DeploymentStatus.LIVE


def test_a_roll_back_whose_files_went_meanwhile_fails_and_shows_nothing() -> None:
    world = content(0)
    first, second = deployed(world, 1), deployed(world, 2)
    back = go_back(world, first)
    # The files go, and the process dies before their list does.
    world.store.save(first, replace(first, version=first.version + 1, files_removed_at=world.now))
    assert world.run(back).status is DeploymentStatus.FAILED
    live = world.store.live(WORKSPACE, second.site_id, DeploymentTarget.CLOUDFRONT)
    assert live is not None
    assert live.deployment_id == second.id


def test_an_old_preview_is_not_shown_any_more() -> None:
    world = content(0)
    deployed(world, 1)
    preview = deployed(world, 2, is_preview=True)
    deps = HostingDeps(world.sites, world.store, world.files, {})
    assert world.sites.published is not None
    label = preview_label(world.sites.published.site.slug, preview.id)
    assert serve(label, "/", "", deps=deps).status == 200
    world.now += LATER
    deployed(world, 3)
    assert serve(label, "/", "", deps=deps).status == 404
    assert_whole(world)


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_call(is_after: bool) -> None:
    number = 0
    while True:
        world = content(0)
        made = [deployed(world, each) for each in range(KEPT_LAST + 2)]
        unique = [home(world, each) for each in made[:2]]
        world.now += LATER
        world.sites.published = content(100).sites.published
        dying, faults = world.request(), Faults(number, is_after=is_after)
        try:
            deploy(WORKSPACE, dying.id, deps=world.deps(faults), context=None)
        except Died:
            assert_whole(world)
        has_died = len(faults.calls) > number
        assert world.run(world.store.get(WORKSPACE, dying.id)).status is DeploymentStatus.LIVE
        assert_whole(world)
        assert not set(unique) & world.files.bodies.keys()
        assert not {each.id for each in made[:2]} & world.files.manifests.keys()
        if not has_died:
            break
        number += 1
    assert number > 20
