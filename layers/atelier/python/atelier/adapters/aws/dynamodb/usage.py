"""How much a workspace has of what its tier limits, in the library's table.

    pk wsp_…  sk usage#projects     projects that are not archived
    pk wsp_…  sk usage#sites        sites
    pk wsp_…  sk usage#storage      bytes of stored files, beside those that the wallet counts (`delivered_bytes`)

A counter changes in the transaction of what it counts. What a workspace had before there were counters is added once,
by whoever first needs the whole (`complete_usage`); `complete` says that this was done.
"""

from __future__ import annotations

from collections.abc import Callable

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import CONFLICT_CODES, Item, ItemAddress, Transaction, conditional
from atelier.dataclass import dataclass

PROJECTS, STORAGE, SITES = "projects", "storage", "sites"
# The name of a counter's part of a transaction.
USAGE_PART = "usage"


class UsageItem(Item):
    """One counter. It exists from the first change on."""

    used = NumberAttribute(null=True)
    complete = NumberAttribute(null=True)


@dataclass(frozen=True, slots=True)
class StoredUsage:
    """A counter. `used` of stored bytes may be below 0, because the wallet counts what generations deliver, and this
    counter what is deleted of it. `is_complete`: it includes what the workspace had before there were counters."""

    used: int
    is_complete: bool


def put_usage(write: Transaction, workspace_id: str, name: str, change: int, *, most: int | None = None) -> None:
    """Add a change of a counter to the transaction of what it counts (part USAGE_PART). most: the condition that the
    counter is not larger afterwards; the counter must be complete then. None = no condition."""
    condition = None if most is None else UsageItem.used <= most - change
    write.update(UsageItem(workspace_id, usage_key(name)), [UsageItem.used.add(change)], condition, part=USAGE_PART)


def read_usage(workspace_id: str, name: str, *, consistent: bool = True) -> StoredUsage:
    """A counter of a workspace; 0 and not complete before its first change."""
    try:
        item = UsageItem.get(workspace_id, usage_key(name), consistent_read=consistent)
    except DoesNotExist:
        return StoredUsage(0, is_complete=False)
    return StoredUsage(int(item.used or 0), is_complete=bool(item.complete))


def storage_address(workspace_id: str) -> ItemAddress:
    """The address of a workspace's counter of stored bytes, for reading it in one batch with other items."""
    return UsageItem, workspace_id, usage_key(STORAGE)


def used_from_item(item: Item | None) -> int:
    """The count in an item read by `storage_address`; 0 when there is none, as before its first change."""
    return int(item.used or 0) if isinstance(item, UsageItem) else 0


def complete_usage(workspace_id: str, name: str, count_earlier: Callable[[], int]) -> StoredUsage:
    """The complete counter of a workspace. count_earlier: counts what the counter does not include yet; called at most
    once in the life of a workspace, or by several at once, of which one writes."""
    stored = read_usage(workspace_id, name)
    if stored.is_complete:
        return stored
    item, earlier = UsageItem(workspace_id, usage_key(name)), count_earlier()
    actions: list[Action] = [UsageItem.used.add(earlier), UsageItem.complete.set(1)]
    conditional(lambda: item.update(actions, condition=UsageItem.complete.does_not_exist()), CONFLICT_CODES)
    return read_usage(workspace_id, name)


def usage_key(name: str) -> str:
    """The sort key of a counter."""
    return f"usage#{name}"
