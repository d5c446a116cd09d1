"""Deployments, composed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.clock import Clock, system_clock
from atelier.settings import (
    AwsEndpoint,
    DeploySiteMachine,
    EventBus,
    MediaBucket,
    ProvidersTable,
    SitesBucket,
    SitesTable,
)
from atelier.site_settings import DnsServers, SiteHostUrls, SitesDomain
from atelier.wiring import audit_log, feeds
from atelier.wiring.idempotency import idempotency_keys

if TYPE_CHECKING:
    from atelier.adapters.aws.deployment_jobs import StepFunctionsDeploymentJobs
    from atelier.adapters.aws.dynamodb.deployments.integrations import DynamoIntegrations
    from atelier.adapters.aws.dynamodb.deployments.store import DynamoDeployments
    from atelier.adapters.aws.integration_credentials import VaultCredentialSealer
    from atelier.adapters.aws.site_files import S3SiteFiles
    from atelier.deployments.addresses import SiteHosts
    from atelier.deployments.check_domain import DomainDeps
    from atelier.deployments.deploy import DeployDeps
    from atelier.deployments.integrate import IntegrateDeps
    from atelier.deployments.model import DeploymentTarget, SiteDeployment
    from atelier.deployments.ports import PublishedSites, SiteTarget
    from atelier.deployments.request import RequestDeps
    from atelier.deployments.serve import HostingDeps
    from atelier.deployments.sweep import SweepDeps
    from atelier.feeds.publish import BusAndFeeds


@cache
def store() -> DynamoDeployments:
    """The records of deployments."""
    from atelier.adapters.aws.dynamodb.deployments.store import DynamoDeployments

    audit_log.bind_events()
    return DynamoDeployments(SitesTable.read().name)


@cache
def files() -> S3SiteFiles:
    """The files of sites."""
    from atelier.adapters.aws.site_files import S3SiteFiles

    place = AwsEndpoint.read()
    return S3SiteFiles(SitesBucket.read().name, region=place.region, endpoint_url=place.endpoint_url)


@cache
def hosts() -> SiteHosts:
    """Where our own edge shows sites."""
    from atelier.deployments.addresses import SiteHosts

    return SiteHosts(SitesDomain.read().suffix, SitesDomain.read().scheme)


@cache
def sites() -> PublishedSites:
    """The sites, as deployments need them."""
    from atelier.adapters.sites.site_context import SiteContext
    from atelier.wiring import sites

    return SiteContext(sites.site_deps())


def request_deps() -> RequestDeps:
    """The dependencies of requests about deployments."""
    from atelier.deployments.request import RequestDeps

    return RequestDeps(store(), sites(), integrations(), idempotency_keys(), hosts())


@cache
def integrations() -> DynamoIntegrations:
    """The integrations of workspaces."""
    from atelier.adapters.aws.dynamodb.deployments.integrations import DynamoIntegrations

    audit_log.bind_events()
    return DynamoIntegrations(ProvidersTable.read().name)


@cache
def sealer() -> VaultCredentialSealer:
    """What encrypts the credentials of integrations."""
    from atelier.adapters.aws.integration_credentials import VaultCredentialSealer
    from atelier.wiring import provider_keys

    return VaultCredentialSealer(provider_keys.vault())


@cache
def targets() -> dict[DeploymentTarget, SiteTarget]:
    """What brings a site to each target."""
    from atelier.adapters.sites.cloudfront import OwnEdge
    from atelier.adapters.sites.github_pages import GitHubPages
    from atelier.adapters.sites.netlify import Netlify
    from atelier.adapters.sites.vercel import Vercel
    from atelier.deployments.model import DeploymentTarget

    urls = SiteHostUrls.read()
    return {
        DeploymentTarget.CLOUDFRONT: OwnEdge(hosts()),
        DeploymentTarget.NETLIFY: Netlify(urls.netlify),
        DeploymentTarget.VERCEL: Vercel(urls.vercel),
        DeploymentTarget.GITHUB_PAGES: GitHubPages(urls.github),
    }


def integrate_deps() -> IntegrateDeps:
    """The dependencies of requests about integrations."""
    from atelier.adapters.content.sanity import Sanity
    from atelier.deployments.integrate import IntegrateDeps
    from atelier.deployments.model import KIND_OF_TARGET, IntegrationKind

    callers = {kind: targets()[target] for target, kind in KIND_OF_TARGET.items()}
    others = {IntegrationKind.SANITY: Sanity(SiteHostUrls.read().sanity)}
    return IntegrateDeps(integrations(), sealer(), {**callers, **others}, idempotency_keys())


@cache
def domain_deps() -> DomainDeps:
    """The dependencies of the check of domains."""
    from atelier.adapters.name_servers import DnsResolvers
    from atelier.deployments.check_domain import DomainDeps

    return DomainDeps(sites(), store(), integrations(), targets(), DnsResolvers(DnsServers.read().addresses))


@cache
def jobs() -> StepFunctionsDeploymentJobs:
    """The jobs of deployments."""
    from atelier.adapters.aws.deployment_jobs import StepFunctionsDeploymentJobs

    return StepFunctionsDeploymentJobs(DeploySiteMachine.read().arn)


def sweep_deps() -> SweepDeps:
    """The dependencies of the sweep for deployments that have stopped."""
    from atelier.deployments.sweep import SweepDeps

    return SweepDeps(store(), jobs())


def active_deployments(records: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """The deployments that a batch of the table's stream lets run."""
    from atelier.adapters.aws.dynamodb.deployments.store import active_deployments

    return active_deployments(records)


def changed_deployments(records: Sequence[dict[str, Any]]) -> list[tuple[SiteDeployment, datetime]]:
    """The deployments whose status a batch of the table's stream changes."""
    from atelier.adapters.aws.dynamodb.deployments.store import changed_deployments

    return changed_deployments(records)


def events(clock: Clock) -> BusAndFeeds:
    """Where changes of deployments are told."""
    from atelier.adapters.aws.events import EventBridgeBus
    from atelier.feeds.publish import BusAndFeeds

    return BusAndFeeds(EventBridgeBus(EventBus.read().name), feeds.feeds(), clock)


def deploy_deps(clock: Clock = system_clock) -> DeployDeps:
    """The dependencies of the job."""
    from atelier.adapters.aws.s3 import MediaStore
    from atelier.adapters.sites.assets import LibrarySource
    from atelier.deployments.build import BuildDeps
    from atelier.deployments.deploy import DeployDeps
    from atelier.wiring import library

    assets = LibrarySource(library.assets(), MediaStore(MediaBucket.read().bucket), files())
    build = BuildDeps(sites(), files(), assets)
    return DeployDeps(store(), build, integrations(), sealer(), targets(), events(clock), clock)


@cache
def serve_deps() -> HostingDeps:
    """The dependencies of our own edge."""
    from atelier.deployments.serve import HostingDeps

    return HostingDeps(sites(), store(), files(), {})
