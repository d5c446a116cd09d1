"""Create, change and remove endpoints, rotate their secrets, and send test events."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict, NotFound, ValidationFailed
from atelier.events.catalogue import EVENTS
from atelier.feeds.model import ROUTINE_TYPES, WATCHED_FOR, FeedEvent
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.webhook_endpoints.deps import WebhookManageDeps
from atelier.webhook_endpoints.model import (
    TEST_EVENT,
    Endpoint,
    EndpointChanged,
    EndpointExists,
    SigningSecret,
    WebhookDelivery,
    unknown_events,
)
from atelier.webhook_endpoints.queue_deliveries import queue_delivery
from atelier.webhook_endpoints.sign import new_secret

IDEMPOTENCY_SCOPE = "webhook-endpoints"
# A request that is repeated within this time shows the secret again: its first answer may have been lost.
SECRET_SHOWN_FOR = timedelta(minutes=10)
# How long a feed keeps routine events for an endpoint. A workspace may rest for years, and its first event then counts.
ENDPOINTS_WATCH_FOR = timedelta(days=3650)
CHANGED = "The endpoint was changed meanwhile. Read it again."


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """The endpoint that a verified caller adds. idempotency_key: of the request, None = none."""

    workspace_id: str
    user_id: str
    url: str
    events: tuple[str, ...]
    description: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointSecret:
    """An endpoint, with its secret where it may be shown. replayed: this request had been served before."""

    endpoint: Endpoint
    secret: str | None = field(repr=False)
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """What a request changes of an endpoint; None = nothing."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    description: str | None = None
    is_enabled: bool | None = None


def create_endpoint(new: NewEndpoint, origin: Origin, *, deps: WebhookManageDeps, now: datetime) -> EndpointSecret:
    """Store an endpoint with a new secret, which is shown this once. Raises ValidationFailed, TooManyEndpoints,
    IdempotencyMismatch."""
    _check(new.url, new.events, deps)
    endpoint_id = new_id("whe", now)
    if new.idempotency_key is not None:
        facts = fingerprint([new.url, list(new.events), new.description])
        key = f"{IDEMPOTENCY_SCOPE} {new.idempotency_key}"
        endpoint_id = deps.idempotency_keys.reserve(new.workspace_id, key, facts, endpoint_id)
        try:
            return _repeated(deps.endpoints.get(new.workspace_id, endpoint_id), deps, now)
        except NotFound:
            pass

    secret = new_secret()
    sealed = SigningSecret(deps.sealer.seal(secret, new.workspace_id, endpoint_id))
    endpoint = Endpoint(
        endpoint_id, new.workspace_id, new.user_id, new.url, new.events, new.description, sealed, now, now
    )
    _watch(endpoint, deps, now)
    try:
        deps.endpoints.create(endpoint, [_event(endpoint, "created", origin, now, **_facts(endpoint))])
    except EndpointExists:
        # A parallel request with the same Idempotency-Key.
        return _repeated(deps.endpoints.get(new.workspace_id, endpoint_id), deps, now)
    _watch(endpoint, deps, now)
    return EndpointSecret(endpoint, secret)


def change_endpoint(
    workspace_id: str,
    endpoint_id: str,
    change: EndpointChange,
    origin: Origin,
    *,
    deps: WebhookManageDeps,
    now: datetime,
) -> Endpoint:
    """Change what `change` names. Raises NotFound, ValidationFailed, Conflict."""
    before = deps.endpoints.get(workspace_id, endpoint_id)
    url = before.url if change.url is None else change.url
    events = before.events if change.events is None else change.events
    _check(url, events, deps)
    is_enabled = before.is_enabled if change.is_enabled is None else change.is_enabled
    after = replace(
        before,
        url=url,
        events=events,
        description=before.description if change.description is None else change.description,
        is_enabled=is_enabled,
        disabled_reason=None if is_enabled else before.disabled_reason,
        disabled_at=None if is_enabled else before.disabled_at or now,
        updated_at=now,
        version=before.version + 1,
    )
    _watch(after, deps, now)
    changed = _event(after, "changed", origin, now, before=_facts(before), after=_facts(after))
    _replace(before, after, [changed], deps)
    _watch(after, deps, now)
    return after


def remove_endpoint(
    workspace_id: str, endpoint_id: str, origin: Origin, *, deps: WebhookManageDeps, now: datetime
) -> None:
    """Remove an endpoint. Deliveries that wait are not sent any more, and when no other endpoint needs them, the feed
    keeps no routine events for webhooks. Raises NotFound, Conflict."""
    endpoint = deps.endpoints.get(workspace_id, endpoint_id)
    try:
        deps.endpoints.remove(endpoint, [_event(endpoint, "removed", origin, now, **_facts(endpoint))])
    except EndpointChanged:
        raise Conflict(CHANGED) from None
    _unwatch(workspace_id, deps, now)


