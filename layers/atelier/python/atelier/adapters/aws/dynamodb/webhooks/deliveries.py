"""The deliveries of webhooks on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any, cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    batch_read,
    conditional,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.webhooks.items import (
    DELIVERY,
    HEALTH,
    ITEMS,
    NOTICE,
    WebhookDeliveryItem,
    WebhookEndpointItem,
    WebhookHealthItem,
    WebhookNoticeItem,
    delivery_item,
    delivery_key,
    delivery_of,
    health_of,
    shard_of,
    text_or_none,
    time_or_none,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.webhook_endpoints.model import (
    GENERATION_URLS,
    LEASE,
    MESSAGE_SLACK,
    SLOTS,
    SLOTS_FAILING,
    DeliveryAttempt,
    DeliveryState,
    EndpointHealth,
    WebhookDelivery,
)
from atelier.webhook_endpoints.ports import Claim, Claimed, DeliveryPage, DisabledNotice, DueKey

TRIES_MAX = 8
BUSY = "The webhooks of this workspace are busy. Try again."
# Another attempt may take the slot that was read as free.
CLAIM_TRIES_MAX = 4


class DynamoWebhookDeliveries:
    """WebhookDeliveries on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def add(self, delivery: WebhookDelivery) -> bool:
        item = delivery_item(delivery)
        return conditional(lambda: item.save(condition=WebhookDeliveryItem.pk.does_not_exist()))

    def get(self, workspace_id: str, endpoint_id: str, delivery_id: str) -> WebhookDelivery | None:
        try:
            key = delivery_key(endpoint_id, delivery_id)
            return delivery_of(WebhookDeliveryItem.get(workspace_id, key, consistent_read=True))
        except DoesNotExist:
            return None

    def find(self, workspace_id: str, endpoint_ids: Sequence[str], delivery_id: str) -> WebhookDelivery | None:
        keys = [(WebhookDeliveryItem, workspace_id, delivery_key(id, delivery_id)) for id in endpoint_ids]
        found = [cast("WebhookDeliveryItem", item) for item in batch_read(keys).values()] if keys else []
        return delivery_of(found[0]) if found else None

    def list(
        self, workspace_id: str, endpoint_id: str, state: DeliveryState | None, after_id: str | None, limit: int
    ) -> DeliveryPage:
        prefix = f"{DELIVERY}{endpoint_id}#"
        items, next_key = newest_page(
            WebhookDeliveryItem,
            workspace_id,
            (prefix, prefix + "~"),
            matching=WebhookDeliveryItem.state == state.value if state else None,
            after=prefix + after_id if after_id else None,
            limit=limit,
        )
        return DeliveryPage(tuple(map(delivery_of, items)), next_key.removeprefix(prefix) if next_key else None)

    def list_between(
        self, workspace_id: str, endpoint_id: str, first_id: str, last_id: str, limit: int
    ) -> Sequence[WebhookDelivery]:
        key = WebhookDeliveryItem.sk.between(delivery_key(endpoint_id, first_id), delivery_key(endpoint_id, last_id))
        return [delivery_of(item) for item in WebhookDeliveryItem.query(workspace_id, key, limit=limit)]

    def claim(self, delivery: WebhookDelivery, attempt_id: str, now: datetime) -> Claimed:
        # An address that a generation's request names is one of many, and says nothing of the others.
        bound = SLOTS if delivery.endpoint_id == GENERATION_URLS else SLOTS_FAILING
        for _ in range(CLAIM_TRIES_MAX):
            health = self._health(delivery)
            slot = health.free_slot(rfc3339(now), bound=bound)
            if slot is None:
                return Claimed(Claim.BUSY)
            try:
                return self._claim_slot(delivery, attempt_id, slot, health.slots[slot], now)
            except ConditionsFailed as error:
                if "delivery" in error.parts:
                    return Claimed(Claim.TAKEN)
        return Claimed(Claim.BUSY)

    def _health(self, delivery: WebhookDelivery) -> EndpointHealth:
        try:
            key = HEALTH + delivery.endpoint_id
            return health_of(WebhookHealthItem.get(delivery.workspace_id, key, consistent_read=True))
        except DoesNotExist:
            return EndpointHealth()

    def _claim_slot(
        self, delivery: WebhookDelivery, attempt_id: str, slot: int, taken: str | None, now: datetime
    ) -> Claimed:
        until = now + LEASE
        of_slot: Any = getattr(WebhookHealthItem, f"slot_{slot}")
        is_due = WebhookDeliveryItem.state == DeliveryState.PENDING.value
        is_due &= WebhookDeliveryItem.next_attempt_at == text_or_none(delivery.next_attempt_at)
        actions = [
            WebhookDeliveryItem.claim.set(attempt_id),
            WebhookDeliveryItem.claimed_until.set(rfc3339(until)),
            WebhookDeliveryItem.due_at.set(rfc3339(until)),
        ]

        def fill(write: Transaction) -> None:
            write.update(_empty(delivery), actions, is_due & _is_unclaimed(now), part="delivery")
            write.update(
                WebhookHealthItem(delivery.workspace_id, HEALTH + delivery.endpoint_id),
                [of_slot.set(_slot_text(until, attempt_id))],
                of_slot.does_not_exist() if taken is None else of_slot == taken,
                part="slot",
            )

        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        return Claimed(Claim.CLAIMED, slot, until)

    def finish(
        self,
        before: WebhookDelivery,
        after: WebhookDelivery,
        attempt: DeliveryAttempt,
        claimed: Claimed,
        *,
        notice: DisabledNotice | None,
        events: Sequence[AuditEvent],
    ) -> bool:
        of_slot: Any = getattr(WebhookHealthItem, f"slot_{claimed.slot}")
        assert claimed.until is not None, "It was claimed."
        is_mine = of_slot == _slot_text(claimed.until, attempt.id)
        counted = _counted(attempt)
        health = WebhookHealthItem(before.workspace_id, HEALTH + before.endpoint_id)

        def fill(write: Transaction, *, with_slot: bool, with_notice: bool) -> None:
            write.save(delivery_item(after), WebhookDeliveryItem.claim == attempt.id, part="delivery")
            actions = [*counted, of_slot.remove()] if with_slot else counted
            # The item of a removed endpoint is not created anew.
            write.update(health, actions, is_mine if with_slot else WebhookHealthItem.pk.exists(), part="slot")
            if notice is not None and with_notice:
                _disable(write, notice)
                save_events(write, events)

        with_slot, with_notice = True, notice is not None
        for _ in range(3):
            try:
                write_transaction(
                    partial(fill, with_slot=with_slot, with_notice=with_notice), busy=BUSY, tries_max=TRIES_MAX
                )
            except ConditionsFailed as error:
                if "delivery" in error.parts:
                    return False
                # The slot has passed on, or the endpoint was removed, disabled or changed meanwhile.
                with_slot = with_slot and "slot" not in error.parts
                with_notice = with_notice and "endpoint" not in error.parts
            else:
                return True
        return conditional(lambda: delivery_item(after).save(condition=WebhookDeliveryItem.claim == attempt.id))

    def restart(self, delivery: WebhookDelivery, now: datetime) -> bool:
        actions: list[Action] = [
            WebhookDeliveryItem.state.set(DeliveryState.PENDING.value),
            WebhookDeliveryItem.failures.set(0),
            WebhookDeliveryItem.next_attempt_at.set(rfc3339(now)),
            WebhookDeliveryItem.shard.set(shard_of(delivery.id)),
            WebhookDeliveryItem.due_at.set(rfc3339(now + MESSAGE_SLACK)),
        ]
        return _update(delivery, actions, WebhookDeliveryItem.pk.exists() & _is_unclaimed(now))

    def put_off(self, delivery: WebhookDelivery, until: datetime) -> bool:
        unchanged = WebhookDeliveryItem.state == DeliveryState.PENDING.value
        unchanged &= WebhookDeliveryItem.next_attempt_at == text_or_none(delivery.next_attempt_at)
        actions: list[Action] = [
            WebhookDeliveryItem.next_attempt_at.set(rfc3339(until)),
            WebhookDeliveryItem.due_at.set(rfc3339(until + MESSAGE_SLACK)),
        ]
        return _update(delivery, actions, unchanged & WebhookDeliveryItem.claim.does_not_exist())

    def cancel(self, delivery: WebhookDelivery, now: datetime) -> None:
        is_pending = WebhookDeliveryItem.state == DeliveryState.PENDING.value
        actions: list[Action] = [
            WebhookDeliveryItem.state.set(DeliveryState.CANCELLED.value),
            WebhookDeliveryItem.next_attempt_at.remove(),
            WebhookDeliveryItem.shard.remove(),
            WebhookDeliveryItem.due_at.remove(),
            WebhookDeliveryItem.claim.remove(),
            WebhookDeliveryItem.claimed_until.remove(),
        ]
        _update(delivery, actions, is_pending & _is_unclaimed(now))

    def due(self, shard: int, now: datetime, limit: int) -> Sequence[DueKey]:
        found = WebhookDeliveryItem.due.query(str(shard), WebhookDeliveryItem.due_at <= rfc3339(now), limit=limit)
        return [_due_key(item.pk, item.sk, str(item.due_at)) for item in found]

    def postpone(self, key: DueKey, until: datetime) -> bool:
        if key.delivery_id is None:
            notice = WebhookNoticeItem(key.workspace_id, NOTICE + key.endpoint_id)
            unchanged = WebhookNoticeItem.due_at == key.due_at
            moved: list[Action] = [WebhookNoticeItem.due_at.set(rfc3339(until))]
            return conditional(lambda: notice.update(actions=moved, condition=unchanged))
        item = WebhookDeliveryItem(key.workspace_id, delivery_key(key.endpoint_id, key.delivery_id))
        actions: list[Action] = [WebhookDeliveryItem.due_at.set(rfc3339(until))]
        condition = WebhookDeliveryItem.due_at == key.due_at
        return conditional(lambda: item.update(actions=actions, condition=condition))

    def notice(self, key: DueKey) -> DisabledNotice | None:
        try:
            item = WebhookNoticeItem.get(key.workspace_id, NOTICE + key.endpoint_id, consistent_read=True)
        except DoesNotExist:
            return None
        disabled_at = parse_rfc3339(item.disabled_at)
        return DisabledNotice(item.pk, key.endpoint_id, item.reason, time_or_none(item.failing_since), disabled_at)

    def remove_notice(self, notice: DisabledNotice) -> None:
        item = WebhookNoticeItem(notice.workspace_id, NOTICE + notice.endpoint_id)
        same = WebhookNoticeItem.disabled_at == rfc3339(notice.disabled_at)
        conditional(lambda: item.delete(condition=same))


