"""One local stack for all tests of this folder: embedded AWS, deployed template, edge, and a Replicate simulator."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from infra.local.stack_process import RunningStack
from infra.simulators.editorial.sanity import SanitySimulator
from infra.simulators.replicate import API_TOKEN, WEBHOOK_SECRET, ReplicateSimulator
from infra.simulators.site_hosts.github_pages import GitHubPagesSimulator
from infra.simulators.site_hosts.host import HostSimulator
from infra.simulators.site_hosts.netlify import NetlifySimulator
from infra.simulators.site_hosts.vercel import VercelSimulator
from tests.dns_server import DnsServer
from tests.lanes import need_browser
from tests.local.client import poll_until

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FOLDER = Path(__file__).parent
# The tests are many callers at one address, so the limits must be high; and they cannot wait minutes for a poll.
PARAMETERS = {
    "RequestsPerMinute": "100000",
    "SignInsPerAddress": "100000",
    "AttemptPollSeconds": "1",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """base_url: of the edge. simulator_url: of Replicate's simulator. running: the process, with access to its AWS.
    site_hosts: simulators of the hosts that sites are deployed to, and of an editorial system, by the kind of their
    integrations. dns: the resolver
    that domains of sites are asked for at."""

    base_url: str
    simulator_url: str
    running: RunningStack
    site_hosts: Mapping[str, HostSimulator]
    dns: DnsServer


SITE_HOSTS: dict[str, type[HostSimulator]] = {
    "netlify": NetlifySimulator,
    "vercel": VercelSimulator,
    "github": GitHubPagesSimulator,
    "sanity": SanitySimulator,
}
BROWSER_SECONDS_MAX = 30.0
# How long a function may cache a provider's health, and a little more.
REMEMBERED_SECONDS = 6
STACK = pytest.StashKey[RunningStack]()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Ends the stack after the last test of this folder and the fixtures of that test: tests/conftest.py puts them
    together. An idle stack takes a tenth of a processor from all tests that follow."""
    running = item.config.stash.get(STACK, None)
    if running and nextitem and FOLDER not in nextitem.path.parents:
        running.stop()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The stack as `make run` starts it, on free ports and a fresh data folder."""
    folder = tmp_path_factory.mktemp("stack")
    secrets = folder / "providers.json"
    secrets.write_text(json.dumps({"replicate": {"api_token": API_TOKEN, "webhook_secret": WEBHOOK_SECRET}}))
    with ExitStack() as all_of_it:
        simulator = all_of_it.enter_context(ReplicateSimulator(0))
        hosts = {kind: all_of_it.enter_context(host()) for kind, host in SITE_HOSTS.items()}
        for host in hosts.values():
            # A host that is ready at once: to wait for one is shown under a virtual clock.
            host.slow_polls = 0
        dns = all_of_it.enter_context(DnsServer())
        urls = {
            "DnsServers": dns.address,
            "SiteHostUrls": ",".join(f"{kind}={host.base_url}" for kind, host in hosts.items()),
        }
        arguments = ["--provider-url", f"replicate={simulator.url}", "--provider-secrets-file", str(secrets)]
        running = RunningStack(folder / "data", parameters=PARAMETERS | urls, arguments=arguments)
        all_of_it.enter_context(running)
        request.config.stash[STACK] = running
        yield Stack(running.base_url, simulator.url, running, hosts, dns)


# For a module and no longer: while Playwright runs, its event loop is the running one of the thread, and tests of other
# modules in the same process could not run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser."""
    from playwright.sync_api import expect, sync_playwright

    path = need_browser()
    expect.set_options(timeout=BROWSER_SECONDS_MAX * 1000)
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root. It is not needed, because only our own pages are shown.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def healthy_provider(stack: Stack) -> None:
    """Delete the recorded failures of the provider and of its models, so that an earlier test does not keep the router
    from them."""
    table = stack.running.table("providers")
    dynamodb = stack.running.aws().client("dynamodb")
    found = dynamodb.query(
        TableName=table,
        KeyConditionExpression="pk = :pk AND begins_with(sk, :provider)",
        ExpressionAttributeValues={":pk": {"S": "health"}, ":provider": {"S": "replicate"}},
    )["Items"]
    signs_of_failure = ("failures_in_a_row", "cooldown_until")
    failed = [item for item in found if any(sign in item["seen"]["S"] for sign in signs_of_failure)]
    for item in failed:
        dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
    if not failed:
        return
    forgotten_at = time.monotonic() + REMEMBERED_SECONDS
    poll_until(time.monotonic, lambda now: now > forgotten_at)
