"""The job of a deployment: from what is published to live, with everything that may come between."""

from __future__ import annotations

from datetime import timedelta

import pytest

from atelier.deployments.deploy import FAILED, run_deploy_step
from atelier.deployments.model import (
    PROCESSING_TIME_MAX,
    DeploymentStatus,
    DeploymentTarget,
    IntegrationState,
)
from atelier.events.deployment_events import IntegrationRefused
from tests.unit.deployments.sites import IMAGE, SITE, WORKSPACE, block, page, published
from tests.unit.deployments.world import World

PAGES = [page("/", block(f'<h1>Home</h1><img src="asset:{IMAGE}" alt="x">')), page("/about"), page("/blog/a")]
HOSTS = [target for target in DeploymentTarget if target is not DeploymentTarget.CLOUDFRONT]


class Context:
    """A function's time: each question finds less of it left."""

    def __init__(self, milliseconds: int) -> None:
        self.left = milliseconds

    def get_remaining_time_in_millis(self) -> int:
        self.left -= 1_000
        return self.left


def test_a_deployment_becomes_live_with_a_log_that_says_how() -> None:
    world = World(published(*PAGES))
    live = world.run(world.request())
    assert live.status is DeploymentStatus.LIVE
    assert live.url == "https://oak.host.example"
    assert live.files == len(world.files.manifests[live.id].files)
    assert live.ended_at == world.now
    texts = [line.text for line in live.log]
    assert texts[0] == "Collects what is published."
    assert texts[1].startswith(f"Rendered 3 pages: {live.files} files, ")
    assert texts[-1] == "Live at https://oak.host.example"
    assert world.host.sites[live.id].keys() >= {"/index.html", "/about/index.html", "/blog/feed.xml"}


def test_a_site_without_a_home_page_is_told_so() -> None:
    world = World(published(*PAGES[1:]))
    texts = [line.text for line in world.run(world.request()).log]
    assert "No published page has the path /, so the site's address itself shows no page." in texts
    with_home = World(published(*PAGES))
    assert not any("has the path /" in line.text for line in with_home.run(with_home.request()).log)


@pytest.mark.parametrize("target", DeploymentTarget)
def test_one_changed_page_sends_what_it_needs_and_nothing_else(target: DeploymentTarget) -> None:
    world = World(published(*PAGES))
    first = world.run(world.request(target))
    sent, stored, size = set(world.host.sent), set(world.files.puts), world.files.put_bytes
    world.sites.published = published(PAGES[0], page("/about", block("<h1>New words</h1>")), PAGES[2])
    second = world.run(world.request(target))
    before = {file.path: file for file in world.files.manifests[first.id].files}
    changed = [file for file in world.files.manifests[second.id].files if before.get(file.path) != file]
    assert [file.path for file in changed] == ["/about/index.html"]
    assert set(world.host.sent) - sent == set(world.files.puts) - stored == {changed[0].sha256}
    assert world.files.put_bytes - size == changed[0].size
    assert second.uploaded_bytes == changed[0].size * (2 if target is DeploymentTarget.CLOUDFRONT else 1)
    assert max(world.host.sent.values()) == max(world.files.puts.values()) == 1


def test_what_is_published_while_a_deployment_runs_comes_with_the_next_one() -> None:
    world = World(published(page("/", block("<h1>old</h1>"))))
    deployment = world.request()
    deps = world.deps()
    world.files.keep_published(WORKSPACE, deployment.id, deps.build.sites.collect(WORKSPACE, SITE))
    world.sites.published = published(page("/", block("<h1>new</h1>")))
    live = world.run(deployment)
    (home,) = [file for file in world.files.manifests[live.id].files if file.path == "/index.html"]
    assert b"old" in world.files.bodies[home.sha256]


def test_a_function_without_time_goes_on_in_its_next_run() -> None:
    world = World(published(*(page(f"/p{number}") for number in range(30))))
    deployment = world.request()
    runs = 0
    while not run_deploy_step(
        {"workspace_id": WORKSPACE, "deployment_id": deployment.id}, deps=world.deps(), context=Context(75_000)
    )["has_ended"]:
        runs += 1
        world.now += timedelta(seconds=1)
        if runs == 3:
            # A first run that never gets through says so with less time; from here on there is enough.
            break
    assert world.run(deployment).status is DeploymentStatus.LIVE
    assert max(world.files.puts.values()) == 1


