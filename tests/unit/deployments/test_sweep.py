"""Deployments whose execution has stopped, under a virtual clock: none is left open for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from atelier.deployments.model import DeploymentStatus, DeploymentTarget, SiteDeployment
from atelier.deployments.ports import ExecutionState
from atelier.deployments.sweep import GOES_ON, RESUMED_MAX, STARTED_AFTER, SweepDeps, sweep_deployments
from tests.unit.deployments.sites import BEGIN, WORKSPACE, page, published
from tests.unit.deployments.world import World


class MemoryJobs:
    """Executions by (deployment, number). started: how often each was."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, int], ExecutionState] = {}
        self.started: list[tuple[str, int]] = []

    def start(self, workspace_id: str, deployment_id: str, number: int = 0) -> None:
        if (deployment_id, number) not in self.states:
            self.states[deployment_id, number] = ExecutionState.RUNNING
            self.started.append((deployment_id, number))

    def state(self, deployment_id: str, number: int) -> ExecutionState:
        return self.states.get((deployment_id, number), ExecutionState.NONE)

    def stop(self, deployment_id: str) -> None:
        """Every execution of a deployment ends, whatever it has done."""
        for key in self.states:
            if key[0] == deployment_id:
                self.states[key] = ExecutionState.ENDED


class ShortTime:
    """A function whose time is up."""

    def get_remaining_time_in_millis(self) -> int:
        return 1


class Swept:
    """A world, and the sweep. later: an instant at which the sweep looks at what has begun."""

    def __init__(self) -> None:
        self.world, self.jobs = World(published(page("/"))), MemoryJobs()
        self.later = BEGIN + STARTED_AFTER + timedelta(minutes=1)

    def sweep(self, now: datetime | None = None) -> int:
        return sweep_deployments(now or self.later, None, deps=SweepDeps(self.world.store, self.jobs))

    def get(self, deployment: SiteDeployment) -> SiteDeployment:
        return self.world.store.get(WORKSPACE, deployment.id)


@pytest.fixture
def swept() -> Swept:
    return Swept()


def test_a_deployment_that_runs_or_has_just_begun_is_left_alone(swept: Swept) -> None:
    deployment = swept.world.request()
    assert swept.sweep(BEGIN + timedelta(minutes=1)) == 0
    swept.jobs.start(WORKSPACE, deployment.id)
    assert (swept.sweep(), swept.get(deployment)) == (0, deployment)


def test_one_that_was_never_started_is_started(swept: Swept) -> None:
    deployment = swept.world.request()
    assert swept.sweep() == 1
    assert swept.jobs.started == [(deployment.id, 0)]
    assert swept.sweep() == 0


def test_one_that_has_stopped_goes_on_and_becomes_live(swept: Swept) -> None:
    deployment = swept.world.request(DeploymentTarget.NETLIFY)
    swept.jobs.start(WORKSPACE, deployment.id)
    swept.jobs.stop(deployment.id)
    assert (swept.sweep(), swept.sweep()) == (1, 0)
    assert swept.jobs.started[-1] == (deployment.id, 1)
    assert swept.get(deployment).log[-1].text == GOES_ON
    assert swept.world.run(swept.get(deployment)).status is DeploymentStatus.LIVE
    swept.jobs.stop(deployment.id)
    assert swept.sweep() == 0


def test_one_that_stops_again_and_again_fails_and_lets_the_next_one_run(swept: Swept) -> None:
    deployment, waiting = swept.world.request(), swept.world.request()
    swept.jobs.start(WORKSPACE, deployment.id)
    for _ in range(RESUMED_MAX + 1):
        swept.jobs.stop(deployment.id)
        assert swept.sweep() == 1
    failed = swept.get(deployment)
    assert failed.status is DeploymentStatus.FAILED
    assert "on our side" in str(failed.failure)
    assert swept.world.store.running[deployment.site_id] == waiting.id
    assert len([key for key in swept.jobs.started if key[0] == deployment.id]) == RESUMED_MAX + 1


def test_a_sweep_that_dies_before_its_start_is_made_good_by_the_next_one(swept: Swept) -> None:
    deployment = swept.world.request()
    swept.jobs.start(WORKSPACE, deployment.id)
    swept.jobs.stop(deployment.id)
    # It was counted, and the process died.
    counted = replace(swept.get(deployment), resumed=1, version=2)
    swept.world.store.records[deployment.id] = counted
    assert swept.sweep() == 1
    assert (swept.jobs.started[-1], swept.get(deployment)) == ((deployment.id, 1), counted)


def test_a_sweep_without_time_does_nothing(swept: Swept) -> None:
    swept.world.request()
    assert sweep_deployments(swept.later, ShortTime(), deps=SweepDeps(swept.world.store, swept.jobs)) == 0
    assert swept.jobs.started == []
