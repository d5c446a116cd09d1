"""PurchaseStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import Transaction, newest_page
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting
from atelier.adapters.aws.dynamodb.showcase.items import (
    EARNED,
    EARNING,
    ITEMS,
    LISTING,
    PURCHASE,
    EarnedTotalItem,
    EarningItem,
    ListingItem,
    PurchaseItem,
    earning_item,
    earning_of,
    purchase_item,
    purchase_of,
    total_of,
)
from atelier.adapters.aws.dynamodb.showcase.listings import write_change
from atelier.adapters.aws.dynamodb.showcase.marks import tell_sale
from atelier.clock import rfc3339
from atelier.ledger.operations import Posting
from atelier.showcase.model import EarnedTotal, Listing, ListingStatus, Purchase, Share
from atelier.showcase.ports import EarningPage, PurchasePage


class DynamoPurchases:
    """PurchaseStore on DynamoDB. The ledger's items must be bound to their table."""

    def __init__(self, table_name: str) -> None:
        for item in ITEMS:
            item.bind(table_name)

    def purchase(self, workspace_id: str, listing_id: str) -> Purchase | None:
        try:
            return purchase_of(PurchaseItem.get(workspace_id, PURCHASE + listing_id, consistent_read=True))
        except DoesNotExist:
            return None

    def purchases(self, workspace_id: str, after_key: str | None, limit: int) -> PurchasePage:
        items, next_key = newest_page(
            PurchaseItem,
            workspace_id,
            (PURCHASE, PURCHASE + "~"),
            matching=None,
            after=after_key,
            limit=limit,
            mostly_matching=True,
        )
        return PurchasePage(tuple(map(purchase_of, items)), next_key)

    def buy(self, listing: Listing, before: Purchase | None, new: Purchase, postings: Sequence[Posting]) -> None:
        item = ListingItem
        as_read = (item.status == ListingStatus.VISIBLE.value) & (item.price_credits == listing.price_credits)

        def fill(write: Transaction) -> None:
            _count_sale(write, listing, 1, as_read)
            tell_sale(write, listing, new, "sold")
            unchanged = PurchaseItem.pk.does_not_exist() if before is None else _is_unchanged(before)
            write.save(purchase_item(new), unchanged, part="purchase")
            for share in new.split.shares:
                write.save(earning_item(new, share))
                total = EarnedTotalItem(share.workspace_id, EARNED + share.user_id)
                actions = [EarnedTotalItem.earned.add(share.credits), EarnedTotalItem.sales.add(1)]
                write.update(total, actions)
            for posting in postings:
                put_posting(write, posting)

        write_change(fill)

    def refund(self, listing: Listing | None, before: Purchase, after: Purchase, postings: Sequence[Posting]) -> None:
        def fill(write: Transaction) -> None:
            if listing is not None:
                _count_sale(write, listing, -1, ListingItem.pk.exists())
                tell_sale(write, listing, after, "refunded")
            write.save(purchase_item(after), _is_unchanged(before), part="purchase")
            for share in before.split.shares:
                _take_back(write, before, after, share)
            for posting in postings:
                put_posting(write, posting)

        write_change(fill)

    def collect(self, before: Purchase, after: Purchase) -> None:
        def fill(write: Transaction) -> None:
            write.save(purchase_item(after), _is_unchanged(before), part="purchase")

        write_change(fill)

    def earned(self, workspace_id: str, user_id: str) -> EarnedTotal:
        try:
            return total_of(EarnedTotalItem.get(workspace_id, EARNED + user_id, consistent_read=True))
        except DoesNotExist:
            return EarnedTotal()

    def earnings(self, workspace_id: str, user_id: str, after_key: str | None, limit: int) -> EarningPage:
        prefix = f"{EARNING}{user_id}#"
        items, next_key = newest_page(
            EarningItem,
            workspace_id,
            (prefix, prefix + "~"),
            matching=None,
            after=after_key,
            limit=limit,
            mostly_matching=True,
        )
        return EarningPage(tuple(map(earning_of, items)), next_key)


def _count_sale(write: Transaction, listing: Listing, change: int, condition: Condition) -> None:
    item = ListingItem(listing.workspace_id, LISTING + listing.id)
    write.update(item, [ListingItem.sales.add(change), ListingItem.version.add(1)], condition, part="listing")


def _take_back(write: Transaction, before: Purchase, after: Purchase, share: Share) -> None:
    earning = earning_item(before, share)
    earning.taken_back_at = rfc3339(after.updated_at)
    write.save(earning)
    total = EarnedTotalItem(share.workspace_id, EARNED + share.user_id)
    write.update(total, [EarnedTotalItem.taken_back.add(share.credits), EarnedTotalItem.sales.add(-1)])


def _is_unchanged(purchase: Purchase) -> Condition:
    item = PurchaseItem
    unchanged = (item.purchase_id == purchase.id) & (item.state == purchase.state.value)
    return unchanged & (item.updated_at == rfc3339(purchase.updated_at))
