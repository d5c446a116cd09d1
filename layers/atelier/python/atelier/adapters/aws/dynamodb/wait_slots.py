"""The slots held by requests that are waiting for a result, in the requests table.

    pk waiting#<subject>  sk waiting      a map: number of the slot → when its lease ends, in ms since 1970

A slot is taken by one conditional write and given back by another. If a process crashes and never gives its slot back,
the lease ends by itself. Nothing is written for requests that do not wait.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import SystemRandom
from typing import Any, cast

from pynamodb.attributes import MapAttribute, NumberAttribute
from pynamodb.exceptions import DoesNotExist, PynamoDBException
from pynamodb.expressions.operand import Path
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, Item, conditional
from atelier.errors import Unavailable

SK = "waiting"
TRIES_MAX = 4
ITEM_LIFETIME_AFTER_LEASE = timedelta(days=1)


class WaitItem(Item):
    """The slots of one subject."""

    slots: MapAttribute[str, Any] = MapAttribute(default=dict)
    expires_at_seconds = NumberAttribute()


class DynamoWaitSlots:
    """WaitSlots on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the requests table."""
        WaitItem.bind(table_name)

    def lease(self, subject: str, limit: int, until: datetime, now: datetime) -> str | None:
        try:
            for _ in range(TRIES_MAX):
                leases = _leases(subject)
                free = [slot for slot in map(str, range(limit)) if leases.get(slot, 0) <= _ms(now)]
                if not free:
                    return None
                # A random slot, so that parallel requests do not all try to take the same one.
                slot = SystemRandom().choice(free)
                if _take_lease(subject, slot, until, now, first=not leases):
                    return slot
        except PynamoDBException as error:
            raise Unavailable("The wait slots do not answer.") from error
        # Other requests took the slot first at every attempt, so enough requests are waiting.
        return None

    def end_lease(self, subject: str, slot: str, until: datetime) -> None:
        lease = Path(["slots", slot])
        try:
            _item(subject).update([lease.set(0)], condition=lease == _ms(until))
        except PynamoDBException:
            # The slot becomes free when its lease ends.
            return


def _leases(subject: str) -> dict[str, int]:
    try:
        item = WaitItem.get(_pk(subject), SK, consistent_read=True)
    except DoesNotExist:
        return {}
    return cast("dict[str, int]", item.slots.as_dict())


def _take_lease(subject: str, slot: str, until: datetime, now: datetime, *, first: bool) -> bool:
    """Take the slot; returns whether it was still free. first: there is no item yet."""
    expires_at_seconds = int((until + ITEM_LIFETIME_AFTER_LEASE).timestamp())
    if first:
        new = WaitItem(_pk(subject), SK, slots={slot: _ms(until)}, expires_at_seconds=expires_at_seconds)
        return conditional(lambda: new.save(condition=WaitItem.pk.does_not_exist()), CONFLICT_CODES)
    lease = Path(["slots", slot])
    actions: list[Action] = [lease.set(_ms(until)), WaitItem.expires_at_seconds.set(expires_at_seconds)]
    # The TTL may have deleted the item since it was read.
    free = WaitItem.pk.exists() & (lease.does_not_exist() | (lease <= _ms(now)))
    return conditional(lambda: _item(subject).update(actions, condition=free), CONFLICT_CODES)


def _item(subject: str) -> WaitItem:
    return WaitItem(_pk(subject), SK)


def _pk(subject: str) -> str:
    return f"waiting#{subject}"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
