"""ErasedItems on DynamoDB: items are deleted by partition, without reading them as values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import READ_ATTEMPTS_MAX, Item, conditional, connection, pause_with_jitter
from atelier.adapters.aws.dynamodb.exports.records import RawItem, query_page
from atelier.adapters.aws.dynamodb.inbox import LIFETIME
from atelier.adapters.aws.dynamodb.ledger.items import WALLET, WalletItem
from atelier.adapters.aws.dynamodb.sites.items import CLAIM, DOMAIN, SITE, SLUG, SiteClaimItem
from atelier.erasures.ports import CheckTime
from atelier.errors import Unavailable
from atelier.ids import created_at

# DynamoDB deletes up to 25 items in one request.
DELETED_TOGETHER = 25
LOWEST, HIGHEST = " ", "\uffff"
REFERENCE = "reference#"
# A time that no schedule reaches.
NEVER = "9999-12-31T00:00:00.000Z"
# The id of an object of Stripe that belongs to one customer; not of prices and products, which all share.
STRIPE_ID = re.compile(r"\b(?:cus|sub|in|pi|ch|cs|re|dp|du|pm|seti|txi|il)_[A-Za-z0-9_]+")


class StripeReferenceItem(Item):
    """The id of an object of Stripe whose webhooks an erasure deletes, in the table of erasures."""


class DynamoErasedItems:
    """ErasedItems on DynamoDB. tables: the name of each context's table."""

    def __init__(self, tables: Mapping[str, str], clock: Callable[[], datetime]) -> None:
        self._tables, self._clock = tables, clock
        WalletItem.bind(tables["ledger"])
        StripeReferenceItem.bind(tables["erasures"])

    def delete(self, table: str, partition: str, check_time: CheckTime) -> int:
        return delete_items(self._tables[table], partition, check_time)

    def delete_generations(self, workspace_id: str, check_time: CheckTime) -> int:
        # What is older was deleted by TTL.
        received_after = self._clock() - LIFETIME - timedelta(days=1)

        def delete_webhooks(items: Sequence[RawItem]) -> None:
            for item in items:
                is_young = item["sk"]["S"].startswith("gen_") and created_at(item["sk"]["S"]) > received_after
                stored = item["attempts"]["S"] if is_young and "attempts" in item else "[]"
                attempts: list[dict[str, Any]] = json.loads(stored)
                for attempt in attempts:
                    provider = str(attempt["model"]).partition("/")[0]
                    delete_items(self._tables["inbox"], f"{provider}#{attempt['id']}", check_time)

        return delete_items(self._tables["generations"], workspace_id, check_time, before=delete_webhooks)

    def delete_billing(self, workspace_id: str, check_time: CheckTime) -> int:
        table = self._tables["billing"]

        def note(items: Sequence[RawItem]) -> None:
            # Noted, because Stripe's last webhooks, about the deletion itself, come when the records are gone.
            for id in sorted(set(STRIPE_ID.findall(str(items)))):
                StripeReferenceItem(workspace_id, REFERENCE + id).save()

        def note_and_delete_keys(items: Sequence[RawItem]) -> None:
            note(items)
            for id in sorted(set(STRIPE_ID.findall(str(items)))):
                delete_items(table, f"stripe#{id}", check_time)

        count = delete_items(table, workspace_id, check_time, before=note_and_delete_keys)
        done = set[str]()
        while new := self._references(workspace_id) - done:
            for id in sorted(new):
                # A webhook names objects that have webhooks of their own: a plan's means of payment, for example.
                count += delete_items(self._tables["inbox"], f"stripe#{id}", check_time, before=note)
            done |= new
        return count

    def delete_sites(self, workspace_id: str, check_time: CheckTime) -> int:
        SiteClaimItem.bind(self._tables["sites"])

        def delete_claims(items: Sequence[RawItem]) -> None:
            for site in (item for item in items if item["sk"]["S"].startswith(SITE)):
                for prefix, name in ((SLUG, "slug"), (DOMAIN, "domain")):
                    if name in site:
                        claim = SiteClaimItem(prefix + site[name]["S"], CLAIM)
                        # Another workspace may have it since.
                        is_own = SiteClaimItem.workspace_id == workspace_id
                        conditional(lambda claim=claim, is_own=is_own: claim.delete(condition=is_own))

        return delete_items(self._tables["sites"], workspace_id, check_time, before=delete_claims)

    @staticmethod
    def _references(workspace_id: str) -> set[str]:
        items = StripeReferenceItem.query(
            workspace_id, StripeReferenceItem.sk.startswith(REFERENCE), consistent_read=True
        )
        return {item.sk.removeprefix(REFERENCE) for item in items}

    def close_wallet(self, workspace_id: str) -> None:
        actions: list[Action] = [WalletItem.reset_at.set(NEVER), WalletItem.sweep_at.remove()]
        conditional(lambda: WalletItem(workspace_id, WALLET).update(actions, condition=WalletItem.pk.exists()))


def delete_items(
    table: str,
    partition: str,
    check_time: CheckTime,
    *,
    before: Callable[[Sequence[RawItem]], None] | None = None,
    kept: Iterable[str] = (),
) -> int:
    """Delete the items of a partition page by page, but those with the sort keys `kept`; returns how many. before: is
    called with the items that are deleted next."""
    count, after = 0, None
    while True:
        items, after = query_page(table, partition, (LOWEST, HIGHEST), after)
        gone = [item for item in items if item["sk"]["S"] not in kept]
        for first in range(0, len(gone), DELETED_TOGETHER):
            check_time()
            part = gone[first : first + DELETED_TOGETHER]
            if before is not None:
                before(part)
            delete_keys(table, [(item["pk"]["S"], item["sk"]["S"]) for item in part])
            count += len(part)
        if after is None:
            return count


def delete_keys(table: str, keys: Sequence[tuple[str, str]]) -> None:
    """Delete up to 25 items. Raises Unavailable."""
    requests = [{"DeleteRequest": {"Key": {"pk": {"S": pk}, "sk": {"S": sk}}}} for pk, sk in keys]
    unprocessed: dict[str, Any] = {table: requests} if requests else {}
    dispatch = cast("Callable[[str, dict[str, Any]], dict[str, Any]]", connection().dispatch)
    for tries in range(READ_ATTEMPTS_MAX + 1):
        if not unprocessed:
            return
        if tries:
            pause_with_jitter(tries)
        unprocessed = dispatch("BatchWriteItem", {"RequestItems": unprocessed}).get("UnprocessedItems") or {}
    raise Unavailable("The database is busy. Try again.")
