"""The check of a site's own domain, against a name server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from atelier.adapters.name_servers import DnsResolvers
from atelier.adapters.sites.cloudfront import OwnEdge
from atelier.adapters.sites.github_pages import APEX_ADDRESSES, APEX_ADDRESSES6, GitHubPages
from atelier.adapters.sites.netlify import Netlify
from atelier.adapters.sites.vercel import DOMAIN_RECORDS, Vercel
from atelier.deployments.addresses import SiteHosts
from atelier.deployments.check_domain import DomainCheck, DomainDeps, DomainState, check_domain
from atelier.deployments.model import DeploymentTarget
from atelier.deployments.ports import DnsRecord, DomainPlace
from atelier.errors import Conflict, NotFound
from tests.dns_server import DnsServer
from tests.unit.deployments.sites import SITE, WORKSPACE, page, published
from tests.unit.deployments.world import World

WWW, APEX, EDGE = "www.oak.example", "oak.example", "oak.sites.example"
# What MemoryHost of the world wants.
HOST, ADDRESS = "oak.host.example", "192.0.2.1"
NETLIFY = DeploymentTarget.NETLIFY


class Checked:
    """A site with a domain, live at Netlify's place and on our own edge."""

    def __init__(self, server: DnsServer, domain: str | None) -> None:
        self.world, self.server = World(published(page("/"), domain=domain)), server
        self.targets = {**self.world.targets, DeploymentTarget.CLOUDFRONT: OwnEdge(SiteHosts(".sites.example"))}
        self.world.run(self.world.request(NETLIFY))

    def check(self, target: DeploymentTarget = NETLIFY, site_id: str = SITE) -> DomainCheck:
        world, servers = self.world, DnsResolvers([self.server.address], seconds_max=0.5)
        deps = DomainDeps(world.sites, world.store, world.integrations, self.targets, servers)
        return check_domain(WORKSPACE, site_id, target, deps=deps)


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        server.add_zone(APEX)
        server.add(EDGE, "A", "198.51.100.7", "198.51.100.8")
        yield server


@pytest.fixture
def www(server: DnsServer) -> Checked:
    return Checked(server, WWW)


@pytest.fixture
def apex(server: DnsServer) -> Checked:
    return Checked(server, APEX)


def test_a_name_without_a_record_is_told_which_to_set(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "TXT", '"of something else"')
    found = www.check()
    assert (found.state, found.is_apex, found.found) == (DomainState.MISSING, False, ())
    assert found.options == ((DnsRecord("CNAME", WWW, HOST),),)


def test_a_name_that_is_not_there_is_told_so(www: Checked) -> None:
    assert www.check().state is DomainState.NO_SUCH_NAME


def test_a_cname_to_the_target_is_ready_directly_and_by_a_chain(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "CNAME", "pages.oak.example")
    server.add("pages.oak.example", "CNAME", HOST.upper())
    server.add(HOST.upper(), "A", "203.0.113.9")
    found = www.check()
    assert found.state is DomainState.READY
    assert found.found[:2] == (
        DnsRecord("CNAME", WWW, "pages.oak.example"),
        DnsRecord("CNAME", "pages.oak.example", HOST),
    )


def test_a_cname_to_elsewhere_is_wrong_and_shown(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "CNAME", "old.example")
    server.add("old.example", "A", "203.0.113.1")
    found = www.check()
    assert found.state is DomainState.WRONG
    assert DnsRecord("CNAME", WWW, "old.example") in found.found


def test_a_cname_to_a_name_that_is_gone_is_wrong(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "CNAME", "gone.example")
    found = www.check()
    assert (found.state, found.found) == (DomainState.WRONG, (DnsRecord("CNAME", WWW, "gone.example"),))


def test_a_circle_of_cnames_ends(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "CNAME", "a.oak.example")
    server.add("a.oak.example", "CNAME", WWW)
    assert www.check().state in (DomainState.WRONG, DomainState.NO_ANSWER)


def test_an_apex_takes_an_alias_or_the_fixed_addresses(apex: Checked, server: DnsServer) -> None:
    found = apex.check()
    assert (found.state, found.is_apex) == (DomainState.MISSING, True)
    assert found.options == ((DnsRecord("ALIAS", APEX, HOST),), (DnsRecord("A", APEX, ADDRESS),))
    server.add(APEX, "A", ADDRESS)
    assert apex.check().state is DomainState.READY
    # A second address leads half of the visitors elsewhere.
    server.add(APEX, "A", "203.0.113.1")
    assert apex.check().state is DomainState.WRONG


def test_an_old_ipv6_address_is_wrong(apex: Checked, server: DnsServer) -> None:
    server.add(APEX, "A", ADDRESS)
    server.add(APEX, "AAAA", "2001:db8::1")
    found = apex.check()
    assert (found.state, DnsRecord("AAAA", APEX, "2001:db8::1") in found.found) == (DomainState.WRONG, True)


def test_an_alias_is_known_by_the_addresses_of_its_target(apex: Checked, server: DnsServer) -> None:
    server.add(HOST, "A", "198.51.100.20")
    server.add(APEX, "A", "198.51.100.20")
    assert apex.check().state is DomainState.READY
    edge = apex.check(DeploymentTarget.CLOUDFRONT)
    assert (edge.state, edge.options) == (DomainState.WRONG, ((DnsRecord("ALIAS", APEX, EDGE),),))
    server.records[APEX, "A"] = ["198.51.100.8"]
    assert apex.check(DeploymentTarget.CLOUDFRONT).state is DomainState.READY


@pytest.mark.parametrize("fault", ["silent", "broken", "failing"])
def test_a_server_that_gives_no_answer_is_not_taken_for_a_missing_name(
    www: Checked, server: DnsServer, fault: str
) -> None:
    getattr(server, fault).add(WWW)
    found = www.check()
    assert (found.state, found.found) == (DomainState.NO_ANSWER, ())
    assert found.options == ((DnsRecord("CNAME", WWW, HOST),),)


def test_only_the_sites_own_domain_is_asked_for(www: Checked, server: DnsServer) -> None:
    server.add(WWW, "CNAME", "metadata.internal")
    www.check()
    assert {name for name, _ in server.asked} == {WWW}


def test_a_site_without_a_domain_or_a_deployment_is_told_so(server: DnsServer, www: Checked) -> None:
    with pytest.raises(Conflict, match="no domain"):
        Checked(server, None).check()
    with pytest.raises(Conflict, match="Deploy the site to vercel first"):
        www.check(DeploymentTarget.VERCEL)
    with pytest.raises(NotFound):
        www.check(site_id="sit_01ARZ3NDEKTSV4RRFFQ69G5FAX")
    assert server.asked == []


def test_each_target_names_its_own_records() -> None:
    nothing = DomainPlace("oak", {}, {}, is_live=False)
    live = DomainPlace("oak", {"site_url": "https://atelier-1.netlify.app"}, {"owner": "Acme"}, is_live=True)
    assert Netlify("").domain_records(nothing) is None
    netlify, github = Netlify("").domain_records(live), GitHubPages("").domain_records(live)
    assert netlify
    assert github
    assert (netlify.host, len(netlify.addresses)) == ("atelier-1.netlify.app", 1)
    assert (github.host, github.addresses, github.addresses6) == ("acme.github.io", APEX_ADDRESSES, APEX_ADDRESSES6)
    assert GitHubPages("").domain_records(nothing) is None
    assert Vercel("").domain_records(nothing) == DOMAIN_RECORDS
    assert OwnEdge(SiteHosts("")).domain_records(live) is None
