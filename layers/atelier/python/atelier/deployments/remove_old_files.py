"""Remove the files of deployments that nobody shows again: older than 30 days, and than the last 20 that were live.

The running deployment of a site does it before it builds. Those of a site run one after the other, so nobody else
builds of these files meanwhile. What goes is first marked as gone, so that no roll-back asks for it; then files go that
no kept deployment has, and at last the lists that name them: a run that dies is repeated by the next deployment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.deployments.model import DeploymentStatus, DeploymentTarget, SiteDeployment
from atelier.deployments.ports import Deployments, SiteFiles
from atelier.errors import NotFound
from atelier.telemetry import logger

KEPT_FOR = timedelta(days=30)
# Of each target, those that were live.
KEPT_LAST = 20
# How many deployments lose their files in one run, the oldest first.
REMOVED_TOGETHER = 20
PAGE = 100
WAS_LIVE = (DeploymentStatus.LIVE, DeploymentStatus.ROLLED_BACK)


def remove_old_files(
    running: SiteDeployment, *, store: Deployments, files: SiteFiles, has_time: Callable[[], bool], now: datetime
) -> int:
    """Remove what no deployment of the site can show again; returns how many files. Nothing goes when the time is up
    before everything that is kept has been read. Raises DeploymentChanged."""
    found = _deployments(running, store)
    if all(_is_recent(each, now) for each in found):
        return 0
    kept = _kept(running, found, store, now)
    old = [each for each in found if _has_files(each) and each.id not in kept][-REMOVED_TOGETHER:]
    removable = {sha256 for each in old for sha256 in _hashes(running.workspace_id, each.id, files)}
    for deployment_id in kept if old else ():
        if not has_time():
            return 0
        removable -= _hashes(running.workspace_id, deployment_id, files)
    marked = [_mark(each, store, now) for each in old]
    if removable:
        files.remove(running.workspace_id, running.site_id, removable)
    for each in marked:
        files.remove_lists(each.workspace_id, each.id)
        store.save(each, replace(each, version=each.version + 1, files=0))
    logger.info("old files of a site removed", site_id=running.site_id, deployments=len(old), files=len(removable))
    return len(removable)


def _deployments(running: SiteDeployment, store: Deployments) -> Sequence[SiteDeployment]:
    """All of the site, the newest first."""
    found, after = list[SiteDeployment](), None
    while True:
        page = store.list(running.workspace_id, running.site_id, after, PAGE)
        found += page.items
        after = page.next_id
        if after is None:
            return sorted(found, key=lambda each: each.id, reverse=True)


def _kept(running: SiteDeployment, found: Sequence[SiteDeployment], store: Deployments, now: datetime) -> set[str]:
    """The ids of the deployments whose files stay."""
    kept, places = {running.built_by}, Counter[DeploymentTarget]()
    for each in found:
        was_live = each.status in WAS_LIVE and not each.is_preview
        places[each.target] += was_live
        if each.is_open or _is_recent(each, now) or (was_live and places[each.target] <= KEPT_LAST):
            kept.add(each.built_by)
    for target in DeploymentTarget:
        live = store.live(running.workspace_id, running.site_id, target)
        kept |= {live.deployment_id, *live.earlier} if live else set()
    return kept


def _is_recent(deployment: SiteDeployment, now: datetime) -> bool:
    return (deployment.ended_at or deployment.created_at) > now - KEPT_FOR


def _has_files(deployment: SiteDeployment) -> bool:
    """Whether it has, or may have, files of its own."""
    is_done = deployment.files_removed_at is not None and deployment.files == 0
    return deployment.rolls_back_to is None and not deployment.is_open and not is_done


def _hashes(workspace_id: str, deployment_id: str, files: SiteFiles) -> set[str]:
    try:
        return {file.sha256 for file in files.manifest(workspace_id, deployment_id).files}
    except NotFound:
        # It has not come so far, or its list is gone already.
        return set()


def _mark(deployment: SiteDeployment, store: Deployments, now: datetime) -> SiteDeployment:
    if deployment.files_removed_at is not None:
        return deployment
    marked = replace(deployment, version=deployment.version + 1, files_removed_at=now)
    store.save(deployment, marked)
    return marked
