"""A process that dies before or after each call that a deployment makes: afterwards the deployment is live or failed,
what is shown is whole, and nothing was sent twice."""

from __future__ import annotations

import pytest

from atelier.deployments.deploy import deploy
from atelier.deployments.model import DeploymentStatus, DeploymentTarget, SiteDeployment
from tests.unit.deployments.sites import IMAGE, WORKSPACE, block, page, published
from tests.unit.deployments.world import Died, Faults, World

FIRST = [page("/", block(f'<h1>Home</h1><img src="asset:{IMAGE}" alt="x">')), page("/about")]
SECOND = [FIRST[0], page("/about", block("<h1>New</h1>")), page("/blog/a")]


def prepared(target: DeploymentTarget) -> World:
    """A site that is live, and has changed since."""
    world = World(published(*FIRST))
    assert world.run(world.request(target)).status is DeploymentStatus.LIVE
    world.sites.published = published(*SECOND)
    return world


def calls_of_a_deployment(target: DeploymentTarget, *, back: bool) -> int:
    world = prepared(target)
    faults = Faults()
    deployment = world.request(target, **_back(world, back=back))
    visit_until_the_end(world, deployment, faults)
    return len(faults.calls)


def visit_until_the_end(world: World, deployment: SiteDeployment, faults: Faults) -> None:
    while deploy(WORKSPACE, deployment.id, deps=world.deps(faults), context=None) is not None:
        pass


def _back(world: World, *, back: bool) -> dict[str, str]:
    return {"rolls_back_to": next(iter(world.store.records))} if back else {}


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize("target", [DeploymentTarget.CLOUDFRONT, DeploymentTarget.NETLIFY])
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_dying_at_each_call_leaves_nothing_half(target: DeploymentTarget, is_after: bool, back: bool) -> None:
    calls = calls_of_a_deployment(target, back=back)
    assert calls > 10
    for die_at in range(calls):
        world = prepared(target)
        (first,) = world.store.records
        deployment = world.request(target, **_back(world, back=back))
        faults = Faults(die_at, is_after=is_after)
        with pytest.raises(Died):
            visit_until_the_end(world, deployment, faults)
        name = f"{die_at} {faults.calls[-1]}"
        # What is shown now is whole: the deployment before, or this one.
        shown = world.store.live(WORKSPACE, deployment.site_id, target)
        assert shown is not None
        assert shown.deployment_id in (first, deployment.id), name
        for file in world.files.manifests[shown.deployment_id].files:
            assert len(world.files.bodies[file.sha256]) == file.size, name

        ended = world.run(deployment)
        assert ended.status is DeploymentStatus.LIVE, name
        shown = world.store.live(WORKSPACE, deployment.site_id, target)
        assert shown is not None
        assert shown.deployment_id == (first if back else deployment.id), name
        assert all(file.sha256 in world.files.bodies for file in world.files.manifests[shown.deployment_id].files), name
        assert max(world.files.puts.values()) == 1, name
        assert max(world.host.sent.values()) == 1, name
        assert world.store.running == {}, name
