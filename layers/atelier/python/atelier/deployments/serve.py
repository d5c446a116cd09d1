"""Answer a request to a site on our own edge: which file of the live deployment it means.

The switch to another deployment is the change of one record, so that every request is answered by one deployment as a
whole. Files that are named by their content are also found in the deployments before, whose pages a browser may still
show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field

from atelier.dataclass import dataclass
from atelier.deployments.model import (
    DeploymentStatus,
    DeploymentTarget,
    SiteFile,
    SiteManifest,
    parse_label,
)
from atelier.deployments.ports import Deployments, PublishedSites, SiteFiles, files_by_path
from atelier.deployments.render.files import HASHED_FOLDER
from atelier.errors import NotFound

# What the gateway's answer can have, as base64; a larger file is fetched where it is stored.
BODY_BYTES_MAX = 4_000_000
# A switch is seen after this time at the latest: so long the edge may answer by itself.
EDGE_SECONDS = 10
IMMUTABLE = "public, max-age=31536000, immutable"
CHANGING = f"public, max-age=0, s-maxage={EDGE_SECONDS}, must-revalidate"
NO_SITE = b"<!doctype html><html lang=en><title>No such site</title><h1>There is no site at this address.</h1></html>"
SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True, slots=True)
class HostedAnswer:
    """The answer to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class HostingDeps:
    """Dependencies. manifests: lists of files by deployment, which never change: this process's memory of them."""

    sites: PublishedSites
    store: Deployments
    files: SiteFiles
    manifests: dict[str, SiteManifest]


@dataclass(frozen=True, slots=True)
class _Shown:
    """What an address shows: the deployment whose files are shown, those before it, and where they are."""

    workspace_id: str
    site_id: str
    deployment_id: str
    earlier: tuple[str, ...] = ()


def serve(label: str, path: str, known_tag: str, *, deps: HostingDeps) -> HostedAnswer:
    """The answer to a GET. label: the first part of the host's name. path: decoded, without a query. known_tag: the
    request's If-None-Match."""
    shown = _shown(label, deps)
    if shown is None:
        return HostedAnswer(404, {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"}, NO_SITE)
    manifest = _manifest(shown.workspace_id, shown.deployment_id, deps)
    moved = _redirect(manifest, path)
    if moved is not None:
        return moved
    files = files_by_path(manifest)
    file = files.get(_file_path(path)) or _of_earlier(shown, path, deps)
    if file is None and f"{path}/index.html" in files:
        return HostedAnswer(301, {"location": f"{path}/", "cache-control": CHANGING})
    if file is not None:
        return _answer(200, file, known_tag, shown, manifest, deps)
    missing = files.get("/404.html")
    if missing is None:
        return HostedAnswer(404, {"content-type": "text/plain; charset=utf-8", "cache-control": CHANGING}, b"Not found")
    return _answer(404, missing, "", shown, manifest, deps)


def _shown(label: str, deps: HostingDeps) -> _Shown | None:
    slug, preview_id = parse_label(label)
    # A whole name is a site's own domain.
    place = deps.sites.find_domain(label.lower()) if "." in label else deps.sites.find(slug)
    if place is None:
        return None
    workspace_id, site_id = place
    if preview_id is None:
        live = deps.store.live(workspace_id, site_id, DeploymentTarget.CLOUDFRONT)
        return _Shown(workspace_id, site_id, live.deployment_id, live.earlier) if live else None
    try:
        preview = deps.store.get(workspace_id, preview_id)
    except NotFound:
        return None
    is_shown = preview.is_preview and preview.target is DeploymentTarget.CLOUDFRONT
    is_shown = is_shown and preview.status is DeploymentStatus.LIVE and preview.site_id == site_id
    is_shown = is_shown and preview.files_removed_at is None
    return _Shown(workspace_id, site_id, preview.built_by) if is_shown else None


def _manifest(workspace_id: str, deployment_id: str, deps: HostingDeps) -> SiteManifest:
    if deployment_id not in deps.manifests:
        if len(deps.manifests) > 100:
            deps.manifests.clear()
        deps.manifests[deployment_id] = deps.files.manifest(workspace_id, deployment_id)
    return deps.manifests[deployment_id]


def _file_path(path: str) -> str:
    return f"{path}index.html" if path.endswith("/") else path


def _of_earlier(shown: _Shown, path: str, deps: HostingDeps) -> SiteFile | None:
    if not path.startswith(HASHED_FOLDER):
        return None
    return next(_found_in(shown, path, deps), None)


def _found_in(shown: _Shown, path: str, deps: HostingDeps) -> Iterator[SiteFile]:
    for deployment_id in shown.earlier:
        found = files_by_path(_manifest(shown.workspace_id, deployment_id, deps)).get(path)
        if found is not None:
            yield found


def _redirect(manifest: SiteManifest, path: str) -> HostedAnswer | None:
    for redirect in manifest.redirects:
        if path.rstrip("/") == redirect.path.rstrip("/"):
            status = 301 if redirect.permanent else 302
            return HostedAnswer(status, {"location": redirect.to, "cache-control": CHANGING})
    return None


def _answer(
    status: int, file: SiteFile, known_tag: str, shown: _Shown, manifest: SiteManifest, deps: HostingDeps
) -> HostedAnswer:
    tag = f'"{file.sha256[:32]}"'
    is_hashed = file.path.startswith(HASHED_FOLDER)
    headers = {"etag": tag, "cache-control": IMMUTABLE if is_hashed else CHANGING, **SECURITY_HEADERS}
    if manifest.is_preview:
        headers["x-robots-tag"] = "noindex"
    if tag in known_tag:
        return HostedAnswer(304, headers)
    if file.size > BODY_BYTES_MAX:
        address = deps.files.address(shown.workspace_id, shown.site_id, file)
        return HostedAnswer(302, {"location": address, "cache-control": "no-store"})
    headers |= {"content-type": file.content_type, "content-security-policy": _policy(scripts=manifest.scripts)}
    return HostedAnswer(status, headers, deps.files.read(shown.workspace_id, shown.site_id, file.sha256))


def _policy(*, scripts: bool) -> str:
    """What pages may load and do. Their content has been checked before; this holds if the check missed something."""
    source = "'self'" if scripts else "'none'"
    return (
        f"default-src 'self'; script-src {source}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' https: data:; media-src 'self' https:; font-src 'self' https: data:; frame-src https:; "
        "object-src 'none'; base-uri 'none'; form-action 'self' https:"
    )
