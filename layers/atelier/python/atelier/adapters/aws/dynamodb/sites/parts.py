"""Parts on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import cast

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    batch_read,
    newest_page,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.sites.items import (
    PART,
    PART_VERSION,
    USE,
    USES,
    PartItem,
    PartUseCountItem,
    PartUseItem,
    PartVersionItem,
    bind,
    is_kept,
    number_in,
    part_item,
    part_of,
    part_version_item,
    part_version_of,
    use_of,
    version_key,
)
from atelier.audit_log.model import AuditEvent
from atelier.errors import NotFound
from atelier.sites.model import Part, PartKind, PartUse, PartVersion
from atelier.sites.ports import PartExists, PartInUse, PartPage, PartVersionPage, StalePart

BUSY, TRIES_MAX = "The part is busy. Try again.", 20
READ_TOGETHER = 80
ID_PREFIX = {PartKind.COMPONENT: "cmp_", PartKind.SECTION: "sec_"}


class DynamoParts:
    """Parts on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        bind(table_name)

    def create(self, part: Part, note: str) -> None:
        def fill(write: Transaction) -> None:
            write.save(part_item(part, note), PartItem.pk.does_not_exist(), part="part")
            write.save(part_version_item(part, note))
            write.save(PartUseCountItem(part.workspace_id, USES + part.id, pages=0))

        _write(fill, PartExists)

    def get(self, workspace_id: str, part_id: str) -> Part:
        try:
            return part_of(PartItem.get(workspace_id, PART + part_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def find(self, workspace_id: str, part_ids: Iterable[str]) -> Mapping[str, Part]:
        found = dict[str, Part]()
        ids = list(dict.fromkeys(part_ids))
        for first in range(0, len(ids), READ_TOGETHER):
            read = batch_read((PartItem, workspace_id, PART + id) for id in ids[first : first + READ_TOGETHER])
            parts = (part_of(cast("PartItem", item)) for item in read.values())
            found |= {part.id: part for part in parts}
        return found

    def list(self, workspace_id: str, kind: PartKind, after_id: str | None, limit: int) -> PartPage:
        first = PART + ID_PREFIX[kind]
        after = PART + after_id if after_id else None
        items, next_key = newest_page(
            PartItem, workspace_id, (first, f"{first}~"), matching=None, after=after, limit=limit
        )
        return PartPage(tuple(map(part_of, items)), next_key.removeprefix(PART) if next_key else None)

    def replace(self, before: Part, after: Part, note: str, replaced_until: datetime) -> None:
        old = PartVersionItem(before.workspace_id, version_key(before.id, before.version, PART_VERSION))
        expiry = PartVersionItem.expires_at_seconds.set(int(replaced_until.timestamp()))

        def fill(write: Transaction) -> None:
            write.save(part_item(after, note), PartItem.version == before.version, part="part")
            write.save(part_version_item(after, note))
            write.update(old, [expiry], PartVersionItem.pk.exists(), part="part")

        _write(fill, StalePart)

    def version(self, workspace_id: str, part_id: str, number: int, now: datetime) -> PartVersion | None:
        try:
            item = PartVersionItem.get(workspace_id, version_key(part_id, number, PART_VERSION), consistent_read=True)
        except DoesNotExist:
            return None
        return part_version_of(item) if is_kept(item, now) else None

    def versions(
        self, workspace_id: str, part_id: str, before: int | None, limit: int, now: datetime
    ) -> PartVersionPage:
        bounds = (version_key(part_id, 0, PART_VERSION), version_key(part_id, 10**10 - 1, PART_VERSION))
        items, next_key = newest_page(
            PartVersionItem,
            workspace_id,
            bounds,
            matching=None,
            after=version_key(part_id, before, PART_VERSION) if before is not None else None,
            limit=limit,
            mostly_matching=True,
            accepts=lambda item: is_kept(item, now),
        )
        return PartVersionPage(tuple(map(part_version_of, items)), number_in(next_key) if next_key else None)

    def uses(self, workspace_id: str, part_id: str) -> Sequence[PartUse]:
        found = PartUseItem.query(workspace_id, PartUseItem.sk.startswith(f"{USE}{part_id}#"), consistent_read=True)
        return [use_of(item) for item in found]

    def remove(self, part: Part, events: Sequence[AuditEvent]) -> None:
        def fill(write: Transaction) -> None:
            write.delete(PartItem(part.workspace_id, PART + part.id), PartItem.version == part.version, part="part")
            count = PartUseCountItem(part.workspace_id, USES + part.id)
            write.delete(count, PartUseCountItem.pages == 0, part="uses")
            save_events(write, events)

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (StalePart if "part" in error.parts else PartInUse)() from error

    def remove_contents(self, workspace_id: str, part_id: str) -> int:
        """Remove the versions of a removed part. Returns how many; repeating it is safe."""
        first = f"{PART_VERSION}{part_id}#"
        keys = PartVersionItem.query(
            workspace_id,
            PartVersionItem.sk.startswith(first),
            consistent_read=True,
            attributes_to_get=["pk", "sk"],
        )
        count = 0
        with PartVersionItem.batch_write() as batch:
            for item in keys:
                batch.delete(PartVersionItem(workspace_id, item.sk))
                count += 1
        return count


def _write(fill: Callable[[Transaction], None], refusal: type[Exception]) -> None:
    try:
        write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise refusal from error
