"""The published versions of tiers and packs, in the ledger's table, which everything reads that asks for a tier.

pk price-list  sk published    all of them, in one item: they are few, and read together"""

from __future__ import annotations

from pynamodb.attributes import JSONAttribute, NumberAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Item, Transaction
from atelier.catalogue.price_list import Published, PublishedVersion
from atelier.clock import parse_rfc3339, rfc3339

PRICE_LIST, PUBLISHED = "price-list", "published"


class PriceListItem(Item):
    """versions: kind, entry and time of each. revision: how many there are, which its condition needs."""

    versions = JSONAttribute()
    revision = NumberAttribute()


class DynamoPriceList:
    """PublishedPrices on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the ledger's table."""
        PriceListItem.bind(table_name)

    def read(self, *, consistent: bool) -> Published:
        try:
            item = PriceListItem.get(PRICE_LIST, PUBLISHED, consistent_read=consistent)
        except DoesNotExist:
            return Published((), 0)
        versions = tuple(
            PublishedVersion(each["kind"], each["entry"], parse_rfc3339(each["published_at"])) for each in item.versions
        )
        return Published(versions, int(item.revision))


def put_version(write: Transaction, before: Published, version: PublishedVersion) -> None:
    """Add a version to what is published, if that is as it was read."""
    versions = [
        {"kind": each.kind, "entry": dict(each.entry), "published_at": rfc3339(each.published_at)}
        for each in (*before.versions, version)
    ]
    item = PriceListItem(PRICE_LIST, PUBLISHED, versions=versions, revision=before.revision + 1)
    unchanged = PriceListItem.revision == before.revision if before.revision else PriceListItem.pk.does_not_exist()
    write.save(item, unchanged, part="price-list")
