"""Plan what has to change at Stripe so that it sells our price list. Pure: two price lists in, steps out.

An item is a version of a tier or of a pack (`pro@1`). It has one product, and a price for each way to buy it, found by
its lookup key. Everything of ours carries the deployment's name in its metadata; whatever lacks it is of others, and no
step touches it. An amount cannot be changed at Stripe: another one is a new price, which takes over the lookup key, and
the old price is archived. Subscriptions go on with an archived price. Prices of versions that are not on sale any more
stay active, because Stripe takes no archived price when the plan of their subscribers is scheduled to change; they are
not sold, because checkouts ask for versions that are on sale only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from atelier.billing.plan_deps import lookup_key
from atelier.catalogue.currencies import DIGITS, format_money
from atelier.catalogue.price_list import PriceList
from atelier.catalogue.tiers import Interval
from atelier.dataclass import dataclass

DEPLOYMENT, TIER, PACK, INTERVAL = "atelier_deployment", "atelier_tier", "atelier_pack", "atelier_interval"


@dataclass(frozen=True, slots=True)
class SellableProduct:
    """A product: what Stripe shows as the name of what is bought."""

    id: str
    name: str
    metadata: Mapping[str, str]
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class SellablePrice:
    """A price of a product. `id`: None = it does not exist yet. `amount_minor`: None = it has no whole amount.
    `interval`: None = it is paid once; another one than ours is its text at Stripe."""

    id: str | None
    product_id: str
    lookup_key: str | None
    currency: str
    amount_minor: int | None
    interval: str | None
    metadata: Mapping[str, str]
    is_active: bool = True

    def sells_like(self, other: SellablePrice) -> bool:
        """Whether both cost the same for the same product: what cannot be changed at Stripe is equal."""
        return (self.product_id, self.currency, self.amount_minor, self.interval) == (
            other.product_id,
            other.currency,
            other.amount_minor,
            other.interval,
        )

    @property
    def text(self) -> str:
        """The price for people: `29.00 USD a month`."""
        if self.amount_minor is None or self.currency not in DIGITS:
            return self.currency.upper()
        amount = format_money(self.amount_minor, self.currency)
        return f"{amount} a {self.interval}" if self.interval else amount


@dataclass(frozen=True, slots=True)
class CreateProduct:
    product: SellableProduct


@dataclass(frozen=True, slots=True)
class ChangeProduct:
    """Give a product its name and metadata, and make it active."""

    product: SellableProduct


@dataclass(frozen=True, slots=True)
class CreatePrice:
    """Create a price, which takes over its lookup key. `replaces`: the price that has the key now."""

    price: SellablePrice
    replaces: SellablePrice | None


@dataclass(frozen=True, slots=True)
class ChangePrice:
    """Give a price its lookup key and metadata, and make it active."""

    price: SellablePrice


@dataclass(frozen=True, slots=True)
class ArchivePrice:
    price: SellablePrice


@dataclass(frozen=True, slots=True)
class ArchiveProduct:
    product: SellableProduct


@dataclass(frozen=True, slots=True)
class BlockedPrice:
    """A price that cannot be created, because a price of others has its lookup key."""

    price: SellablePrice
    holder: SellablePrice


PriceStep = CreateProduct | ChangeProduct | CreatePrice | ChangePrice | ArchivePrice | ArchiveProduct | BlockedPrice


def plan_prices(
    price_list: PriceList, deployment: str, products: Iterable[SellableProduct], prices: Iterable[SellablePrice]
) -> tuple[PriceStep, ...]:
    """The steps from what Stripe has to what the price list says, in the order in which they can be done; none when
    both agree. products, prices: all of the account's, archived ones too."""
    own_products = [product for product in products if product.metadata.get(DEPLOYMENT) == deployment]
    all_prices = list(prices)
    own_prices = [price for price in all_prices if price.metadata.get(DEPLOYMENT) == deployment]
    holders: dict[str | None, SellablePrice] = {
        price.lookup_key: price for price in all_prices if price.lookup_key is not None
    }

    steps: list[PriceStep] = []
    kept_products, kept_prices = set[str](), set[str | None]()
    for wanted, wanted_prices in _wanted(price_list, deployment):
        product = _best(each for each in own_products if _item(each.metadata) == _item(wanted.metadata)) or wanted
        steps += _product_steps(product, wanted, exists=product is not wanted)
        kept_products.add(product.id)
        for price in wanted_prices:
            placed = _at_product(price, product.id)
            found = _best(each for each in own_prices if each.sells_like(placed))
            holder = holders.get(placed.lookup_key)
            if holder is not None and holder.metadata.get(DEPLOYMENT) != deployment:
                steps.append(BlockedPrice(placed, holder))
            elif found is None:
                steps.append(CreatePrice(placed, holder))
            else:
                kept_prices.add(found.id)
                steps += _price_steps(found, placed)

    steps += [ArchivePrice(price) for price in own_prices if price.is_active and price.id not in kept_prices]
    steps += [
        ArchiveProduct(product) for product in own_products if product.is_active and product.id not in kept_products
    ]
    return tuple(steps)


