"""Request a deployment, a roll-back to an earlier one, or its cancellation. The table's stream starts its job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.deployments.addresses import SiteHosts
from atelier.deployments.deploy import find_integration
from atelier.deployments.model import (
    KIND_OF_TARGET,
    WAITING_MAX,
    DeploymentStatus,
    DeploymentTarget,
    SiteDeployment,
)
from atelier.deployments.ports import (
    DeploymentChanged,
    DeploymentExists,
    Deployments,
    Integrations,
    PublishedSites,
    TooManyWaiting,
)
from atelier.errors import Conflict, ValidationFailed
from atelier.idempotency import IdempotencyKeys, fingerprint
from atelier.ids import new_id

TOO_MANY = "{} deployments of this site wait already."
NOT_LIVE = "Only a deployment that was live can be rolled back to."
NOT_KEPT = "The files of this deployment are not kept any more. Deploy the site anew."
ENDED = "The deployment has ended."
BUSY = "The deployment is changing. Try again."
TRIES_MAX = 20


@dataclass(frozen=True, slots=True)
class RequestDeps:
    """Dependencies of requests about deployments. hosts: where our own edge shows sites."""

    store: Deployments
    sites: PublishedSites
    integrations: Integrations
    keys: IdempotencyKeys
    hosts: SiteHosts


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """What a verified caller wants deployed. integration_id: None = the workspace's only one of the target's kind."""

    workspace_id: str
    user_id: str
    site_id: str
    target: DeploymentTarget
    is_preview: bool = False
    integration_id: str | None = None
    idempotency_key: str | None = None


def request_deployment(
    new: NewDeployment, origin: Origin, *, deps: RequestDeps, now: datetime
) -> tuple[SiteDeployment, bool]:
    """The new deployment, and whether the same request had created it before. Raises NotFound for an unknown site,
    ValidationFailed, Conflict, IdempotencyMismatch."""
    site = deps.sites.get(new.workspace_id, new.site_id)
    integration_id = _integration(new, deps)
    facts = [new.site_id, new.target.value, new.is_preview, new.integration_id]
    deployment = SiteDeployment(
        _reserved_id(new.workspace_id, new.idempotency_key, facts, deps, now),
        new.workspace_id,
        new.site_id,
        new.user_id,
        new.target,
        now,
        deps.hosts.base_url(site.slug, site.domain),
        is_preview=new.is_preview,
        integration_id=integration_id,
    )
    return _create(deployment, "deployment.requested", origin, deps, now)


def roll_back(
    workspace_id: str,
    deployment_id: str,
    user_id: str,
    idempotency_key: str | None,
    origin: Origin,
    *,
    deps: RequestDeps,
    now: datetime,
) -> tuple[SiteDeployment, bool]:
    """A new deployment that shows again what an earlier one showed: it renders nothing, and needs one step. Raises
    NotFound, Conflict, IdempotencyMismatch."""
    earlier = deps.store.get(workspace_id, deployment_id)
    was_live = earlier.status in (DeploymentStatus.LIVE, DeploymentStatus.ROLLED_BACK)
    if earlier.is_preview or not was_live:
        raise Conflict(NOT_LIVE)
    built = deps.store.get(workspace_id, earlier.built_by) if earlier.rolls_back_to else earlier
    if built.files_removed_at is not None:
        raise Conflict(NOT_KEPT, reason="files_removed")
    new = SiteDeployment(
        _reserved_id(workspace_id, idempotency_key, ["roll back to", deployment_id], deps, now),
        workspace_id,
        earlier.site_id,
        user_id,
        earlier.target,
        now,
        earlier.base_url,
        integration_id=earlier.integration_id,
        rolls_back_to=earlier.built_by,
        files=earlier.files,
    )
    return _create(new, "deployment.rollback_requested", origin, deps, now)


def cancel_deployment(
    workspace_id: str, deployment_id: str, origin: Origin, *, deps: RequestDeps, now: datetime
) -> SiteDeployment:
    """Cancel a deployment: one that waits ends now, one that runs after its present step. Safe to repeat. Raises
    NotFound, and Conflict when it has ended otherwise."""
    for _ in range(TRIES_MAX):
        before = deps.store.get(workspace_id, deployment_id)
        if before.cancel_requested or before.status is DeploymentStatus.CANCELLED:
            return before
        if not before.is_open:
            raise Conflict(ENDED, status=before.status.value)
        event = _event("deployment.cancelled", before, origin, now)
        try:
            if before.status is DeploymentStatus.QUEUED:
                after = before.ended(DeploymentStatus.CANCELLED, now, "Cancelled.")
                deps.store.end(before, after, [event])
            else:
                after = before.changed(now, "Will be cancelled.", cancel_requested=True)
                deps.store.save(before, after, [event])
        except DeploymentChanged:
            continue
        return after
    raise Conflict(BUSY)


def _create(
    deployment: SiteDeployment, action: str, origin: Origin, deps: RequestDeps, now: datetime
) -> tuple[SiteDeployment, bool]:
    try:
        deps.store.create(deployment, now, [_event(action, deployment, origin, now)])
    except DeploymentExists:
        return deps.store.get(deployment.workspace_id, deployment.id), True
    except TooManyWaiting:
        raise Conflict(TOO_MANY.format(WAITING_MAX), waiting_max=WAITING_MAX) from None
    return deployment, False


def _reserved_id(
    workspace_id: str, idempotency_key: str | None, facts: Sequence[object], deps: RequestDeps, now: datetime
) -> str:
    id = new_id("dep", now)
    if idempotency_key is None:
        return id
    return deps.keys.reserve(workspace_id, f"deployments {idempotency_key}", fingerprint(facts), id)


def _integration(new: NewDeployment, deps: RequestDeps) -> str | None:
    kind = KIND_OF_TARGET.get(new.target)
    if kind is None:
        if new.integration_id is not None:
            raise ValidationFailed([{"path": "integration_id", "message": f"{new.target.value} needs none"}])
        return None
    if new.integration_id is not None:
        found = find_integration(new.workspace_id, new.integration_id, deps.integrations)
        if found is None or found.kind is not kind:
            raise ValidationFailed([{"path": "integration_id", "message": f"is no integration of {kind.value}"}])
        return found.id
    found = [each for each in deps.integrations.list(new.workspace_id) if each.kind is kind]
    if len(found) != 1:
        message = f"name one of the {len(found)} integrations of {kind.value}" if found else f"add one of {kind.value}"
        raise ValidationFailed([{"path": "integration_id", "message": message}])
    return found[0].id


def _event(action: str, deployment: SiteDeployment, origin: Origin, now: datetime) -> AuditEvent:
    return audit_event(
        deployment.workspace_id,
        action,
        origin,
        now,
        target=deployment.id,
        site=deployment.site_id,
        deployed_to=deployment.target.value,
    )
