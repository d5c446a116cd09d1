"""Deployments in memory, under a virtual clock: the ports as fakes, each call of which may be a process's last one.

The fakes keep what the real ones keep: a record changes only from the version that was read, the queue of a site is
changed with its deployments, and a stored file is there or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from atelier.audit_log.model import AuditEvent
from atelier.deployments.build import BuildDeps
from atelier.deployments.deploy import DeployDeps, deploy
from atelier.deployments.model import (
    DeploymentStatus,
    DeploymentTarget,
    Integration,
    IntegrationKind,
    IntegrationState,
    LiveDeployment,
    SiteDeployment,
    SiteFile,
    SiteManifest,
)
from atelier.deployments.ports import (
    DeploymentChanged,
    DeploymentPage,
    DomainPlace,
    DomainRecords,
    HostAccount,
    PutVariant,
    SealedCredentials,
    SiteTarget,
    TargetJob,
    TargetStep,
)
from atelier.deployments.render.files import SiteAsset, digest
from atelier.errors import NotFound
from atelier.events.event import Event
from atelier.ids import new_id
from atelier.sites.model import PublishedSite, Site
from tests.unit.deployments.sites import BEGIN, IMAGE, SITE, USER, WORKSPACE, image

WrappedT = TypeVar("WrappedT")
# As many earlier deployments of a target are remembered.
EARLIER_MAX = 5
INTEGRATION = "int_01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Died(Exception):
    """The process has died."""


class Faults:
    """Lets the process die before or after one of the calls of its ports. die_at: the number of the call, from 0;
    is_after: the call has happened, and its answer is lost."""

    def __init__(self, die_at: int | None = None, *, is_after: bool = False) -> None:
        self.die_at, self.is_after = die_at, is_after
        self.calls: list[str] = []

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        number = len(self.calls)
        self.calls.append(name)
        if number == self.die_at and not self.is_after:
            raise Died(name)
        result = work()
        if number == self.die_at:
            raise Died(name)
        return result

    def around(self, wrapped: WrappedT) -> WrappedT:
        """An object whose methods are counted calls."""
        faults = self

        class Counted:
            def __getattr__(self, name: str) -> Any:
                method = getattr(wrapped, name)

                def counted(*values: Any, **named: Any) -> Any:
                    return faults.call(name, lambda: method(*values, **named))

                return counted

        return Counted()  # pyright: ignore[reportReturnType]


class MemoryDeployments:
    """Deployments in memory."""

    def __init__(self) -> None:
        self.records: dict[str, SiteDeployment] = {}
        self.shown: dict[tuple[str, DeploymentTarget], LiveDeployment] = {}
        self.running: dict[str, str] = {}
        self.waiting: dict[str, list[str]] = {}

    def create(self, deployment: SiteDeployment, now: datetime, events: Sequence[AuditEvent]) -> None:
        self.records[deployment.id] = deployment
        if deployment.site_id in self.running:
            self.waiting.setdefault(deployment.site_id, []).append(deployment.id)
        else:
            self.running[deployment.site_id] = deployment.id

    def get(self, workspace_id: str, deployment_id: str) -> SiteDeployment:
        if deployment_id not in self.records:
            raise NotFound
        return self.records[deployment_id]

    def list(self, workspace_id: str, site_id: str | None, after_id: str | None, limit: int) -> DeploymentPage:
        return DeploymentPage(tuple(self.records.values()), None)

    def save(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        if self.records[before.id].version != before.version:
            raise DeploymentChanged
        self.records[after.id] = after

    def end(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        self.save(before, after)
        waiting = self.waiting.setdefault(after.site_id, [])
        if self.running.get(after.site_id) == after.id:
            del self.running[after.site_id]
            if waiting:
                self.running[after.site_id] = waiting.pop(0)
        elif after.id in waiting:
            waiting.remove(after.id)
        if after.status is DeploymentStatus.LIVE and not after.is_preview:
            place = after.site_id, after.target
            shown = self.shown.get(place)
            earlier = (shown.deployment_id, *shown.earlier) if shown else ()
            others = [id for id in earlier if id != after.built_by]
            self.shown[place] = LiveDeployment(after.built_by, tuple(others[:EARLIER_MAX]))
            if shown and after.rolls_back_to and shown.deployment_id != after.built_by:
                left = self.records[shown.deployment_id]
                self.records[left.id] = replace(left, status=DeploymentStatus.ROLLED_BACK, version=left.version + 1)

    def running_since(self, before: datetime) -> Iterator[tuple[str, str]]:
        for id in list(self.running.values()):
            if self.records[id].created_at < before:
                yield self.records[id].workspace_id, id

    def live(self, workspace_id: str, site_id: str, target: DeploymentTarget) -> LiveDeployment | None:
        return self.shown.get((site_id, target))


class MemoryFiles:
    """SiteFiles in memory. puts: how often each file was stored."""

    def __init__(self) -> None:
        self.kept: dict[str, PublishedSite] = {}
        self.bodies: dict[str, bytes] = {}
        self.manifests: dict[str, SiteManifest] = {}
        self.puts: Counter[str] = Counter()
        self.put_bytes = 0

    def published(self, workspace_id: str, deployment_id: str) -> PublishedSite | None:
        return self.kept.get(deployment_id)

    def keep_published(self, workspace_id: str, deployment_id: str, published: PublishedSite) -> PublishedSite:
        return self.kept.setdefault(deployment_id, published)

    def stored(self, workspace_id: str, site_id: str) -> set[str]:
        return set(self.bodies)

    def put(self, workspace_id: str, site_id: str, sha256: str, body: bytes, content_type: str) -> None:
        assert digest(body).sha256 == sha256
        self.bodies[sha256] = body
        self.puts[sha256] += 1
        self.put_bytes += len(body)

    def read(self, workspace_id: str, site_id: str, sha256: str) -> bytes:
        if sha256 not in self.bodies:
            raise NotFound
        return self.bodies[sha256]

    def remove(self, workspace_id: str, site_id: str, hashes: Collection[str]) -> None:
        for sha256 in hashes:
            self.bodies.pop(sha256, None)

    def remove_lists(self, workspace_id: str, deployment_id: str) -> None:
        self.manifests.pop(deployment_id, None)
        self.kept.pop(deployment_id, None)

    def address(self, workspace_id: str, site_id: str, file: SiteFile) -> str:
        return f"https://files.example/{file.sha256}"

    def put_manifest(self, workspace_id: str, manifest: SiteManifest) -> None:
        self.manifests[manifest.deployment_id] = manifest

    def manifest(self, workspace_id: str, deployment_id: str) -> SiteManifest:
        if deployment_id not in self.manifests:
            raise NotFound
        return self.manifests[deployment_id]


class MemorySites:
    """The sites that are published."""

    def __init__(self, published: PublishedSite | None) -> None:
        self.published = published

    def get(self, workspace_id: str, site_id: str) -> Site:
        return self.collect(workspace_id, site_id).site

    def collect(self, workspace_id: str, site_id: str) -> PublishedSite:
        if self.published is None or site_id != SITE:
            raise NotFound
        return self.published

    def find(self, slug: str) -> tuple[str, str] | None:
        return (WORKSPACE, SITE) if self.published and slug == self.published.site.slug else None

    def find_domain(self, domain: str) -> tuple[str, str] | None:
        return (WORKSPACE, SITE) if self.published and domain == self.published.site.domain else None


class MemoryAssets:
    """A library with one image."""

    def prepare(self, workspace_id: str, site_id: str, asset_id: str, put: PutVariant) -> SiteAsset | None:
        if asset_id != IMAGE:
            return None
        for width in (480, 960):
            body = b"image %d" % width
            put(digest(body), body, "image/webp")
        return image(480, 960)


class MemoryIntegrations:
    """One integration with each host."""

    def __init__(self) -> None:
        self.all = {
            INTEGRATION[:-1] + kind.value[0].upper(): Integration(
                INTEGRATION[:-1] + kind.value[0].upper(),
                WORKSPACE,
                kind,
                kind.value,
                {"owner": "acme", "repository": "site"} if kind is IntegrationKind.GITHUB else {},
                USER,
                BEGIN,
                "sealed",
                "00",
            )
            for kind in IntegrationKind
        }

    def create(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        self.all[integration.id] = integration

    def get(self, workspace_id: str, integration_id: str) -> Integration:
        if integration_id not in self.all:
            raise NotFound
        return self.all[integration_id]

    def list(self, workspace_id: str) -> Sequence[Integration]:
        return list(self.all.values())

    def remove(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        del self.all[integration.id]

    def set_state(self, integration: Integration, state: IntegrationState, at: datetime) -> bool:
        before = self.all[integration.id]
        self.all[integration.id] = replace(before, state=state, tested_at=at)
        return before.state is not state


class PlainSealer:
    """Credentials in clear."""

    def seal(self, credentials: str, workspace_id: str, integration_id: str) -> SealedCredentials:
        return SealedCredentials(credentials, "00")

    def open(self, integration: Integration) -> str:
        return integration.record


class Published:
    """The events that were published."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, event: Event) -> None:
        self.events.append(event)


