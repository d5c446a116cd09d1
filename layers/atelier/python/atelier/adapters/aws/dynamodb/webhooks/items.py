"""The items of the webhooks table, and their values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection

from atelier.adapters.aws.dynamodb import CompactJSON, Item
from atelier.clock import parse_rfc3339, rfc3339
from atelier.webhook_endpoints.model import (
    DELIVERY_LIFETIME,
    SHARDS,
    SLOTS,
    DeliveryAttempt,
    DeliveryState,
    DisabledReason,
    Endpoint,
    EndpointHealth,
    SealedText,
    SigningSecret,
    WebhookDelivery,
)

ENDPOINT, COUNT, HEALTH, DELIVERY, NOTICE = "whe_", "endpoint-count", "health#", "delivery#", "notice#"
WORKSPACE_SECRET = "workspace-secret"  # nosec B105 - the name of an item


class _EndpointSealedBy(GlobalSecondaryIndex["WebhookEndpointItem"]):
    class Meta:
        index_name = "sealed-by"
        projection = KeysOnlyProjection()

    kid = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)


class _DeliveryDue(GlobalSecondaryIndex["WebhookDeliveryItem"]):
    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class WebhookEndpointItem(Item):
    """One endpoint."""

    user_id = UnicodeAttribute()
    url = UnicodeAttribute()
    events = CompactJSON()
    description = UnicodeAttribute(null=True)
    record = UnicodeAttribute()
    kid = UnicodeAttribute()
    old_record = UnicodeAttribute(null=True)
    old_kid = UnicodeAttribute(null=True)
    old_until = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute()
    is_enabled = BooleanAttribute()
    disabled_reason = UnicodeAttribute(null=True)
    disabled_at = UnicodeAttribute(null=True)
    version = NumberAttribute()
    sealed_by = _EndpointSealedBy()


class WebhookSecretItem(Item):
    """The secret for the addresses that requests for generations name."""

    record = UnicodeAttribute()
    kid = UnicodeAttribute()
    old_record = UnicodeAttribute(null=True)
    old_kid = UnicodeAttribute(null=True)
    old_until = UnicodeAttribute(null=True)


class WebhookEndpointCountItem(Item):
    """How many endpoints a workspace has."""

    endpoints = NumberAttribute()


class WebhookHealthItem(Item):
    """How an endpoint answered lately. slot_<n>: `<time> <attempt id>`, until when the slot is taken, and by which
    attempt."""

    failing_since = UnicodeAttribute(null=True)
    last_success_at = UnicodeAttribute(null=True)
    last_failure_at = UnicodeAttribute(null=True)
    slot_0 = UnicodeAttribute(null=True)
    slot_1 = UnicodeAttribute(null=True)
    slot_2 = UnicodeAttribute(null=True)
    slot_3 = UnicodeAttribute(null=True)
    slot_4 = UnicodeAttribute(null=True)


class WebhookDeliveryItem(Item):
    """One delivery. shard and due_at are there while it is pending: then the sweep looks for it. claim: the attempt
    that is being made."""

    state = UnicodeAttribute()
    event_id = UnicodeAttribute()
    event_type = UnicodeAttribute()
    body = UnicodeAttribute()
    url = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute()
    attempts = CompactJSON(null=True)
    attempt_count = NumberAttribute(default=0)
    failures = NumberAttribute(default=0)
    next_attempt_at = UnicodeAttribute(null=True)
    claim = UnicodeAttribute(null=True)
    claimed_until = UnicodeAttribute(null=True)
    shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()
    due = _DeliveryDue()


class WebhookNoticeItem(Item):
    """An endpoint was disabled, which is not published yet."""

    reason = UnicodeAttribute()
    failing_since = UnicodeAttribute(null=True)
    disabled_at = UnicodeAttribute()
    shard = UnicodeAttribute()
    due_at = UnicodeAttribute()


ITEMS: tuple[type[Item], ...] = (
    WebhookEndpointItem,
    WebhookSecretItem,
    WebhookEndpointCountItem,
    WebhookHealthItem,
    WebhookDeliveryItem,
    WebhookNoticeItem,
)


def shard_of(id: str) -> str:
    """The part of the index in which something with this id is due."""
    return str(sum(id.encode()[-4:]) % SHARDS)


def delivery_key(endpoint_id: str, delivery_id: str) -> str:
    """The sort key of a delivery."""
    return f"{DELIVERY}{endpoint_id}#{delivery_id}"


def time_or_none(text: str | None) -> datetime | None:
    """A stored time."""
    return parse_rfc3339(text) if text else None


def text_or_none(at: datetime | None) -> str | None:
    """A time as it is stored."""
    return rfc3339(at) if at else None


def endpoint_item(endpoint: Endpoint) -> WebhookEndpointItem:
    return WebhookEndpointItem(
        endpoint.workspace_id,
        endpoint.id,
        user_id=endpoint.user_id,
        url=endpoint.url,
        events=list(endpoint.events),
        description=endpoint.description or None,
        **secret_facts(endpoint.secret),
        created_at=rfc3339(endpoint.created_at),
        updated_at=rfc3339(endpoint.updated_at),
        is_enabled=endpoint.is_enabled,
        disabled_reason=endpoint.disabled_reason.value if endpoint.disabled_reason else None,
        disabled_at=text_or_none(endpoint.disabled_at),
        version=endpoint.version,
    )


def secret_facts(secret: SigningSecret) -> dict[str, Any]:
    """The attributes of a sealed secret."""
    return {
        "record": secret.newest.record,
        "kid": secret.newest.kid,
        "old_record": secret.old.record if secret.old else None,
        "old_kid": secret.old.kid if secret.old else None,
        "old_until": text_or_none(secret.old_until),
    }


def secret_of(item: WebhookEndpointItem | WebhookSecretItem) -> SigningSecret:
    old = SealedText(item.old_record, item.old_kid) if item.old_record and item.old_kid else None
    return SigningSecret(SealedText(item.record, item.kid), old, time_or_none(item.old_until))


def endpoint_of(item: WebhookEndpointItem) -> Endpoint:
    return Endpoint(
        item.sk,
        item.pk,
        item.user_id,
        item.url,
        tuple(item.events),
        item.description or "",
        secret_of(item),
        parse_rfc3339(item.created_at),
        parse_rfc3339(item.updated_at),
        item.is_enabled,
        DisabledReason(item.disabled_reason) if item.disabled_reason else None,
        time_or_none(item.disabled_at),
        int(item.version),
    )


def health_of(item: WebhookHealthItem) -> EndpointHealth:
    return EndpointHealth(
        time_or_none(item.failing_since),
        time_or_none(item.last_success_at),
        time_or_none(item.last_failure_at),
        tuple(getattr(item, f"slot_{number}") for number in range(SLOTS)),
    )


def delivery_item(delivery: WebhookDelivery) -> WebhookDeliveryItem:
    due_at = delivery.sweep_at
    return WebhookDeliveryItem(
        delivery.workspace_id,
        delivery_key(delivery.endpoint_id, delivery.id),
        state=delivery.state.value,
        event_id=delivery.event_id,
        event_type=delivery.event_type,
        body=delivery.body,
        url=delivery.url,
        created_at=rfc3339(delivery.created_at),
        attempts=[_attempt_facts(attempt) for attempt in delivery.attempts] or None,
        attempt_count=delivery.attempt_count,
        failures=delivery.failures,
        next_attempt_at=text_or_none(delivery.next_attempt_at),
        shard=shard_of(delivery.id) if due_at else None,
        due_at=text_or_none(due_at),
        expires_at_seconds=int((delivery.created_at + DELIVERY_LIFETIME).timestamp()),
    )


def delivery_of(item: WebhookDeliveryItem) -> WebhookDelivery:
    _, endpoint_id, delivery_id = item.sk.split("#")
    return WebhookDelivery(
        delivery_id,
        item.pk,
        endpoint_id,
        item.event_id,
        item.event_type,
        item.body,
        parse_rfc3339(item.created_at),
        DeliveryState(item.state),
        tuple(_attempt(facts) for facts in item.attempts or ()),
        int(item.attempt_count),
        int(item.failures),
        time_or_none(item.next_attempt_at),
        item.url,
    )


def _attempt_facts(attempt: DeliveryAttempt) -> dict[str, Any]:
    facts = {
        "id": attempt.id,
        "at": rfc3339(attempt.at),
        "duration_ms": attempt.duration_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
    }
    return {name: value for name, value in facts.items() if value not in (None, "")}


def _attempt(facts: dict[str, Any]) -> DeliveryAttempt:
    status = facts.get("status")
    return DeliveryAttempt(
        facts["id"],
        parse_rfc3339(facts["at"]),
        int(facts.get("duration_ms", 0)),
        int(status) if status is not None else None,
        facts.get("error"),
        facts.get("answer", ""),
    )