def format_steps(steps: Iterable[PriceStep]) -> str:
    """The steps as a table for people, one a line; `Stripe has the price list.` without any."""
    rows = [_row(step) for step in steps]
    if not rows:
        return "Stripe has the price list."
    rows.insert(0, ("step", "item", "at Stripe", "in the price list"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _wanted(price_list: PriceList, deployment: str) -> Iterator[tuple[SellableProduct, list[SellablePrice]]]:
    """Each item that has a price, on sale or sold earlier, with its prices."""
    for tier in price_list.tiers.values():
        if tier.prices:
            metadata = {TIER: tier.id, DEPLOYMENT: deployment}
            product = SellableProduct(_product_id(deployment, "tier", tier.id), tier.title, metadata)
            prices = [
                _wanted_price(product, tier.id, each["interval"], each["currency"], each["amount_minor"])
                for each in tier.prices
            ]
            yield product, prices
    for pack in price_list.packs.values():
        metadata = {PACK: pack.id, DEPLOYMENT: deployment}
        product = SellableProduct(_product_id(deployment, "pack", pack.id), pack.title, metadata)
        yield product, [_wanted_price(product, pack.id, None, pack.currency, pack.price)]


def _wanted_price(
    product: SellableProduct, item: str, interval: Interval | None, currency: str, amount_minor: int
) -> SellablePrice:
    metadata = {**product.metadata, **({INTERVAL: interval} if interval else {})}
    key = lookup_key(item, interval, currency)
    return SellablePrice(None, product.id, key, currency, amount_minor, interval, metadata)


def _product_id(deployment: str, kind: str, item: str) -> str:
    """The id of a product that is created: the same at every try, so that two never come of one item."""
    return f"atelier_{deployment}_{kind}_{item.replace('@', '_')}"


def _at_product(price: SellablePrice, product_id: str) -> SellablePrice:
    return SellablePrice(
        price.id, product_id, price.lookup_key, price.currency, price.amount_minor, price.interval, price.metadata
    )


def _product_steps(product: SellableProduct, wanted: SellableProduct, *, exists: bool) -> list[PriceStep]:
    if not exists:
        return [CreateProduct(wanted)]
    named = product.name == wanted.name and _has(product.metadata, wanted.metadata)
    return (
        []
        if named and product.is_active
        else [ChangeProduct(SellableProduct(product.id, wanted.name, wanted.metadata))]
    )


def _price_steps(found: SellablePrice, wanted: SellablePrice) -> list[PriceStep]:
    if found.is_active and found.lookup_key == wanted.lookup_key and _has(found.metadata, wanted.metadata):
        return []
    return [
        ChangePrice(
            SellablePrice(
                found.id,
                found.product_id,
                wanted.lookup_key,
                found.currency,
                found.amount_minor,
                found.interval,
                wanted.metadata,
            )
        )
    ]


FoundT = TypeVar("FoundT", SellableProduct, SellablePrice)


def _best(found: Iterable[FoundT]) -> FoundT | None:
    """The active one of those found, if there is one, else any."""
    return min(found, key=lambda each: not each.is_active, default=None)


def _has(metadata: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether the metadata has what is wanted; others may have added theirs."""
    return metadata.items() >= wanted.items()


def _item(metadata: Mapping[str, str]) -> str:
    tier, pack = metadata.get(TIER), metadata.get(PACK)
    return f"pack {pack}" if pack else tier or "?"


def _row(step: PriceStep) -> tuple[str, str, str, str]:
    match step:
        case CreateProduct(product):
            return "create product", _item(product.metadata), "", product.name
        case ChangeProduct(product):
            return "change product", _item(product.metadata), product.id, product.name
        case CreatePrice(price, replaces):
            return "create price", _item(price.metadata), replaces.text if replaces else "", price.text
        case ChangePrice(price):
            return "change price", _item(price.metadata), price.id or "", f"{price.text}, {price.lookup_key}"
        case ArchivePrice(price):
            return "archive price", _item(price.metadata), f"{price.text} ({price.id})", ""
        case ArchiveProduct(product):
            return "archive product", _item(product.metadata), f"{product.name} ({product.id})", ""
        case BlockedPrice(price, holder):
            return "blocked", _item(price.metadata), f"{holder.id} of others has {price.lookup_key}", price.text