def test_deployments_of_a_site_run_one_after_the_other() -> None:
    world = World(published(*PAGES))
    first, second, third = world.request(), world.request(), world.request()
    assert world.store.running == {SITE: first.id}
    world.run(first)
    assert world.store.running == {SITE: second.id}
    world.run(second)
    world.run(third)
    assert world.store.running == {}


def test_a_site_that_is_gone_fails_its_deployment() -> None:
    world = World(None)
    failed = world.run(world.request())
    assert failed.status is DeploymentStatus.FAILED
    assert failed.failure is not None
    assert failed.failure.startswith("The site")


@pytest.mark.parametrize("target", HOSTS)
def test_refused_credentials_are_noted_and_told_once(target: DeploymentTarget) -> None:
    world = World(published(*PAGES))
    world.host.is_refusing = True
    for _ in range(2):
        assert world.run(world.request(target)).status is DeploymentStatus.FAILED
    integration = next(each for each in world.integrations.all.values() if each.tested_at)
    assert integration.state is IntegrationState.REFUSED
    assert [type(event) for event in world.published.events] == [IntegrationRefused]


def test_an_integration_that_is_gone_fails_the_deployment() -> None:
    world = World(published(*PAGES))
    deployment = world.request(DeploymentTarget.NETLIFY)
    world.integrations.all.clear()
    failed = world.run(deployment)
    assert (failed.status, failed.failure) == (DeploymentStatus.FAILED, "The integration does not exist any more.")


def test_a_host_that_never_finishes_fails_the_deployment_in_time() -> None:
    world = World(published(*PAGES))
    world.host.processing_steps = 10**9
    begin = world.now
    failed = world.run(world.request(DeploymentTarget.NETLIFY), visits_max=2000)
    assert failed.status is DeploymentStatus.FAILED
    assert "30 minutes" in str(failed.failure)
    assert PROCESSING_TIME_MAX < world.now - begin < PROCESSING_TIME_MAX + timedelta(minutes=1)
    assert world.host.cancelled == [failed.id]


def test_a_cancelled_deployment_ends_after_its_present_step() -> None:
    world = World(published(*PAGES))
    world.host.processing_steps = 10**9
    deployment = world.request(DeploymentTarget.VERCEL)
    assert run_deploy_step(
        {"workspace_id": WORKSPACE, "deployment_id": deployment.id}, deps=world.deps(), context=None
    ) == {"workspace_id": WORKSPACE, "deployment_id": deployment.id, "has_ended": False, "wait_seconds": 5}
    running = world.store.get(WORKSPACE, deployment.id)
    world.store.save(running, running.changed(world.now, cancel_requested=True))
    cancelled = world.run(deployment)
    assert cancelled.status is DeploymentStatus.CANCELLED
    assert world.host.cancelled == [deployment.id]
    assert world.store.live(WORKSPACE, SITE, DeploymentTarget.VERCEL) is None


def test_a_job_that_fails_for_good_ends_its_deployment() -> None:
    world = World(published(*PAGES))
    first, second = world.request(), world.request()
    event = {"workspace_id": WORKSPACE, "deployment_id": first.id, "failed": True}
    assert run_deploy_step(event, deps=world.deps(), context=None)["has_ended"]
    assert world.store.get(WORKSPACE, first.id).failure == FAILED
    assert world.store.running == {SITE: second.id}
    assert run_deploy_step(event, deps=world.deps(), context=None)["has_ended"]


def test_a_roll_back_shows_the_earlier_files_and_renders_nothing() -> None:
    world = World(published(*PAGES))
    first = world.run(world.request())
    world.sites.published = published(page("/", block("<h1>worse</h1>")))
    second = world.run(world.request())
    puts, kept = dict(world.files.puts), dict(world.files.kept)
    back = world.run(world.request(rolls_back_to=first.id))
    assert back.status is DeploymentStatus.LIVE
    assert (dict(world.files.puts), world.files.kept) == (puts, kept)
    assert world.host.sites[back.id] == world.host.sites[first.id]
    shown = world.store.live(WORKSPACE, SITE, DeploymentTarget.CLOUDFRONT)
    assert shown is not None
    assert shown.deployment_id == first.id
    assert world.store.get(WORKSPACE, second.id).status is DeploymentStatus.ROLLED_BACK


def test_a_preview_replaces_nothing() -> None:
    world = World(published(*PAGES))
    live = world.run(world.request())
    preview = world.run(world.request(is_preview=True))
    shown = world.store.live(WORKSPACE, SITE, DeploymentTarget.CLOUDFRONT)
    assert shown is not None
    assert shown.deployment_id == live.id
    assert world.files.manifests[preview.id].is_preview
