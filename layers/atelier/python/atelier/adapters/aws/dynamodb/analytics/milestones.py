"""Milestones on DynamoDB:

pk usr_… or wsp_…             sk milestone#<kind>[#<day>]      reached
pk people#<day>#<shard>       sk counts                        how many reached each kind on the day
pk cohort#<month>#<shard>     sk counts                        the same of those who signed up in the month
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from pynamodb.expressions.operand import Path

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    batch_read,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.analytics.facts import facts_by_workspace
from atelier.adapters.aws.dynamodb.analytics.items import SHARDS, shard_of
from atelier.adapters.aws.dynamodb.analytics.row_counts import raw_items
from atelier.adapters.aws.dynamodb.ledger.items import WALLET
from atelier.analytics.milestones import reached_by, sign_up
from atelier.analytics.model import Milestone, MilestoneKind

COUNTS = "counts"
READ_MAX = 100
CONFLICTS_MAX = 20


class MilestoneItem(Item):
    """A milestone that was reached."""


class PeopleItem(Item):
    """Counts: one number attribute for each kind of milestone, beside the keys."""


class DynamoMilestones:
    """MilestoneStore and PeopleSums on DynamoDB."""

    @staticmethod
    def bind(table: str) -> None:
        """Name the table of analytics."""
        for item in (MilestoneItem, PeopleItem):
            item.bind(table)

    def unmarked(self, milestones: Collection[Milestone]) -> list[Milestone]:
        by_address = {(MilestoneItem, each.subject, _key(each)): each for each in milestones}
        addresses = list(by_address)
        found: set[Any] = set()
        for first in range(0, len(addresses), READ_MAX):
            found |= batch_read(addresses[first : first + READ_MAX]).keys()
        return [each for address, each in by_address.items() if address not in found]

    def mark(self, milestone: Milestone) -> bool:
        shard = shard_of(milestone.subject)
        of_day = PeopleItem(f"people#{milestone.on}#{shard}", COUNTS)
        of_cohort = PeopleItem(f"cohort#{milestone.cohort:%Y-%m}#{shard}", COUNTS)
        is_month = milestone.kind is MilestoneKind.ACTIVE_MONTH
        in_cohort = f"{milestone.kind.value}_{milestone.months_after}" if is_month else milestone.kind.value

        def write_all() -> None:
            with transaction() as write:
                is_new = MilestoneItem.pk.does_not_exist()
                write.save(MilestoneItem(milestone.subject, _key(milestone)), is_new, part="milestone")
                if not is_month:
                    write.update(of_day, [Path([milestone.kind.value]).add(1)])
                if milestone.kind is not MilestoneKind.ACTIVE_DAY:
                    write.update(of_cohort, [Path([in_cohort]).add(1)])

        try:
            retry_conflicts(write_all, busy="The counts are busy. Try again.", tries_max=CONFLICTS_MAX)
        except ConditionsFailed:
            return False
        return True

    def of_day(self, day: date) -> Mapping[str, int]:
        return _sum(f"people#{day}#{shard}" for shard in range(SHARDS))

    def of_cohort(self, month: date) -> Mapping[str, int]:
        return _sum(f"cohort#{month:%Y-%m}#{shard}" for shard in range(SHARDS))


def reached(records: Iterable[dict[str, Any]]) -> set[Milestone]:
    """The milestones that a batch of the stream of generations or of the ledger shows."""
    batch = list(records)
    found = {sign_up(workspace_id) for workspace_id in _new_wallets(batch)}
    for facts in facts_by_workspace(batch).values():
        for fact in facts:
            found |= reached_by(fact)
    return found


def _new_wallets(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if keys["sk"]["S"] == WALLET and record["eventName"] == "INSERT":
            yield keys["pk"]["S"]


def _key(milestone: Milestone) -> str:
    return f"milestone#{milestone.key}"


def _sum(partitions: Iterable[str]) -> dict[str, int]:
    total: dict[str, int] = {}
    for partition in partitions:
        for item in raw_items(PeopleItem, partition, PeopleItem.sk == COUNTS, consistent=False):
            for name, value in item.items():
                if "N" in value:
                    total[name] = total.get(name, 0) + int(value["N"])
    return total
