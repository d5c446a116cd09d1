"""The job of a deployment: collect → render → upload → wait → live, in steps whose result is stored before the next.

A job that dies at any point goes on from the stored record: the published set is kept before it is rendered, a file is
sent only when the store or the host lacks it, and the switch to live is one transaction. So a deployment is live or
not, and never half."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from atelier.clock import Clock, TimeLeft, rfc3339
from atelier.dataclass import dataclass
from atelier.deployments.build import BuildDeps, build
from atelier.deployments.model import (
    PROCESSING_TIME_MAX,
    DeploymentStatus,
    DeploymentTarget,
    Integration,
    IntegrationState,
    SiteDeployment,
)
from atelier.deployments.ports import (
    CredentialSealer,
    DeploymentChanged,
    Deployments,
    HostAccount,
    Integrations,
    SiteTarget,
    TargetJob,
    TargetStep,
)
from atelier.deployments.remove_old_files import remove_old_files
from atelier.errors import NotFound
from atelier.events.deployment_events import IntegrationRefused
from atelier.events.ports import EventPublisher
from atelier.telemetry import logger

TIME_MARGIN_MILLISECONDS = 60_000
FAILED = "The deployment stopped on our side. Deploy again: what is uploaded already is not sent again."
NO_SITE = "The site, or what it shows, does not exist any more."
NO_INTEGRATION = "The integration does not exist any more."
STUCK = "The host has not finished within {} minutes."
REFUSED = "The host does not accept the credentials of the integration. Add it again with new ones."


@dataclass(frozen=True, slots=True)
class DeployDeps:
    """Dependencies of the job. events: where it is told that credentials were refused."""

    store: Deployments
    build: BuildDeps
    integrations: Integrations
    sealer: CredentialSealer
    targets: Mapping[DeploymentTarget, SiteTarget]
    events: EventPublisher
    clock: Clock


def deploy(workspace_id: str, deployment_id: str, *, deps: DeployDeps, context: TimeLeft | None) -> int | None:
    """Work on a deployment until it has ended, waits for its host, or the time is nearly up. Returns the seconds until
    it is to be called again; None = it has ended. Safe to repeat, and to stop at any point."""
    while True:
        deployment = deps.store.get(workspace_id, deployment_id)
        if not deployment.is_open:
            return None
        if context is not None and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
            return 1
        try:
            wait_seconds = _advance(deployment, deps, context)
        except DeploymentChanged:
            # Cancelled meanwhile, or another run works on it: what is stored now decides.
            continue
        if wait_seconds is not None:
            return wait_seconds


def fail_deployment(workspace_id: str, deployment_id: str, *, deps: DeployDeps) -> None:
    """End a deployment whose job has failed for good."""
    deployment = deps.store.get(workspace_id, deployment_id)
    if deployment.is_open:
        end_as_failed(deployment, FAILED, deps.store, deps.clock())


def run_deploy_step(event: Mapping[str, Any], *, deps: DeployDeps, context: TimeLeft | None) -> dict[str, Any]:
    """One visit of the state machine: {workspace_id, deployment_id, failed?} → the ids, whether the deployment has
    ended, and after how many seconds it is to be visited again."""
    ids: dict[str, Any] = {name: event[name] for name in ("workspace_id", "deployment_id")}
    if event.get("failed"):
        fail_deployment(**ids, deps=deps)
        return ids | {"has_ended": True, "wait_seconds": 1}
    wait_seconds = deploy(**ids, deps=deps, context=context)
    return ids | {"has_ended": wait_seconds is None, "wait_seconds": wait_seconds or 1}


def _advance(deployment: SiteDeployment, deps: DeployDeps, context: TimeLeft | None) -> int | None:
    """The next step of an open deployment; the seconds to wait after it."""
    if deployment.cancel_requested:
        return _cancel(deployment, deps)
    now = deps.clock()
    if deployment.status is DeploymentStatus.QUEUED:
        line = "Shows earlier files again." if deployment.rolls_back_to else "Collects what is published."
        status = DeploymentStatus.UPLOADING if deployment.rolls_back_to else DeploymentStatus.BUILDING
        since = now if deployment.rolls_back_to else None
        deps.store.save(deployment, deployment.changed(now, line, status=status, uploading_since=since))
        return None
    if deployment.status is DeploymentStatus.BUILDING:
        return _build(deployment, deps, context)
    return _upload(deployment, deps)


def _build(deployment: SiteDeployment, deps: DeployDeps, context: TimeLeft | None) -> int | None:
    store, files, has_time = deps.store, deps.build.files, _has_time(context)
    remove_old_files(deployment, store=store, files=files, has_time=has_time, now=deps.clock())
    try:
        built = build(deployment, deps=deps.build, has_time=has_time)
    except NotFound:
        return _fail(deployment, NO_SITE, deps)
    if built is None:
        return 1
    now = deps.clock()
    manifest = built.manifest
    lines = [f"Rendered {built.pages} pages: {len(manifest.files)} files, {manifest.size} bytes.", *built.warnings]
    lines.append(f"Stored {built.stored} new files, {built.stored_bytes} bytes.")
    changes: dict[str, Any] = {"status": DeploymentStatus.UPLOADING, "uploading_since": now}
    if deployment.target is DeploymentTarget.CLOUDFRONT:
        # For our own edge, storing a file is uploading it.
        changes |= {"uploaded": built.stored, "uploaded_bytes": built.stored_bytes}
    deps.store.save(deployment, deployment.changed(now, *lines, files=len(manifest.files), **changes))
    return None


def _upload(deployment: SiteDeployment, deps: DeployDeps) -> int | None:
    try:
        job = _target_job(deployment, deps)
    except NotFound:
        return _fail(deployment, NO_SITE, deps)
    if job is None:
        return _fail(deployment, NO_INTEGRATION, deps)
    step = deps.targets[deployment.target].step(job)
    now = deps.clock()
    changes: dict[str, Any] = {
        "state": dict(step.state),
        "uploaded": deployment.uploaded + step.uploaded,
        "uploaded_bytes": deployment.uploaded_bytes + step.uploaded_bytes,
    }
    after = deployment.changed(now, *step.lines, **changes)
    if step.is_refused:
        _note_refusal(deployment, deps)
        return _fail(after, REFUSED, deps, before=deployment)
    if step.failure is not None:
        return _fail(after, step.failure, deps, before=deployment)
    if step.url is not None:
        live = after.ended(DeploymentStatus.LIVE, now, f"Live at {step.url}", url=step.url)
        return _end(deployment, live, deps.store)
    if _is_stuck(deployment, step, deps):
        deps.targets[deployment.target].cancel(job)
        return _fail(after, STUCK.format(int(PROCESSING_TIME_MAX.total_seconds() // 60)), deps, before=deployment)
    if after != deployment:
        deps.store.save(deployment, after)
    return step.wait_seconds


def _is_stuck(deployment: SiteDeployment, step: TargetStep, deps: DeployDeps) -> bool:
    """Whether the host has been waited for too long; a step that sends files is progress."""
    since = deployment.uploading_since or deployment.created_at
    return step.wait_seconds is not None and not step.uploaded and deps.clock() - since > PROCESSING_TIME_MAX


def _target_job(deployment: SiteDeployment, deps: DeployDeps) -> TargetJob | None:
    """What the target gets; None when its integration is gone. Raises NotFound."""
    files, workspace_id = deps.build.files, deployment.workspace_id
    manifest = files.manifest(workspace_id, deployment.built_by)
    published = files.published(workspace_id, deployment.built_by)
    if published is None:
        raise NotFound
    account: HostAccount | None = None
    earlier_state: Mapping[str, Any] = {}
    if deployment.rolls_back_to:
        earlier = deps.store.get(workspace_id, deployment.rolls_back_to)
        if earlier.files_removed_at is not None:
            # They went between the request and now.
            raise NotFound
        earlier_state = earlier.state
    if deployment.integration_id is not None:
        integration = find_integration(workspace_id, deployment.integration_id, deps.integrations)
        if integration is None:
            return None
        account = HostAccount(deps.sealer.open(integration), integration.settings)
    site = published.site
    return TargetJob(
        deployment,
        site.name,
        site.slug,
        site.domain,
        manifest,
        lambda file: files.read(workspace_id, deployment.site_id, file.sha256),
        account,
        earlier_state,
    )


def find_integration(workspace_id: str, integration_id: str, integrations: Integrations) -> Integration | None:
    """An integration; None when it was removed."""
    try:
        return integrations.get(workspace_id, integration_id)
    except NotFound:
        return None


def _note_refusal(deployment: SiteDeployment, deps: DeployDeps) -> None:
    """Write that an integration's credentials are not valid, and tell it the first time."""
    integration = find_integration(deployment.workspace_id, deployment.integration_id or "", deps.integrations)
    if integration is None:
        return
    now = deps.clock()
    # The event goes first: after twice it is one fact, and never after it would be lost.
    if integration.state is not IntegrationState.REFUSED:
        event = IntegrationRefused(
            workspace_id=integration.workspace_id,
            integration_id=integration.id,
            kind=integration.kind.value,
            deployment_id=deployment.id,
            refused_at=rfc3339(now),
        )
        deps.events.publish(event)
    deps.integrations.set_state(integration, IntegrationState.REFUSED, now)


