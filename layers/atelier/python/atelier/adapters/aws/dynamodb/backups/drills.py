"""DrillRecords on DynamoDB.

    pk platform  sk drl_…                  one drill, with how far it has come

The report in the bucket says the same of an ended one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Item, conditional, newest_page
from atelier.adapters.aws.dynamodb.backups.store import OWNER
from atelier.backups.drill import Drill, DrillFigures, DrillStage, DrillState, ScratchLoad, TableSum
from atelier.backups.drill_ports import DrillChanged, DrillExists
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound

RECORD_LIFETIME = timedelta(days=400)


class DrillItem(Item):
    """One drill. values: compressed JSON; some kilobytes of problems at most."""

    state = UnicodeAttribute()
    revision = NumberAttribute()
    values = BinaryAttribute(legacy_encoding=False)
    expires_at_seconds = NumberAttribute()


class DynamoDrills:
    """DrillRecords on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        DrillItem.bind(table_name)

    def create(self, drill: Drill) -> None:
        if not conditional(lambda: _item(drill).save(condition=DrillItem.pk.does_not_exist())):
            raise DrillExists(drill.id)

    def get(self, drill_id: str) -> Drill:
        try:
            return _drill(DrillItem.get(OWNER, drill_id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound from error

    def newest(self, limit: int) -> Sequence[Drill]:
        return self.page(None, limit)[0]

    def page(self, after: str | None, limit: int) -> tuple[Sequence[Drill], str | None]:
        items, following = newest_page(DrillItem, OWNER, ("drl_", "drl_~"), matching=None, after=after, limit=limit)
        return tuple(map(_drill, items)), following

    def save(self, drill: Drill) -> Drill:
        after = replace(drill, revision=drill.revision + 1)
        unchanged = DrillItem.revision == drill.revision
        if not conditional(lambda: _item(after).save(condition=unchanged)):
            raise DrillChanged(drill.id)
        return after


def _item(drill: Drill) -> DrillItem:
    values = {
        "backup": [drill.backup_id, drill.backup_prefix],
        "started_at": rfc3339(drill.started_at),
        "finished_at": rfc3339(drill.finished_at) if drill.finished_at else None,
        "stage": drill.stage.value,
        "place": drill.place,
        "after": drill.after,
        "written": {table: _sum_fields(each) for table, each in drill.written.items()},
        "loads": {
            table: [each.number, each.handle, each.has_ended, each.failure] for table, each in drill.loads.items()
        },
        "found": _sum_fields(drill.found),
        "heads_met": drill.heads_met,
        "figures": [getattr(drill.figures, name) for name in DrillFigures.__slots__],
        "problems": drill.problems,
        "problems_more": drill.problems_more,
        "is_cleared": drill.is_cleared,
    }
    return DrillItem(
        OWNER,
        drill.id,
        state=drill.state.value,
        revision=drill.revision,
        values=zlib.compress(json.dumps(values, separators=(",", ":")).encode()),
        expires_at_seconds=int((drill.started_at + RECORD_LIFETIME).timestamp()),
    )


def _drill(item: DrillItem) -> Drill:
    values: dict[str, Any] = json.loads(zlib.decompress(item.values))
    finished_at: str | None = values["finished_at"]
    return Drill(
        item.sk,
        *values["backup"],
        started_at=parse_rfc3339(values["started_at"]),
        state=DrillState(item.state),
        finished_at=parse_rfc3339(finished_at) if finished_at else None,
        stage=DrillStage(values["stage"]),
        place=values["place"],
        after=values["after"],
        written={table: _sum(fields) for table, fields in values["written"].items()},
        loads={table: ScratchLoad(*fields) for table, fields in values["loads"].items()},
        found=_sum(values["found"]),
        heads_met=values["heads_met"],
        figures=DrillFigures(*values["figures"]),
        problems=tuple(values["problems"]),
        problems_more=values["problems_more"],
        is_cleared=values["is_cleared"],
        revision=int(item.revision),
    )


def _sum_fields(each: TableSum) -> list[Any]:
    # A number of 256 bits is kept as text: not every reader of JSON has such numbers.
    return [each.items, f"{each.fingerprints:x}"]


def _sum(fields: list[Any]) -> TableSum:
    return TableSum(fields[0], int(fields[1], 16))
