"""Target: our own edge. Its files are in our store once they are built, so nothing is left to send: the deployment is
shown from the transaction on that makes it live."""

from __future__ import annotations

from atelier.deployments.addresses import SiteHosts
from atelier.deployments.ports import DomainPlace, DomainRecords, HostAccount, TargetJob, TargetStep

NO_DOMAIN = "This installation has no domain for sites. Choose another target."


class OwnEdge:
    """SiteTarget on our own edge."""

    def __init__(self, hosts: SiteHosts) -> None:
        self._hosts = hosts

    def step(self, job: TargetJob) -> TargetStep:
        if not self._hosts.is_served:
            return TargetStep({}, failure=NO_DOMAIN)
        return TargetStep({}, url=self._hosts.url_of(job.deployment, job.slug))

    def cancel(self, job: TargetJob) -> None:
        """Nothing has begun."""

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        return DomainRecords(self._hosts.name(place.slug)) if self._hosts.is_served else None

    def test(self, account: HostAccount) -> str | None:
        return None
