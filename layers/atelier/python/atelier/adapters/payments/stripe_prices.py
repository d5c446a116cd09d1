"""PriceCatalogue by Stripe's SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import stripe

from atelier.adapters.payments.stripe_client import errors_as_ours
from atelier.adapters.payments.stripe_decoding import Json
from atelier.adapters.payments.stripe_reads import plain
from atelier.billing.plan_prices import SellablePrice, SellableProduct

PAGE_SIZE = 100


class SdkPriceCatalogue:
    """PriceCatalogue with one client, which is made when first needed."""

    def __init__(self, client: Callable[[], stripe.StripeClient]) -> None:
        self._client = client

    def products(self) -> Iterator[SellableProduct]:
        with errors_as_ours():
            for found in self._client().v1.products.list({"limit": PAGE_SIZE}).auto_paging_iter():
                yield _product(plain(found))

    def prices(self) -> Iterator[SellablePrice]:
        with errors_as_ours():
            for found in self._client().v1.prices.list({"limit": PAGE_SIZE}).auto_paging_iter():
                yield _price(plain(found))

    def create_product(self, product: SellableProduct) -> None:
        with errors_as_ours():
            self._client().v1.products.create(
                {"id": product.id, "name": product.name, "metadata": dict(product.metadata)},
                {"idempotency_key": f"create {product.id}"},
            )

    def change_product(self, product: SellableProduct) -> None:
        with errors_as_ours():
            self._client().v1.products.update(
                product.id,
                {"name": product.name, "metadata": dict(product.metadata), "active": product.is_active},
            )

    def create_price(self, price: SellablePrice, replaces: str | None) -> None:
        assert price.amount_minor is not None
        assert price.lookup_key is not None
        fields: Any = {
            "product": price.product_id,
            "currency": price.currency,
            "unit_amount": price.amount_minor,
            "lookup_key": price.lookup_key,
            "transfer_lookup_key": replaces is not None,
            "metadata": dict(price.metadata),
        }
        if price.interval is not None:
            fields["recurring"] = {"interval": price.interval}
        # Two runs at the same moment create one price. The one that is replaced is named, so that a price which comes
        # back to an earlier amount is another request.
        key = f"create {price.lookup_key} {price.amount_minor} of {price.product_id} for {replaces}"
        with errors_as_ours():
            self._client().v1.prices.create(fields, {"idempotency_key": key})

    def change_price(self, price: SellablePrice) -> None:
        assert price.id is not None
        assert price.lookup_key is not None
        with errors_as_ours():
            self._client().v1.prices.update(
                price.id,
                {
                    "lookup_key": price.lookup_key,
                    "transfer_lookup_key": True,
                    "metadata": dict(price.metadata),
                    "active": price.is_active,
                },
            )

    def archive_price(self, price_id: str) -> None:
        with errors_as_ours():
            self._client().v1.prices.update(price_id, {"active": False})

    def archive_product(self, product_id: str) -> None:
        with errors_as_ours():
            self._client().v1.products.update(product_id, {"active": False})


def _product(found: Json) -> SellableProduct:
    return SellableProduct(found["id"], found["name"], found.get("metadata") or {}, found["active"])


def _price(found: Json) -> SellablePrice:
    recurring: Json = found.get("recurring") or {}
    count, interval = recurring.get("interval_count") or 1, recurring.get("interval")
    return SellablePrice(
        found["id"],
        found["product"],
        found.get("lookup_key"),
        found["currency"],
        found.get("unit_amount"),
        # Another number of intervals is no interval of ours.
        interval if count == 1 else f"{count} {interval}s",
        found.get("metadata") or {},
        found["active"],
    )
