"""Ports of deployments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.deployments.model import (
    DeploymentTarget,
    Integration,
    IntegrationState,
    LiveDeployment,
    SiteDeployment,
    SiteFile,
    SiteManifest,
)
from atelier.deployments.render.files import FileDigest, SiteAsset
from atelier.sites.model import PublishedSite, Site


class DeploymentExists(Exception):
    """A deployment with this id was created before."""


class DeploymentChanged(Exception):
    """The record was changed since it was read, or has ended."""


class TooManyWaiting(Exception):
    """As many deployments of the site wait as may."""


class TooManyIntegrations(Exception):
    """The workspace has as many integrations as a workspace may have."""


class IntegrationExists(Exception):
    """An integration with this id was created before."""


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """Deployments, the newest first. next_id: after which the next page begins, None at the end."""

    items: tuple[SiteDeployment, ...]
    next_id: str | None


class Deployments(Protocol):
    """The records of deployments. Those of a site run one after the other: the record of its queue names the one that
    runs, and is written in the transaction of each beginning and end."""

    def create(self, deployment: SiteDeployment, now: datetime, events: Sequence[AuditEvent]) -> None:
        """Store a new deployment, which runs at once when none of its site does, and else waits. Raises
        DeploymentExists, TooManyWaiting."""
        ...

    def get(self, workspace_id: str, deployment_id: str) -> SiteDeployment:
        """A deployment, by a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str, site_id: str | None, after_id: str | None, limit: int) -> DeploymentPage: ...

    def save(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        """Store a changed deployment that is still open. Raises DeploymentChanged."""
        ...

    def end(self, before: SiteDeployment, after: SiteDeployment, events: Sequence[AuditEvent] = ()) -> None:
        """Store a deployment's final state, let the next one of its site run and, when it is live and no preview, make
        it what its target shows; of a roll-back, the deployment that was shown is rolled back: all in one transaction.
        Raises DeploymentChanged."""
        ...

    def running_since(self, before: datetime) -> Iterator[tuple[str, str]]:
        """(workspace id, deployment id) of those that run, and began to before an instant; read from an index, so that
        they may have ended."""
        ...

    def live(self, workspace_id: str, site_id: str, target: DeploymentTarget) -> LiveDeployment | None:
        """What a target shows of a site."""
        ...


class ExecutionState(StrEnum):
    """none: it was never started."""

    NONE = "none"
    RUNNING = "running"
    ENDED = "ended"


class DeploymentJobs(Protocol):
    """The jobs of deployments. number: of the execution; 0 is a deployment's first one."""

    def start(self, workspace_id: str, deployment_id: str, number: int = 0) -> None:
        """Start an execution, once."""
        ...

    def state(self, deployment_id: str, number: int) -> ExecutionState:
        """How an execution is."""
        ...


class SiteFiles(Protocol):
    """The files of deployments, each stored once under the hash of its bytes, and what else a deployment needs."""

    def published(self, workspace_id: str, deployment_id: str) -> PublishedSite | None:
        """The published set that a deployment renders, as it was kept."""
        ...

    def keep_published(self, workspace_id: str, deployment_id: str, published: PublishedSite) -> PublishedSite:
        """Keep the published set, unless one is kept already; returns the kept one."""
        ...

    def stored(self, workspace_id: str, site_id: str) -> set[str]:
        """The SHA-256 of all stored files of a site."""
        ...

    def put(self, workspace_id: str, site_id: str, sha256: str, body: bytes, content_type: str) -> None:
        """Store a file."""
        ...

    def read(self, workspace_id: str, site_id: str, sha256: str) -> bytes:
        """A stored file. Raises NotFound."""
        ...

    def remove(self, workspace_id: str, site_id: str, hashes: Collection[str]) -> None:
        """Remove stored files of a site, and first the memory of the sizes of an image that are among them. Safe to
        repeat."""
        ...

    def remove_lists(self, workspace_id: str, deployment_id: str) -> None:
        """Remove a deployment's list of files and its published set. Safe to repeat."""
        ...

    def address(self, workspace_id: str, site_id: str, file: SiteFile) -> str:
        """A signed address of a stored file, for some minutes."""
        ...

    def put_manifest(self, workspace_id: str, manifest: SiteManifest) -> None:
        """Store the list of a deployment's files."""
        ...

    def manifest(self, workspace_id: str, deployment_id: str) -> SiteManifest:
        """Raises NotFound."""
        ...


# Stores the bytes of a variant of an asset, if they are not stored yet.
PutVariant = Callable[[FileDigest, bytes, str], None]


class AssetSource(Protocol):
    """The files of the library, and sizes of its images."""

    def prepare(self, workspace_id: str, site_id: str, asset_id: str, put: PutVariant) -> SiteAsset | None:
        """An asset with its variants, each handed to `put` unless they are known of the site; None when the library
        does not have it. The same asset has the same variants, however often they are made."""
        ...


@dataclass(frozen=True, slots=True)
class HostAccount:
    """How a host is reached for a workspace. credentials: in clear, for as long as a step takes."""

    credentials: str = field(repr=False)
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TargetJob:
    """What a target has to show. site_name, slug, domain: of the site. read: the bytes of one of its files. account:
    None for our own edge. earlier_state: of a roll-back, what the target had remembered of the deployment that it shows
    again."""

    deployment: SiteDeployment
    site_name: str
    slug: str
    domain: str | None
    manifest: SiteManifest
    read: Callable[[SiteFile], bytes]
    account: HostAccount | None = None
    earlier_state: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class TargetStep:
    """What a target has done. state: what it wants to remember. wait_seconds: None = go on at once. url: where the site
    is shown; with it the deployment is live. failure: why it cannot become live, for people. is_refused: because the
    credentials are not valid. uploaded, uploaded_bytes: files that were sent in this step."""

    state: Mapping[str, Any]
    lines: tuple[str, ...] = ()
    wait_seconds: int | None = None
    url: str | None = None
    failure: str | None = None
    is_refused: bool = False
    uploaded: int = 0
    uploaded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class DomainPlace:
    """Where a domain would lead to. slug: the site's. state: what the target has remembered of the live deployment;
    settings: of its account."""

    slug: str
    state: Mapping[str, Any]
    settings: Mapping[str, str]
    is_live: bool


@dataclass(frozen=True, slots=True)
class DomainRecords:
    """What a site's own domain has to lead to: a name, and the target's fixed addresses, if it has any (IPv4 and
    IPv6)."""

    host: str
    addresses: tuple[str, ...] = ()
    addresses6: tuple[str, ...] = ()


class AccountCheck(Protocol):
    """Tells whether an account works."""

    def test(self, account: HostAccount) -> str | None:
        """Make a call with an account; returns why it does not work, None = it does. Raises ProviderFailed when the
        host cannot be asked."""
        ...


class SiteTarget(AccountCheck, Protocol):
    """Brings the files of a deployment to a host, step by step. A step may be repeated: what the host has already is
    not sent again."""

    def step(self, job: TargetJob) -> TargetStep:
        """Do the next piece of work."""
        ...

    def cancel(self, job: TargetJob) -> None:
        """Stop what the host does for a deployment. Best effort; repeating it is safe."""
        ...

    def domain_records(self, place: DomainPlace) -> DomainRecords | None:
        """What a domain has to lead to; None when that is known only once the site is deployed."""
        ...


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """Credentials as they are stored: base64, and the id of the key that sealed them, in hex."""

    record: str = field(repr=False)
    kid: str


class CredentialSealer(Protocol):
    """Encrypts credentials, bound to workspace and integration."""

    def seal(self, credentials: str, workspace_id: str, integration_id: str) -> SealedCredentials: ...

    def open(self, integration: Integration) -> str:
        """Raises UnreadableKey for a record that was changed, or moved."""
        ...


class Integrations(Protocol):
    """The integrations of workspaces. Each change writes its audit events in its own transaction."""

    def create(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        """Raises IntegrationExists, TooManyIntegrations."""
        ...

    def get(self, workspace_id: str, integration_id: str) -> Integration:
        """By a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str) -> Sequence[Integration]:
        """All of a workspace, the oldest first."""
        ...

    def remove(self, integration: Integration, events: Sequence[AuditEvent]) -> None:
        """Remove an integration with its credentials. Raises NotFound."""
        ...

    def set_state(self, integration: Integration, state: IntegrationState, at: datetime) -> bool:
        """Write what a call has shown; whether the state is another one than before."""
        ...


class PublishedSites(Protocol):
    """Sites, as their own context knows them."""

    def get(self, workspace_id: str, site_id: str) -> Site:
        """A site. Raises NotFound."""
        ...

    def collect(self, workspace_id: str, site_id: str) -> PublishedSite:
        """Everything that a deployment shows. Raises NotFound."""
        ...

    def find(self, slug: str) -> tuple[str, str] | None:
        """The workspace and the site of a slug."""
        ...

    def find_domain(self, domain: str) -> tuple[str, str] | None:
        """The workspace and the site of a domain."""
        ...


class DnsOutcome(StrEnum):
    """found: there are records. nothing: the name exists, without such records. no_answer: nobody answers in time, or
    what comes is no answer."""

    FOUND = "found"
    NOTHING = "nothing"
    NO_SUCH_NAME = "no_such_name"
    NO_ANSWER = "no_answer"


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """A record. Names are in lower case, and without the dot at their end."""

    type: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """The answer to a question, with the chain of CNAMEs that leads to it."""

    outcome: DnsOutcome
    records: tuple[DnsRecord, ...] = ()


class NameServers(Protocol):
    """DNS."""

    def ask(self, name: str, kind: str) -> DnsAnswer:
        """The records of a name. kind: A, AAAA or SOA."""
        ...


def files_by_path(manifest: SiteManifest) -> Mapping[str, SiteFile]:
    """The files of a manifest by their paths."""
    return {file.path: file for file in manifest.files}


def unique_files(manifest: SiteManifest) -> Iterator[SiteFile]:
    """The files without those whose bytes another one has."""
    seen: set[str] = set()
    for file in manifest.files:
        if file.sha256 not in seen:
            seen.add(file.sha256)
            yield file
