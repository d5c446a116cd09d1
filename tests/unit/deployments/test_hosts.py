"""The targets at other hosts, against simulators of their documented APIs, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from atelier.adapters.sites._host import HostAnswer, HostTarget, wait_seconds
from atelier.adapters.sites.github_pages import GitHubPages
from atelier.adapters.sites.netlify import Netlify
from atelier.adapters.sites.vercel import Vercel
from atelier.deployments.deploy import REFUSED
from atelier.deployments.model import (
    DeploymentStatus,
    DeploymentTarget,
    Integration,
    IntegrationState,
    SiteDeployment,
)
from atelier.deployments.ports import HostAccount
from atelier.sites.model import PublishedPage, Redirect, SiteSettings
from infra.simulators.site_hosts.github_pages import GitHubPagesSimulator
from infra.simulators.site_hosts.host import HostSimulator
from infra.simulators.site_hosts.netlify import NetlifySimulator
from infra.simulators.site_hosts.vercel import VercelSimulator
from tests.unit.deployments.sites import IMAGE, block, page, published
from tests.unit.deployments.world import World

HOSTS: dict[DeploymentTarget, tuple[type[HostSimulator], type[HostTarget]]] = {
    DeploymentTarget.NETLIFY: (NetlifySimulator, Netlify),
    DeploymentTarget.VERCEL: (VercelSimulator, Vercel),
    DeploymentTarget.GITHUB_PAGES: (GitHubPagesSimulator, GitHubPages),
}
# The request of each host that creates what is not created twice.
CREATIONS = {
    DeploymentTarget.NETLIFY: ("POST .*/sites", "POST .*/deploys"),
    DeploymentTarget.VERCEL: ("POST /v13/deployments",),
    DeploymentTarget.GITHUB_PAGES: ("POST .*/commits", "POST .*/refs", "POST .*/trees", "POST .*/pages"),
}
UPLOADS = {
    DeploymentTarget.NETLIFY: "PUT .*/files/.*",
    DeploymentTarget.VERCEL: "POST /v2/files",
    DeploymentTarget.GITHUB_PAGES: "POST .*/git/blobs",
}
MOVED = SiteSettings(redirects=(Redirect("/old", "/about/"),))
# Files that only one of the hosts has.
OWN_FILES = {"/_headers", "/_redirects", "/vercel.json", "/.nojekyll", "/CNAME", "/old/index.html"}


class Host:
    """A world with one host. simulator: it; world: everything else."""

    def __init__(self, target: DeploymentTarget, simulator: HostSimulator) -> None:
        self.target, self.simulator = target, simulator
        kind = HOSTS[target][1]
        self.adapter = kind(simulator.base_url)
        self.world = World(None, {target: self.adapter})
        self.publish(page("/"), page("/about"), page("/blog/a"))
        for integration in list(self.world.integrations.all.values()):
            self.world.integrations.all[integration.id] = _with_token(integration, simulator.api_key)

    def publish(self, *pages: PublishedPage, **changes: Any) -> None:
        self.world.sites.published = published(*pages, settings=MOVED, **changes)

    def deploy(self, **changes: Any) -> SiteDeployment:
        return self.world.run(self.world.request(self.target, **changes))

    def uploaded(self) -> int:
        return len(self.simulator.uploads())

    def shown(self, deployment: SiteDeployment) -> dict[str, bytes]:
        assert deployment.url is not None, deployment.failure
        return self.simulator.sites[deployment.url]


def _with_token(integration: Integration, token: str) -> Integration:
    from dataclasses import replace

    return replace(integration, record=token)


@pytest.fixture(params=HOSTS, ids=lambda target: target.value)
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    target: DeploymentTarget = request.param
    with HOSTS[target][0]() as simulator:
        yield Host(target, simulator)


def test_a_site_becomes_live(host: Host) -> None:
    live = host.deploy()
    assert live.status is DeploymentStatus.LIVE, live.failure
    shown = host.shown(live)
    assert b"Text of /about." in shown["/about/index.html"]
    assert live.uploaded == host.uploaded() == len(set(shown.values()))
    assert live.uploaded_bytes == sum(map(len, set(shown.values())))


def test_one_changed_page_sends_that_page_and_nothing_else(host: Host) -> None:
    before = host.shown(host.deploy())
    sent = host.uploaded()
    host.publish(page("/"), page("/about", block("<h1>New words</h1>")), page("/blog/a"))
    live = host.deploy()
    shown = host.shown(live)
    changed = {path for path in shown if shown[path] != before.get(path)}
    assert changed == {"/about/index.html"}
    assert host.uploaded() - sent == live.uploaded == 1
    assert live.uploaded_bytes == len(shown["/about/index.html"])


def test_a_deployment_of_the_same_files_sends_nothing(host: Host) -> None:
    first = host.shown(host.deploy())
    sent = host.uploaded()
    again = host.deploy()
    assert host.shown(again) == first
    assert host.uploaded() == sent


def test_a_roll_back_shows_the_earlier_files_and_sends_none(host: Host) -> None:
    first = host.deploy()
    before = host.shown(first)
    host.publish(page("/", block("<h1>worse</h1>")))
    second = host.deploy()
    assert host.shown(second) != before
    sent = host.uploaded()
    back = host.deploy(rolls_back_to=first.id)
    assert back.status is DeploymentStatus.LIVE, back.failure
    assert host.shown(back) == before
    assert host.uploaded() == sent
    assert host.world.store.get(second.workspace_id, second.id).status is DeploymentStatus.ROLLED_BACK


def test_a_preview_has_an_address_of_its_own(host: Host) -> None:
    live = host.deploy()
    host.publish(page("/", block("<h1>Draft</h1>")))
    preview = host.deploy(is_preview=True)
    if host.target is DeploymentTarget.GITHUB_PAGES:
        assert preview.status is DeploymentStatus.FAILED
        assert "previews" in str(preview.failure)
    else:
        assert preview.url != live.url
        assert b"Draft" in host.shown(preview)["/index.html"]
    assert b"Draft" not in host.shown(live)["/index.html"]


@pytest.mark.parametrize("kind", ["429-seconds", "429-date", "429-reset", "429-body", "429", "500", "lost"])
def test_a_busy_host_is_waited_for_as_long_as_it_says(host: Host, kind: str) -> None:
    host.simulator.fail(UPLOADS[host.target], kind)
    begin = host.world.now
    live = host.deploy()
    assert live.status is DeploymentStatus.LIVE, live.failure
    asked = 10 if kind in ("429", "500", "lost") else host.simulator.wait_seconds
    assert asked - 2 <= (host.world.now - begin).total_seconds() <= asked + 30
    assert [line.text for line in live.log if "is busy" in line.text]


@pytest.mark.parametrize("kind", ["after-500", "after-lost"])
def test_what_a_host_has_done_before_it_failed_is_not_done_again(host: Host, kind: str) -> None:
    for requests in (*CREATIONS[host.target], UPLOADS[host.target]):
        host.simulator.fail(requests, kind)
    live = host.deploy()
    assert live.status is DeploymentStatus.LIVE, live.failure
    bodies = [str(call["body"]) for call in host.simulator.uploads()]
    assert len(bodies) == len(set(bodies))
    simulator = host.simulator
    match simulator:
        case NetlifySimulator():
            assert (len(simulator.made), len(simulator.deploys)) == (1, 1)
        case VercelSimulator():
            assert len(simulator.deployments) == 1
        case _:
            assert isinstance(simulator, GitHubPagesSimulator)
            assert len(simulator.commits) == 1


def test_an_error_of_the_host_is_told(host: Host) -> None:
    host.simulator.fate = "error"
    failed = host.deploy()
    assert failed.status is DeploymentStatus.FAILED
    assert "failed" in str(failed.failure)


def test_a_host_that_is_stuck_is_given_up(host: Host) -> None:
    host.simulator.fate = "stuck"
    failed = host.deploy()
    assert failed.status is DeploymentStatus.FAILED
    assert "30 minutes" in str(failed.failure)


def test_a_slow_host_is_waited_for(host: Host) -> None:
    host.simulator.slow_polls = 40
    assert host.deploy().status is DeploymentStatus.LIVE


def test_a_revoked_token_is_found_at_a_deployment_and_by_a_test(host: Host) -> None:
    token = host.simulator.api_key
    settings = {"owner": "acme", "repository": "site"}
    assert host.adapter.test(HostAccount(token, settings)) is None
    host.simulator.is_revoked = True
    assert "does not accept" in str(host.adapter.test(HostAccount(token, settings)))
    failed = host.deploy()
    assert (failed.status, failed.failure) == (DeploymentStatus.FAILED, REFUSED)
    states = {each.state for each in host.world.integrations.all.values()}
    assert IntegrationState.REFUSED in states
    assert token not in repr(host.world.published.events) + repr(failed)


def test_bytes_that_are_not_those_announced_are_never_shown(host: Host) -> None:
    files = host.world.files
    read: Callable[[str, str, str], bytes] = files.read
    files.read = lambda workspace, site, sha: read(workspace, site, sha) + b" "  # type: ignore[method-assign]
    failed = host.deploy()
    assert failed.status is DeploymentStatus.FAILED
    assert host.simulator.sites == {}


def test_redirects_and_a_domain_reach_the_host(host: Host) -> None:
    host.publish(page("/"), domain="www.oak.example")
    shown = host.shown(host.deploy())
    match host.target:
        case DeploymentTarget.NETLIFY:
            assert shown["/_redirects"] == b"/old /about/ 301!\n"
        case DeploymentTarget.VERCEL:
            assert b'"source": "/old"' in shown["/vercel.json"]
        case _:
            assert shown["/CNAME"] == b"www.oak.example\n"
            assert b'content="0; url=/about/"' in shown["/old/index.html"]
            assert shown["/.nojekyll"] == b""


def test_all_targets_show_the_same_bytes() -> None:
    pages = page("/", block(f'<h1>Home</h1><img src="asset:{IMAGE}" alt="x">')), page("/about"), page("/blog/a")
    shown: dict[DeploymentTarget, dict[str, bytes]] = {}
    for target, (kind, _) in HOSTS.items():
        with kind() as simulator:
            host = Host(target, simulator)
            host.publish(*pages, domain="www.oak.example")
            shown[target] = host.shown(host.deploy())
    own = World(published(*pages, settings=MOVED, domain="www.oak.example"))
    manifest = own.files.manifests[own.run(own.request()).id]
    shown[DeploymentTarget.CLOUDFRONT] = {file.path: own.files.bodies[file.sha256] for file in manifest.files}
    plain = [{path: body for path, body in each.items() if path not in OWN_FILES} for each in shown.values()]
    assert len(plain) == len(DeploymentTarget)
    assert all(each == plain[0] for each in plain)
    assert len(plain[0]) > 8


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "99999"}, 900), ({"retry-after": "0"}, 1), ({"retry-after": "soon"}, 10), ({}, 10)],
)
def test_a_wait_has_bounds(headers: dict[str, str], seconds: int) -> None:
    assert wait_seconds(HostAnswer(429, headers, {}), time.time()) == seconds