class MemoryHost:
    """A target that takes files by their hash, one in a step, and then wants some seconds. sent: how often each file
    came; sites: what it shows, by deployment."""

    def __init__(self, processing_steps: int = 1) -> None:
        self.sent: Counter[str] = Counter()
        self.has: set[str] = set()
        self.sites: dict[str, dict[str, str]] = {}
        self.cancelled: list[str] = []
        self.processing_steps = processing_steps
        self.failure: str | None = None
        self.is_refusing = False

    def step(self, job: TargetJob) -> TargetStep:
        if self.is_refusing:
            return TargetStep(job.deployment.state, is_refused=True)
        if self.failure:
            return TargetStep(job.deployment.state, failure=self.failure)
        for file in job.manifest.files:
            if file.sha256 not in self.has:
                body = job.read(file)
                self.sent[file.sha256] += 1
                self.has.add(file.sha256)
                return TargetStep(job.deployment.state, uploaded=1, uploaded_bytes=len(body))
        waited = int(job.deployment.state.get("waited", 0))
        if waited < self.processing_steps:
            return TargetStep({"waited": waited + 1}, wait_seconds=5)
        self.sites[job.deployment.id] = {file.path: file.sha256 for file in job.manifest.files}
        return TargetStep(job.deployment.state, url=f"https://{job.slug}.host.example")

    def cancel(self, job: TargetJob) -> None:
        self.cancelled.append(job.deployment.id)

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        return DomainRecords(f"{place.slug}.host.example", ("192.0.2.1",)) if place.is_live else None

    def test(self, account: HostAccount) -> str | None:
        return None


