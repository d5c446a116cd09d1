"""Collect and render: from what is published to a list of stored files.

The published set is kept before it is rendered, and rendering makes the same bytes of it each time; so a build that
dies and begins again stores what is still missing, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable

from atelier.dataclass import dataclass
from atelier.deployments.model import SiteDeployment, SiteFile, SiteManifest
from atelier.deployments.ports import AssetSource, PublishedSites, SiteFiles
from atelier.deployments.render.files import FileDigest, RenderedFile, SiteAsset, digest
from atelier.deployments.render.site import assets_of, render_site

# What a deployment may have; the hosts' own limits are higher or told by their targets.
FILES_MAX = 20_000
FILE_BYTES_MAX = 100 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BuildDeps:
    """Dependencies of building."""

    sites: PublishedSites
    files: SiteFiles
    assets: AssetSource


@dataclass(frozen=True, slots=True)
class Built:
    """What a build has made. stored: how many files the store lacked, and was given in this run."""

    manifest: SiteManifest
    pages: int
    stored: int
    stored_bytes: int
    warnings: tuple[str, ...]


class _Store:
    """Puts files that are not stored yet, and counts them."""

    def __init__(self, deployment: SiteDeployment, files: SiteFiles) -> None:
        self._place = deployment.workspace_id, deployment.site_id
        self._files = files
        self._stored = files.stored(*self._place)
        self.count, self.bytes = 0, 0

    def put(self, found: FileDigest, body: bytes, content_type: str) -> None:
        if found.sha256 not in self._stored:
            self._files.put(*self._place, found.sha256, body, content_type)
            self._stored.add(found.sha256)
            self.count, self.bytes = self.count + 1, self.bytes + found.size


def build(deployment: SiteDeployment, *, deps: BuildDeps, has_time: Callable[[], bool]) -> Built | None:
    """Store the files of a deployment, and their list; None when the time is up, after which another run goes on.
    Raises NotFound when the site is gone."""
    workspace_id, files = deployment.workspace_id, deps.files
    published = files.published(workspace_id, deployment.id)
    if published is None:
        collected = deps.sites.collect(workspace_id, deployment.site_id)
        published = files.keep_published(workspace_id, deployment.id, collected)
    store = _Store(deployment, files)
    wanted = assets_of(published)
    assets: dict[str, SiteAsset] = {}
    for asset_id in wanted:
        if not has_time():
            return None
        asset = deps.assets.prepare(workspace_id, deployment.site_id, asset_id, store.put)
        if asset is not None:
            assets[asset_id] = asset
    entries: list[SiteFile] = []
    for file in render_site(published, assets, deployment.base_url, preview=deployment.is_preview):
        if not has_time():
            return None
        entries.append(_entry(file, store))
    entries.sort(key=lambda entry: entry.path)
    settings = published.site.settings
    manifest = SiteManifest(
        deployment.id,
        deployment.site_id,
        tuple(entries),
        settings.redirects,
        is_preview=deployment.is_preview,
        scripts=settings.scripts,
    )
    files.put_manifest(workspace_id, manifest)
    warnings = [f"The library does not have {id}, which pages show." for id in wanted if id not in assets]
    if published.pages and all(page.content.path != "/" for page in published.pages):
        warnings.insert(0, "No published page has the path /, so the site's address itself shows no page.")
    return Built(manifest, len(published.pages), store.count, store.bytes, tuple(warnings[:20]))


def _entry(file: RenderedFile, store: _Store) -> SiteFile:
    if file.body is None:
        assert file.stored is not None, "a file without bytes is stored"
        found = file.stored
    else:
        found = digest(file.body)
        store.put(found, file.body, file.content_type)
    return SiteFile(file.path, file.content_type, found.size, found.sha256, found.sha1, found.git)
