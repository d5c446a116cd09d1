"""Check a site's own domain: what its DNS answers, whether that leads to a target, and which record to set.

Only the site's own domain is ever asked for and, to recognise an ALIAS, the name that the target says. Nothing has to
prove that a domain is the workspace's: a host shows a domain's site only after a proof of its own, and our edge only
those that its operator gives it (SitesAliases)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.deployments.deploy import find_integration
from atelier.deployments.model import DeploymentTarget, SiteDeployment
from atelier.deployments.ports import (
    Deployments,
    DnsAnswer,
    DnsOutcome,
    DnsRecord,
    DomainPlace,
    DomainRecords,
    Integrations,
    NameServers,
    PublishedSites,
    SiteTarget,
)
from atelier.errors import Conflict

NO_DOMAIN = "The site has no domain of its own. Set one in its settings."
NOT_DEPLOYED = "Deploy the site to {} first: the record names the address that it gets there."
# A second-level domain, such as example.org, when its zone does not answer.
APEX_LABELS = 2


class DomainState(StrEnum):
    """ready: it leads to the target. wrong: it leads elsewhere. missing: the name has no address. no_such_name: there
    is no such name. no_answer: nobody answers for it; try again."""

    READY = "ready"
    WRONG = "wrong"
    MISSING = "missing"
    NO_SUCH_NAME = "no_such_name"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class DomainCheck:
    """The result. is_apex: whether the domain is a zone of its own, where DNS allows no CNAME. options: the records to
    set; one of the options is enough, each of which is one or more records. found: what DNS answers now."""

    domain: str
    target: DeploymentTarget
    state: DomainState
    is_apex: bool
    options: tuple[tuple[DnsRecord, ...], ...]
    found: tuple[DnsRecord, ...]


@dataclass(frozen=True, slots=True)
class DomainDeps:
    """Dependencies of the check."""

    sites: PublishedSites
    store: Deployments
    integrations: Integrations
    targets: Mapping[DeploymentTarget, SiteTarget]
    servers: NameServers


def check_domain(workspace_id: str, site_id: str, target: DeploymentTarget, *, deps: DomainDeps) -> DomainCheck:
    """Ask DNS for a site's domain. Raises NotFound, and Conflict for a site without a domain, or one whose address at
    the target is not known yet."""
    site = deps.sites.get(workspace_id, site_id)
    if site.domain is None:
        raise Conflict(NO_DOMAIN)
    wanted = deps.targets[target].domain_records(_place(workspace_id, site_id, site.slug, target, deps))
    if wanted is None:
        raise Conflict(NOT_DEPLOYED.format(target.value), target=target.value)
    zone = deps.servers.ask(site.domain, "SOA")
    answers = [] if zone.outcome is DnsOutcome.NO_ANSWER else [deps.servers.ask(site.domain, kind) for kind in _KINDS]
    is_apex = _is_apex(site.domain, zone)
    found = tuple(dict.fromkeys(record for answer in answers for record in answer.records))
    state = _state(site.domain, wanted, [zone, *answers], found, deps.servers)
    return DomainCheck(site.domain, target, state, is_apex, _options(site.domain, wanted, is_apex=is_apex), found)


_KINDS = ("A", "AAAA")


def _place(workspace_id: str, site_id: str, slug: str, target: DeploymentTarget, deps: DomainDeps) -> DomainPlace:
    live = deps.store.live(workspace_id, site_id, target)
    deployment: SiteDeployment | None = deps.store.get(workspace_id, live.deployment_id) if live else None
    settings: Mapping[str, str] = {}
    if deployment is not None and deployment.integration_id is not None:
        integration = find_integration(workspace_id, deployment.integration_id, deps.integrations)
        settings = integration.settings if integration else {}
    return DomainPlace(slug, deployment.state if deployment else {}, settings, is_live=deployment is not None)


def _is_apex(domain: str, zone: DnsAnswer) -> bool:
    """Whether the domain begins a zone: then it has a SOA record itself."""
    if zone.outcome is DnsOutcome.FOUND:
        return any(record.type == "SOA" and record.name == domain for record in zone.records)
    return zone.outcome is not DnsOutcome.NOTHING and domain.count(".") + 1 == APEX_LABELS


def _state(
    domain: str,
    wanted: DomainRecords,
    answers: Sequence[DnsAnswer],
    found: Sequence[DnsRecord],
    servers: NameServers,
) -> DomainState:
    outcomes = {answer.outcome for answer in answers}
    if _leads_to(domain, wanted, found, servers):
        return DomainState.READY
    if found:
        return DomainState.WRONG
    if DnsOutcome.NO_ANSWER in outcomes:
        return DomainState.NO_ANSWER
    return DomainState.NO_SUCH_NAME if DnsOutcome.NO_SUCH_NAME in outcomes else DomainState.MISSING


def _leads_to(domain: str, wanted: DomainRecords, found: Sequence[DnsRecord], servers: NameServers) -> bool:
    """Whether a chain of CNAMEs comes by the target's name, or all addresses are the target's."""
    by_name = {record.name: record.value for record in found if record.type == "CNAME"}
    name, seen = domain, set[str]()
    while name in by_name and name not in seen:
        seen.add(name)
        name = by_name[name]
        if name == wanted.host:
            return True
    addresses = {record.value for record in found if record.type in _KINDS}
    if not addresses:
        return False
    fixed = {*wanted.addresses, *wanted.addresses6}
    if addresses <= fixed:
        return True
    # An ALIAS shows as addresses alone: those of the target's name.
    own = {record.value for kind in _KINDS for record in servers.ask(wanted.host, kind).records}
    # An edge without fixed addresses answers with some of many.
    return addresses <= fixed | own if fixed else bool(addresses & own)


def _options(domain: str, wanted: DomainRecords, *, is_apex: bool) -> tuple[tuple[DnsRecord, ...], ...]:
    if not is_apex:
        return ((DnsRecord("CNAME", domain, wanted.host),),)
    alias = (DnsRecord("ALIAS", domain, wanted.host),)
    if not wanted.addresses:
        return (alias,)
    fixed = [DnsRecord("A", domain, address) for address in wanted.addresses]
    fixed += [DnsRecord("AAAA", domain, address) for address in wanted.addresses6]
    return (alias, tuple(fixed))