def _empty(delivery: WebhookDelivery) -> WebhookDeliveryItem:
    return WebhookDeliveryItem(delivery.workspace_id, delivery_key(delivery.endpoint_id, delivery.id))


def _update(delivery: WebhookDelivery, actions: list[Action], condition: Condition) -> bool:
    return conditional(lambda: _empty(delivery).update(actions=actions, condition=condition))


def _is_unclaimed(now: datetime) -> Condition:
    claimed_until = WebhookDeliveryItem.claimed_until
    return claimed_until.does_not_exist() | (claimed_until < rfc3339(now))


def _slot_text(until: datetime, attempt_id: str) -> str:
    return f"{rfc3339(until)} {attempt_id}"


def _counted(attempt: DeliveryAttempt) -> list[Action]:
    """What an attempt changes of its endpoint's health."""
    item, at = WebhookHealthItem, rfc3339(attempt.at)
    if attempt.is_success:
        return [item.last_success_at.set(at), item.failing_since.remove()]
    return [item.last_failure_at.set(at), item.failing_since.set(item.failing_since | at)]


def _disable(write: Transaction, notice: DisabledNotice) -> None:
    item, disabled_at = WebhookEndpointItem, rfc3339(notice.disabled_at)
    write.update(
        WebhookEndpointItem(notice.workspace_id, notice.endpoint_id),
        [
            item.is_enabled.set(False),
            item.disabled_reason.set(notice.reason),
            item.disabled_at.set(disabled_at),
            item.updated_at.set(disabled_at),
            item.version.set(item.version + 1),
        ],
        item.is_enabled == True,  # noqa: E712 - builds a condition
        part="endpoint",
    )
    write.save(
        WebhookNoticeItem(
            notice.workspace_id,
            NOTICE + notice.endpoint_id,
            reason=notice.reason,
            failing_since=text_or_none(notice.failing_since),
            disabled_at=disabled_at,
            shard=shard_of(notice.endpoint_id),
            due_at=rfc3339(notice.disabled_at + MESSAGE_SLACK),
        )
    )


def _due_key(workspace_id: str, sk: str, due_at: str) -> DueKey:
    if sk.startswith(NOTICE):
        return DueKey(workspace_id, sk.removeprefix(NOTICE), None, due_at)
    _, endpoint_id, delivery_id = sk.split("#")
    return DueKey(workspace_id, endpoint_id, delivery_id, due_at)