def _cancel(deployment: SiteDeployment, deps: DeployDeps) -> None:
    if deployment.status is DeploymentStatus.UPLOADING:
        job = _job_or_none(deployment, deps)
        if job is not None:
            deps.targets[deployment.target].cancel(job)
    _end(deployment, deployment.ended(DeploymentStatus.CANCELLED, deps.clock(), "Cancelled."), deps.store)


def _job_or_none(deployment: SiteDeployment, deps: DeployDeps) -> TargetJob | None:
    try:
        return _target_job(deployment, deps)
    except NotFound:
        return None


def end_as_failed(
    after: SiteDeployment, failure: str, store: Deployments, now: datetime, *, before: SiteDeployment | None = None
) -> SiteDeployment:
    """End a deployment that has failed. before: as it is stored, when that is not `after`. Raises DeploymentChanged."""
    failed = after.ended(DeploymentStatus.FAILED, now, failure, failure=failure)
    _end(before or after, failed, store)
    return failed


def _fail(after: SiteDeployment, failure: str, deps: DeployDeps, *, before: SiteDeployment | None = None) -> None:
    end_as_failed(after, failure, deps.store, deps.clock(), before=before)


def _end(before: SiteDeployment, after: SiteDeployment, store: Deployments) -> None:
    store.end(before, after)
    logger.info(
        "deployment ended",
        deployment_id=after.id,
        workspace_id=after.workspace_id,
        target=after.target.value,
        status=after.status.value,
        files=after.files,
        uploaded=after.uploaded,
    )


def _has_time(context: TimeLeft | None) -> Callable[[], bool]:
    return lambda: context is None or context.get_remaining_time_in_millis() >= TIME_MARGIN_MILLISECONDS
