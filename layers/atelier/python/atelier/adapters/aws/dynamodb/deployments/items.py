"""The items of deployments in the sites table, and their values.

    pk wsp_…  sk deployment#dep_…                  one deployment
    pk wsp_…  sk deployment-queue#sit_…            which deployment of a site runs, and which ones wait
    pk wsp_…  sk deployment-live#sit_…#<target>    what a target shows of a site

A change of the queue starts the deployment that it names (stream); so does a change of a deployment publish its event.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, IncludeProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.deployments.model import (
    DeploymentStatus,
    DeploymentTarget,
    LiveDeployment,
    LogLine,
    SiteDeployment,
)

RUNNING = "deployment"
DEPLOYMENT, QUEUE, LIVE = "deployment#", "deployment-queue#", "deployment-live#"
# How many deployments before the live one still answer for their hashed files.
EARLIER_MAX = 5


class DeploymentItem(Item):
    """One deployment. revision: its version."""

    site_id = UnicodeAttribute()
    user_id = UnicodeAttribute()
    target = UnicodeAttribute()
    status = UnicodeAttribute()
    base_url = UnicodeAttribute()
    is_preview = BooleanAttribute(null=True)
    integration_id = UnicodeAttribute(null=True)
    rolls_back_to = UnicodeAttribute(null=True)
    revision = NumberAttribute()
    state = CompactJSON(null=True)
    files = NumberAttribute(null=True)
    uploaded = NumberAttribute(null=True)
    uploaded_bytes = NumberAttribute(null=True)
    url = UnicodeAttribute(null=True)
    failure = UnicodeAttribute(null=True)
    cancel_requested = BooleanAttribute(null=True)
    resumed = NumberAttribute(null=True)
    uploading_since = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    changed_at = UnicodeAttribute()
    ended_at = UnicodeAttribute(null=True)
    files_removed_at = UnicodeAttribute(null=True)
    log = CompactJSON(null=True)


class _RunningDeployments(GlobalSecondaryIndex["DeploymentQueueItem"]):
    class Meta:
        index_name = "running"
        projection = IncludeProjection(["active"])

    running = UnicodeAttribute(hash_key=True)
    active_since = UnicodeAttribute(range_key=True)


class DeploymentQueueItem(Item):
    """The deployments of a site that are open. waiting: ids in their order. running: there while active is."""

    active = UnicodeAttribute(null=True)
    running = UnicodeAttribute(null=True)
    active_since = UnicodeAttribute(null=True)
    waiting = CompactJSON(null=True)
    revision = NumberAttribute()

    by_start = _RunningDeployments()


class LiveDeploymentItem(Item):
    """What a target shows of a site."""

    deployment_id = UnicodeAttribute()
    earlier = CompactJSON(null=True)


ITEMS: tuple[type[Item], ...] = (DeploymentItem, DeploymentQueueItem, LiveDeploymentItem)


def deployment_item(deployment: SiteDeployment, now: datetime) -> DeploymentItem:
    """A deployment as it is stored. now: when it was changed."""
    return DeploymentItem(
        deployment.workspace_id,
        DEPLOYMENT + deployment.id,
        site_id=deployment.site_id,
        user_id=deployment.user_id,
        target=deployment.target.value,
        status=deployment.status.value,
        base_url=deployment.base_url,
        is_preview=deployment.is_preview or None,
        integration_id=deployment.integration_id,
        rolls_back_to=deployment.rolls_back_to,
        revision=deployment.version,
        state=dict(deployment.state) or None,
        files=deployment.files or None,
        uploaded=deployment.uploaded or None,
        uploaded_bytes=deployment.uploaded_bytes or None,
        url=deployment.url,
        failure=deployment.failure,
        cancel_requested=deployment.cancel_requested or None,
        resumed=deployment.resumed or None,
        uploading_since=_text(deployment.uploading_since),
        created_at=rfc3339(deployment.created_at),
        changed_at=rfc3339(now),
        ended_at=_text(deployment.ended_at),
        files_removed_at=_text(deployment.files_removed_at),
        log=[[rfc3339(line.at), line.text] for line in deployment.log] or None,
    )


def deployment_of(item: DeploymentItem) -> SiteDeployment:
    """The value of an item."""
    lines: list[list[str]] = item.log or []
    return SiteDeployment(
        item.sk.removeprefix(DEPLOYMENT),
        item.pk,
        item.site_id,
        item.user_id,
        DeploymentTarget(item.target),
        parse_rfc3339(item.created_at),
        item.base_url,
        is_preview=bool(item.is_preview),
        integration_id=item.integration_id,
        rolls_back_to=item.rolls_back_to,
        status=DeploymentStatus(item.status),
        version=int(item.revision),
        state=item.state or {},
        files=int(item.files or 0),
        uploaded=int(item.uploaded or 0),
        uploaded_bytes=int(item.uploaded_bytes or 0),
        url=item.url,
        failure=item.failure,
        cancel_requested=bool(item.cancel_requested),
        resumed=int(item.resumed or 0),
        uploading_since=_time(item.uploading_since),
        ended_at=_time(item.ended_at),
        files_removed_at=_time(item.files_removed_at),
        log=tuple(LogLine(parse_rfc3339(at), text) for at, text in lines),
    )


def live_of(item: LiveDeploymentItem) -> LiveDeployment:
    """The value of an item."""
    earlier: list[str] = item.earlier or []
    return LiveDeployment(item.deployment_id, tuple(earlier))


def _text(at: datetime | None) -> str | None:
    return rfc3339(at) if at else None


def _time(text: Any) -> datetime | None:
    return parse_rfc3339(text) if text else None
