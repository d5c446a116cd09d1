"""A deployment as a value: one immutable set of files of a site, brought to a target. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.dataclass import dataclass
from atelier.sites.model import Redirect

# Deployments of a site that wait for the one that runs.
WAITING_MAX = 10
# A deployment that is still open after this time has lost its execution: the next one takes its place.
OPEN_TIME_MAX = timedelta(hours=6)
# How long a target may take to process what it has been given.
PROCESSING_TIME_MAX = timedelta(minutes=30)
LOG_LINES_MAX = 200
LINE_CHARACTERS_MAX = 500


class DeploymentTarget(StrEnum):
    """Where a site is deployed to. `cloudfront` is our own edge, and needs no account elsewhere."""

    CLOUDFRONT = "cloudfront"
    NETLIFY = "netlify"
    VERCEL = "vercel"
    GITHUB_PAGES = "github_pages"


class DeploymentStatus(StrEnum):
    """queued → building → uploading → live, failed or cancelled; rolled_back: it was live, and an earlier one is
    again."""

    QUEUED = "queued"
    BUILDING = "building"
    UPLOADING = "uploading"
    LIVE = "live"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ROLLED_BACK = "rolled_back"


OPEN_STATUSES = frozenset({DeploymentStatus.QUEUED, DeploymentStatus.BUILDING, DeploymentStatus.UPLOADING})


@dataclass(frozen=True, slots=True)
class LogLine:
    """What happened, for the people of the workspace."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class SiteDeployment:
    """One deployment.

    integration_id: whose credentials the target gets; None for our own edge. base_url: the public address that its
    pages name. rolls_back_to: the earlier deployment whose files this one shows again; it renders nothing. state: what
    the target wants to remember between its steps. version: counts the changes of the record. failure: why it failed,
    for people. cancel_requested: its next step ends it. resumed: how many executions had stopped before this one.
    files_removed_at: since when it cannot be shown again, because its files are not kept."""

    id: str
    workspace_id: str
    site_id: str
    user_id: str
    target: DeploymentTarget
    created_at: datetime
    base_url: str
    is_preview: bool = False
    integration_id: str | None = None
    rolls_back_to: str | None = None
    status: DeploymentStatus = DeploymentStatus.QUEUED
    version: int = 1
    state: Mapping[str, Any] = field(default_factory=dict[str, Any])
    files: int = 0
    uploaded: int = 0
    uploaded_bytes: int = 0
    url: str | None = None
    failure: str | None = None
    cancel_requested: bool = False
    resumed: int = 0
    uploading_since: datetime | None = None
    ended_at: datetime | None = None
    files_removed_at: datetime | None = None
    log: tuple[LogLine, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether its job still has to end it."""
        return self.status in OPEN_STATUSES

    @property
    def built_by(self) -> str:
        """The deployment whose files it shows."""
        return self.rolls_back_to or self.id

    def changed(self, at: datetime, *lines: str, **changes: Any) -> SiteDeployment:
        """A copy in its next version, with more lines in its log. Of a log that is too long the first half is kept, and
        the newest lines."""
        log = (*self.log, *(LogLine(at, line[:LINE_CHARACTERS_MAX]) for line in lines))
        if len(log) > LOG_LINES_MAX:
            log = (*log[: LOG_LINES_MAX // 2], *log[-(LOG_LINES_MAX // 2) :])
        return replace(self, version=self.version + 1, log=log, **changes)

    def ended(self, status: DeploymentStatus, at: datetime, line: str, **changes: Any) -> SiteDeployment:
        """A copy in its final state."""
        return self.changed(at, line, status=status, ended_at=at, **changes)


@dataclass(frozen=True, slots=True)
class SiteFile:
    """A file of a deployment. path: begins with `/`. sha256: its name in our own store; sha1, git: as hosts name
    it."""

    path: str
    content_type: str
    size: int
    sha256: str
    sha1: str
    git: str


@dataclass(frozen=True, slots=True)
class SiteManifest:
    """The files of a deployment, sorted by path, and what moved. Never changed. scripts: whether pages may run
    scripts."""

    deployment_id: str
    site_id: str
    files: tuple[SiteFile, ...]
    redirects: tuple[Redirect, ...] = ()
    is_preview: bool = False
    scripts: bool = False

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True, slots=True)
class LiveDeployment:
    """What a target shows of a site. earlier: what it showed before, the last one first."""

    deployment_id: str
    earlier: tuple[str, ...] = ()


class IntegrationKind(StrEnum):
    """Where a workspace has an account of its own."""

    NETLIFY = "netlify"
    VERCEL = "vercel"
    GITHUB = "github"
    # An editorial system, whose articles are mirrored; nothing is deployed there.
    SANITY = "sanity"


KIND_OF_TARGET: Mapping[DeploymentTarget, IntegrationKind] = {
    DeploymentTarget.NETLIFY: IntegrationKind.NETLIFY,
    DeploymentTarget.VERCEL: IntegrationKind.VERCEL,
    DeploymentTarget.GITHUB_PAGES: IntegrationKind.GITHUB,
}


class IntegrationState(StrEnum):
    """untested: no call has been made with it. refused: the last call was answered that its credentials are not valid
    (any more)."""

    UNTESTED = "untested"
    WORKING = "working"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Integration:
    """A workspace's account at a host. record: its credentials, sealed, as base64; kid: the key that sealed them, in
    hex. settings: by name, as INTEGRATION_SETTINGS allows."""

    id: str
    workspace_id: str
    kind: IntegrationKind
    name: str
    settings: Mapping[str, str]
    user_id: str
    created_at: datetime
    record: str = field(repr=False)
    kid: str
    state: IntegrationState = IntegrationState.UNTESTED
    tested_at: datetime | None = None


INTEGRATIONS_MAX = 20
# What may be set, and what has to be, by kind.
INTEGRATION_SETTINGS: Mapping[IntegrationKind, tuple[Sequence[str], Sequence[str]]] = {
    IntegrationKind.NETLIFY: (("team", "site_id"), ()),
    IntegrationKind.VERCEL: (("team_id",), ()),
    IntegrationKind.GITHUB: (("owner", "repository", "branch"), ("owner", "repository")),
    IntegrationKind.SANITY: (("project_id", "dataset", "document_type"), ("project_id", "dataset")),
}


def preview_label(slug: str, deployment_id: str) -> str:
    """The name, before the domain, under which a preview deployment is shown."""
    return f"{slug}--{deployment_id.partition('_')[2].lower()}"


def parse_label(label: str) -> tuple[str, str | None]:
    """The slug of a name, and the deployment that it previews."""
    slug, mark, preview = label.lower().rpartition("--")
    return (slug, f"dep_{preview.upper()}") if mark and len(preview) == 26 else (label.lower(), None)
