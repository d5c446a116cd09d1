"""HTTP schemas of the check of a site's domain."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from atelier.deployments.check_domain import DomainCheck, DomainState
from atelier.deployments.model import DeploymentTarget
from atelier.deployments.ports import DnsRecord
from atelier.lazy_model import LazyModel


class DomainCheckRequest(LazyModel):
    """Where the domain has to lead to."""

    model_config = ConfigDict(extra="forbid")

    target: DeploymentTarget = DeploymentTarget.CLOUDFRONT


class DnsRecordView(LazyModel):
    """A record of DNS. `type`: A, AAAA, CNAME, or ALIAS, which some providers call ANAME or a flattened CNAME."""

    type: str
    name: str
    value: str


class DomainCheckView(LazyModel):
    """What DNS answers for a site's domain. `state`: ready, wrong (it leads elsewhere), missing (the name has no
    address), no_such_name, no_answer (try again). `is_apex`: the domain begins a zone, where DNS allows no CNAME.
    `options`: what to set; one of them is enough, with all of its records and no others of the name. `found`: what is
    answered now."""

    domain: str
    target: DeploymentTarget
    state: DomainState
    is_apex: bool
    options: list[list[DnsRecordView]] = Field(description="One of them is enough.")
    found: list[DnsRecordView]


def domain_check_view(check: DomainCheck) -> DomainCheckView:
    """A check for callers."""
    return DomainCheckView(
        domain=check.domain,
        target=check.target,
        state=check.state,
        is_apex=check.is_apex,
        options=[[_record(each) for each in option] for option in check.options],
        found=[_record(each) for each in check.found],
    )


def _record(record: DnsRecord) -> DnsRecordView:
    return DnsRecordView(type=record.type, name=record.name, value=record.value)
