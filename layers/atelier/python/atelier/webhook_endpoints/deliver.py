"""Make one attempt of a delivery.

The claim, before the request, and the result, after it, are one transaction each. A process that dies between them
leaves a claim that ends by itself; then the sweep sends the delivery's message again. So an event is delivered at
least once, with the same id each time, and marked as delivered once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import SystemRandom
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import NotFound
from atelier.events.catalogue import WebhookEndpointDisabled
from atelier.ids import new_id
from atelier.telemetry import logger, put_count
from atelier.webhook_endpoints.deps import DeliverDeps
from atelier.webhook_endpoints.model import (
    ATTEMPTS_KEPT,
    DELAY_SECONDS_MAX,
    GENERATION_URLS,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    EndpointHealth,
    SigningSecret,
    WebhookDelivery,
    has_failed_too_long,
    retry_at,
)
from atelier.webhook_endpoints.ports import Claim, DisabledNotice, WebhookAnswer
from atelier.webhook_endpoints.sign import signed_headers
from atelier.webhook_endpoints.workspace_secret import workspace_secret

GONE = 410
# How long a delivery to a busy endpoint is put off: at first, and at most.
BUSY_SECONDS, BUSY_SECONDS_MAX = 5, DELAY_SECONDS_MAX
USER_AGENT = "Atelier-Webhooks/1"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a delivery goes, and what signs it."""

    url: str
    secret: SigningSecret


def deliver(message: Mapping[str, Any], *, deps: DeliverDeps) -> None:
    """Make the attempt that a message {workspace_id, endpoint_id, delivery_id, busy} announces, if it is due."""
    now = deps.clock()
    workspace_id, endpoint_id = message["workspace_id"], message["endpoint_id"]
    delivery = deps.deliveries.get(workspace_id, endpoint_id, message["delivery_id"])
    ids = {"workspace_id": workspace_id, "endpoint_id": endpoint_id, "delivery_id": message["delivery_id"]}
    if delivery is None or not delivery.is_due(now):
        logger.info("webhook not due", **ids)
        return
    target = _target(delivery, deps)
    if target is None:
        deps.deliveries.cancel(delivery, now)
        logger.info("webhook cancelled", **ids)
        return
    attempt_id = new_id("whr", now)
    claimed = deps.deliveries.claim(delivery, attempt_id, now)
    if claimed.claim is Claim.BUSY:
        _put_off(delivery, int(message.get("busy", 0)), deps, now)
    if claimed.claim is not Claim.CLAIMED:
        logger.info("webhook not attempted", reason=claimed.claim.value, **ids)
        return

    answer = _send(delivery, attempt_id, target, deps)
    ended_at = deps.clock()
    attempt = DeliveryAttempt(
        attempt_id, now, int((ended_at - now).total_seconds() * 1000), answer.status, answer.error, answer.body
    )
    after = _after(delivery, attempt, answer, deps.jitter(), ended_at)
    notice, events = _notice(after, attempt, deps, ended_at)
    is_stored = deps.deliveries.finish(delivery, after, attempt, claimed, notice=notice, events=events)
    # The receiver's error is for its workspace, and in the delivery; here it could fill the log.
    facts = {"request_id": attempt_id, "status": attempt.status, "state": after.state.value, "is_stored": is_stored}
    logger.info("webhook attempted", duration_ms=attempt.duration_ms, **facts, **ids)
    if not is_stored:
        return
    if notice is not None:
        publish_notice(notice, deps)
    if after.next_attempt_at is not None:
        seconds = (after.next_attempt_at - ended_at).total_seconds()
        if seconds <= DELAY_SECONDS_MAX:
            # A later attempt is found by the sweep.
            deps.queue.deliver(workspace_id, endpoint_id, delivery.id, min(int(seconds) + 1, DELAY_SECONDS_MAX))


