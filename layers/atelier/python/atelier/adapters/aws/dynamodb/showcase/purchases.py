"""PurchaseStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import cast

from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    CONFLICT_CODES,
    ItemAddress,
    Transaction,
    batch_read,
    conditional,
    newest_page,
)
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting
from atelier.adapters.aws.dynamodb.showcase.items import (
    EARNED,
    EARNING,
    ITEMS,
    LISTING,
    PAYMENTS_DUE_OF,
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
from atelier.showcase.model import EarnedTotal, Listing, ListingStatus, Purchase, PurchaseState, Share
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
                sums, credits = EarnedTotalItem, share.credits
                actions = [sums.earned.add(credits), sums.waiting.add(credits), sums.sales.add(1)]
                write.update(EarnedTotalItem(share.workspace_id, EARNED + share.user_id), actions)
            for posting in postings:
                put_posting(write, posting)

        write_change(fill)

    def refund(self, listing: Listing | None, before: Purchase, after: Purchase, postings: Sequence[Posting]) -> None:
        def fill(write: Transaction) -> None:
            if listing is not None:
                _count_sale(write, listing, -1, ListingItem.pk.exists())
                tell_sale(write, listing, after, "refunded")
            write.save(purchase_item(after), _is_unchanged(before), part="purchase")
            _end_earnings(write, before, after, kept)
            for posting in postings:
                put_posting(write, posting)

        kept = _kept_earnings(before)
        write_change(fill)

    def change(self, before: Purchase, after: Purchase, postings: Sequence[Posting]) -> None:
        def fill(write: Transaction) -> None:
            write.save(purchase_item(after), _is_unchanged(before), part="purchase")
            if before.pays_at is not None and after.pays_at is None:
                _end_earnings(write, before, after, kept)
            for posting in postings:
                put_posting(write, posting)

        kept = _kept_earnings(before) if postings else ()
        write_change(fill)

    def due(self, now: datetime, limit: int) -> Sequence[Purchase]:
        found = PurchaseItem.due.query(
            PAYMENTS_DUE_OF, PurchaseItem.due_at <= rfc3339(now), limit=limit, page_size=limit
        )
        addresses: list[ItemAddress] = [(PurchaseItem, item.pk, item.sk) for item in found]
        items = batch_read(addresses) if addresses else {}
        stored = [cast("PurchaseItem | None", items.get(address)) for address in addresses]
        # The index may be older than the items: what was paid or put off meanwhile is left out.
        return [purchase_of(item) for item in stored if item and item.due_at and item.due_at <= rfc3339(now)]

    def put_off(self, purchase: Purchase, until: datetime) -> None:
        item = PurchaseItem(purchase.workspace_id, PURCHASE + purchase.listing_id)
        actions: list[Action] = [PurchaseItem.due_at.set(rfc3339(until))]
        conditional(partial(item.update, actions, condition=_is_unchanged(purchase)), CONFLICT_CODES)

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


def _kept_earnings(purchase: Purchase) -> Sequence[Share]:
    """The shares whose earnings are stored: those of an erased account are not."""
    addresses: list[ItemAddress] = [(EarningItem, *_earning_key(purchase, share)) for share in purchase.split.shares]
    found = batch_read(addresses) if addresses else {}
    return [share for share, address in zip(purchase.split.shares, addresses, strict=True) if address in found]


def _end_earnings(write: Transaction, before: Purchase, after: Purchase, shares: Sequence[Share]) -> None:
    """Add to a transaction that the earnings of a purchase are paid, or that there are none after a refund."""
    earning, total, at = EarningItem, EarnedTotalItem, rfc3339(after.updated_at)
    is_refund = after.state is PurchaseState.REFUNDED
    for share in shares:
        ended = earning.taken_back_at.set(at) if is_refund else earning.paid_at.set(at)
        actions: list[Action] = [ended, earning.waits.remove()]
        write.update(EarningItem(*_earning_key(before, share)), actions, earning.pk.exists(), part="earning")
        sums: list[Action] = [total.waiting.add(-share.credits)]
        sums += [total.taken_back.add(share.credits), total.sales.add(-1)] if is_refund else []
        write.update(EarnedTotalItem(share.workspace_id, EARNED + share.user_id), sums)


def _earning_key(purchase: Purchase, share: Share) -> tuple[str, str]:
    item = earning_item(purchase, share)
    return item.pk, item.sk


def _is_unchanged(purchase: Purchase) -> Condition:
    item = PurchaseItem
    unchanged = (item.purchase_id == purchase.id) & (item.state == purchase.state.value)
    waits = item.pays_at.does_not_exist() if purchase.pays_at is None else item.pays_at.exists()
    return unchanged & (item.updated_at == rfc3339(purchase.updated_at)) & waits