def rotate_secret(
    workspace_id: str, endpoint_id: str, origin: Origin, *, deps: WebhookManageDeps, now: datetime
) -> EndpointSecret:
    """Give an endpoint a new secret, which is shown this once; the one before it signs too, for OLD_SECRET_LIFETIME.
    Raises NotFound, Conflict."""
    before = deps.endpoints.get(workspace_id, endpoint_id)
    secret = new_secret()
    sealed = before.secret.rotated(deps.sealer.seal(secret, workspace_id, endpoint_id), now)
    after = replace(before, secret=sealed, updated_at=now, version=before.version + 1)
    _replace(before, after, [_event(after, "secret_rotated", origin, now)], deps)
    return EndpointSecret(after, secret)


def send_test(workspace_id: str, endpoint_id: str, *, deps: WebhookManageDeps, now: datetime) -> WebhookDelivery:
    """Queue a test event for an enabled endpoint, whatever events it takes. Raises NotFound, Conflict."""
    endpoint = deps.endpoints.get(workspace_id, endpoint_id)
    if not endpoint.is_enabled:
        raise Conflict("The endpoint is disabled. Enable it first.")
    event = FeedEvent(new_id("evt", now), TEST_EVENT, rfc3339(now), {"endpoint_id": endpoint_id})
    delivery = queue_delivery(workspace_id, endpoint_id, event, deps=deps.queue_deps, now=now)
    assert delivery is not None, "The id of the event is new."
    return delivery


def known_events() -> tuple[str, ...]:
    """The types of events that an endpoint may take: those with a workspace."""
    published = {type for event in EVENTS if "workspace_id" in event.__annotations__ for type in event.types}
    return tuple(sorted(published | ROUTINE_TYPES))


def _repeated(endpoint: Endpoint, deps: WebhookManageDeps, now: datetime) -> EndpointSecret:
    is_shown = now - endpoint.created_at < SECRET_SHOWN_FOR
    newest = endpoint.secret.newest
    secret = deps.sealer.open(newest, endpoint.workspace_id, endpoint.id) if is_shown else None
    return EndpointSecret(endpoint, secret, replayed=True)


def _check(url: str, events: tuple[str, ...], deps: WebhookManageDeps) -> None:
    errors: list[dict[str, str]] = []
    refusal = deps.sender.check(url)
    if refusal:
        errors.append({"path": "url", "message": f"must be an https address in the internet: {refusal}"})
    errors += [
        {"path": "events", "message": f"{each} is no type of event"} for each in unknown_events(events, known_events())
    ]
    if errors:
        raise ValidationFailed(errors)


def _unwatch(workspace_id: str, deps: WebhookManageDeps, now: datetime) -> None:
    """Let the workspace's feed keep no routine events for webhooks, unless an endpoint takes some. One that is stored
    meanwhile watches the feed after that: it is seen here, or comes later."""
    if not any(map(_takes_routine, deps.endpoints.list(workspace_id))):
        deps.feeds.watch_less(workspace_id, now + WATCHED_FOR)
        for endpoint in deps.endpoints.list(workspace_id):
            _watch(endpoint, deps, now)


def _takes_routine(endpoint: Endpoint) -> bool:
    return any(endpoint.takes(type) for type in ROUTINE_TYPES)


def _watch(endpoint: Endpoint, deps: WebhookManageDeps, now: datetime) -> None:
    """Let the workspace's feed keep the routine events that the endpoint takes: before it takes any, and once more
    when it is stored, because the removal of another endpoint may have ended that."""
    if _takes_routine(endpoint):
        deps.feeds.watch(endpoint.workspace_id, now + ENDPOINTS_WATCH_FOR)


def _replace(before: Endpoint, after: Endpoint, events: list[AuditEvent], deps: WebhookManageDeps) -> None:
    try:
        deps.endpoints.replace(before, after, events)
    except EndpointChanged:
        raise Conflict(CHANGED) from None


def _event(endpoint: Endpoint, what: str, origin: Origin, now: datetime, **facts: Any) -> AuditEvent:
    return audit_event(endpoint.workspace_id, f"webhook_endpoint.{what}", origin, now, target=endpoint.id, **facts)


def _facts(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "events": list(endpoint.events),
        "description": endpoint.description,
        "is_enabled": endpoint.is_enabled,
    }