def publish_notice(notice: DisabledNotice, deps: DeliverDeps) -> None:
    """Publish that an endpoint was disabled. Should the process die before the end, it is published again."""
    failing_since = rfc3339(notice.failing_since) if notice.failing_since else None
    event = WebhookEndpointDisabled(
        notice.workspace_id, notice.endpoint_id, notice.reason, failing_since, rfc3339(notice.disabled_at)
    )
    deps.events.publish(event)
    deps.deliveries.remove_notice(notice)
    put_count("WebhookEndpointsDisabled")
    logger.warning("webhook endpoint disabled", endpoint_id=notice.endpoint_id, reason=notice.reason)


def jitter() -> float:
    """A random number in [0, 1)."""
    return SystemRandom().random()


def _target(delivery: WebhookDelivery, deps: DeliverDeps) -> Target | None:
    """None: the endpoint was removed or disabled."""
    if delivery.url is not None:
        secret = workspace_secret(delivery.workspace_id, endpoints=deps.endpoints, sealer=deps.sealer)
        return Target(delivery.url, secret)
    try:
        endpoint = deps.endpoints.get(delivery.workspace_id, delivery.endpoint_id)
    except NotFound:
        return None
    return Target(endpoint.url, endpoint.secret) if endpoint.is_enabled else None


def _put_off(delivery: WebhookDelivery, busy: int, deps: DeliverDeps, now: datetime) -> None:
    """Try again later. The time is stored, so that other messages for this delivery find that it is not due: each
    delivery keeps one message, however long its endpoint is busy. busy: how often it was put off before."""
    seconds = min(BUSY_SECONDS * 2 ** min(busy, 16), BUSY_SECONDS_MAX) * (0.5 + deps.jitter() / 2)
    if deps.deliveries.put_off(delivery, now + timedelta(seconds=seconds)):
        deps.queue.deliver(
            delivery.workspace_id, delivery.endpoint_id, delivery.id, min(int(seconds) + 1, DELAY_SECONDS_MAX), busy + 1
        )


def _send(delivery: WebhookDelivery, attempt_id: str, target: Target, deps: DeliverDeps) -> WebhookAnswer:
    now = deps.clock()
    opened = [
        deps.sealer.open(sealed, delivery.workspace_id, delivery.endpoint_id) for sealed in target.secret.valid(now)
    ]
    headers = signed_headers(delivery.id, delivery.body, opened, now)
    headers |= {"content-type": "application/json", "user-agent": USER_AGENT, "webhook-request-id": attempt_id}
    return deps.sender.send(target.url, headers, delivery.body.encode())


def _after(
    delivery: WebhookDelivery, attempt: DeliveryAttempt, answer: WebhookAnswer, jitter: float, now: datetime
) -> WebhookDelivery:
    """The delivery after an attempt."""
    attempts = (*delivery.attempts, attempt)[-ATTEMPTS_KEPT:]
    after = replace(delivery, attempts=attempts, attempt_count=delivery.attempt_count + 1, next_attempt_at=None)
    if attempt.is_success:
        return replace(after, state=DeliveryState.DELIVERED)
    failures = delivery.failures + 1
    next_attempt_at = None if attempt.status == GONE else retry_at(failures, answer.retry_after_seconds, jitter, now)
    state = DeliveryState.PENDING if next_attempt_at else DeliveryState.FAILED
    return replace(after, state=state, failures=failures, next_attempt_at=next_attempt_at)


def _notice(
    delivery: WebhookDelivery, attempt: DeliveryAttempt, deps: DeliverDeps, now: datetime
) -> tuple[DisabledNotice | None, list[AuditEvent]]:
    """Whether the attempt disables its endpoint."""
    if attempt.is_success or delivery.endpoint_id == GENERATION_URLS:
        return None, []
    workspace_id, endpoint_id = delivery.workspace_id, delivery.endpoint_id
    health = deps.endpoints.health(workspace_id, [endpoint_id]).get(endpoint_id, EndpointHealth())
    if attempt.status == GONE:
        reason = DisabledReason.GONE
    elif has_failed_too_long(health, now):
        reason = DisabledReason.FAILING
    else:
        return None, []
    notice = DisabledNotice(workspace_id, endpoint_id, reason.value, health.failing_since, now)
    disabled = audit_event(
        workspace_id, "webhook_endpoint.disabled", Origin(), now, target=endpoint_id, reason=reason.value
    )
    return notice, [disabled]