class World:
    """All of it. targets: by default a host for each target."""

    def __init__(
        self, published: PublishedSite | None, targets: Mapping[DeploymentTarget, SiteTarget] | None = None
    ) -> None:
        self.store, self.files, self.sites = MemoryDeployments(), MemoryFiles(), MemorySites(published)
        self.integrations, self.host, self.published = MemoryIntegrations(), MemoryHost(), Published()
        self.targets = targets or dict.fromkeys(DeploymentTarget, self.host)
        self.now = BEGIN
        self.requested = 0

    def request(self, target: DeploymentTarget = DeploymentTarget.CLOUDFRONT, **changes: Any) -> SiteDeployment:
        """A new deployment."""
        self.requested += 1
        at = self.now + timedelta(milliseconds=self.requested)
        kinds = {DeploymentTarget.NETLIFY: "N", DeploymentTarget.VERCEL: "V", DeploymentTarget.GITHUB_PAGES: "G"}
        integration = INTEGRATION[:-1] + kinds[target] if target in kinds else None
        new = SiteDeployment(
            new_id("dep", at), WORKSPACE, SITE, USER, target, at, "https://oak.example", integration_id=integration
        )
        new = replace(new, **changes)
        self.store.create(new, at, ())
        return new

    def deps(self, faults: Faults | None = None) -> DeployDeps:
        """The dependencies of a process, which dies where the faults say."""
        wrap = (faults or Faults()).around
        return DeployDeps(
            wrap(self.store),
            BuildDeps(wrap(self.sites), wrap(self.files), wrap(MemoryAssets())),
            wrap(self.integrations),
            PlainSealer(),
            {target: wrap(each) for target, each in self.targets.items()},
            wrap(self.published),
            lambda: self.now,
        )

    def run(self, deployment: SiteDeployment, *, visits_max: int = 500) -> SiteDeployment:
        """Work on a deployment as the state machine does, until it has ended."""
        for _ in range(visits_max):
            wait_seconds = deploy(WORKSPACE, deployment.id, deps=self.deps(), context=None)
            if wait_seconds is None:
                return self.store.get(WORKSPACE, deployment.id)
            self.now += timedelta(seconds=wait_seconds)
        raise AssertionError(f"{deployment.id} has not ended: {self.store.get(WORKSPACE, deployment.id)}")
