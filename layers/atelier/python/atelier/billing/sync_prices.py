"""Bring Stripe's products and prices to our price list, or only say where they differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from atelier.billing.plan_prices import (
    ArchivePrice,
    ArchiveProduct,
    BlockedPrice,
    ChangePrice,
    ChangeProduct,
    CreatePrice,
    CreateProduct,
    PriceStep,
    SellablePrice,
    SellableProduct,
    format_steps,
    plan_prices,
)
from atelier.catalogue.price_list import PriceList
from atelier.dataclass import dataclass
from atelier.telemetry import put_count


class PriceCatalogue(Protocol):
    """Products and prices at Stripe. Each call raises Unavailable when Stripe does not answer; repeating it is safe."""

    def products(self) -> Iterable[SellableProduct]:
        """All products of the account, archived ones too."""
        ...

    def prices(self) -> Iterable[SellablePrice]:
        """All prices of the account, archived ones too."""
        ...

    def create_product(self, product: SellableProduct) -> None: ...

    def change_product(self, product: SellableProduct) -> None:
        """Write name, metadata (others' stay) and whether the product is active."""
        ...

    def create_price(self, price: SellablePrice, replaces: str | None) -> None:
        """Create a price, which takes over its lookup key. replaces: the id of the price that has the key now."""
        ...

    def change_price(self, price: SellablePrice) -> None:
        """Write lookup key (taken over from another price of ours), metadata and whether the price is active."""
        ...

    def archive_price(self, price_id: str) -> None: ...

    def archive_product(self, product_id: str) -> None: ...


@dataclass(frozen=True, slots=True)
class PriceSyncDeps:
    """`deployment`: the name that marks what is ours in an account that may have other things. `sells`: whether this
    deployment sells anything."""

    prices: PriceList
    deployment: str
    stripe: PriceCatalogue
    sells: bool = True


@dataclass(frozen=True, slots=True)
class PriceSyncReport:
    """`steps`: how Stripe differed. `applied`: how many of them were done."""

    steps: tuple[PriceStep, ...]
    applied: int

    @property
    def left(self) -> int:
        """How many differences are left."""
        return len(self.steps) - self.applied

    def view(self) -> Mapping[str, int | str]:
        """The report for an operator, with the differences as a table."""
        return {"steps": len(self.steps), "applied": self.applied, "table": format_steps(self.steps)}


def sync_prices(deps: PriceSyncDeps, *, apply: bool) -> PriceSyncReport:
    """Compare the price list with Stripe, and write the differences there if `apply`. What is left is counted by a
    metric. Does nothing where nothing is sold. Safe to repeat and to stop anywhere. Raises Unavailable."""
    if not deps.sells:
        return PriceSyncReport((), 0)
    steps = plan_prices(deps.prices, deps.deployment, deps.stripe.products(), deps.stripe.prices())
    possible = [step for step in steps if apply and not isinstance(step, BlockedPrice)]
    for step in possible:
        _apply(step, deps.stripe)
    report = PriceSyncReport(steps, len(possible))
    if report.left:
        put_count("StripePricesDiffer", report.left)
    return report


def _apply(step: PriceStep, stripe: PriceCatalogue) -> None:
    match step:
        case CreateProduct(product):
            stripe.create_product(product)
        case ChangeProduct(product):
            stripe.change_product(product)
        case CreatePrice(price, replaces):
            stripe.create_price(price, replaces.id if replaces else None)
        case ChangePrice(price):
            stripe.change_price(price)
        case ArchivePrice(price):
            stripe.archive_price(_id_of(price))
        case ArchiveProduct(product):
            stripe.archive_product(product.id)
        case BlockedPrice():
            pass


def _id_of(price: SellablePrice) -> str:
    assert price.id is not None, "a price that is archived exists"
    return price.id
