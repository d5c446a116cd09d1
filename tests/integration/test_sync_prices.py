"""The price list and Stripe: compared and written with the unmodified SDK against the simulator."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from typing import Any

import pytest
import stripe

from atelier.adapters.payments.stripe_client import new_client
from atelier.adapters.payments.stripe_prices import SdkPriceCatalogue
from atelier.billing.plan_deps import lookup_key
from atelier.billing.plan_prices import ArchivePrice, CreatePrice, format_steps
from atelier.billing.sync_prices import PriceSyncDeps, PriceSyncReport, sync_prices
from atelier.catalogue.catalogue import Catalogue
from atelier.errors import Unavailable
from infra.simulators.stripe.server import StripeSimulator
from tests.price_lists import with_tiers, with_versions

SHIPPED = with_tiers()
# Three paid tiers with two prices each, and three packs.
PRICES, PRODUCTS = 9, 6


class Shop:
    """An account of Stripe with a deployment that sells there."""

    def __init__(self, simulator: StripeSimulator) -> None:
        self.simulator = simulator
        self.client = new_client(simulator.api_key, simulator.url, seconds_max=20)

    def sync(
        self, shelf: Catalogue = SHIPPED, *, apply: bool = True, deployment: str = "production"
    ) -> PriceSyncReport:
        deps = PriceSyncDeps(shelf.data.prices, deployment, SdkPriceCatalogue(lambda: self.client))
        return sync_prices(deps, apply=apply)

    def prices(self, **filters: Any) -> list[stripe.Price]:
        return list(self.client.v1.prices.list({"limit": 100, **filters}).auto_paging_iter())

    def price(self, item: str, interval: Any = None, currency: str = "usd") -> stripe.Price:
        (found,) = self.prices(lookup_keys=[lookup_key(item, interval, currency)])
        return found

    def products(self) -> list[stripe.Product]:
        return list(self.client.v1.products.list({"limit": 100}).auto_paging_iter())

    def everything(self) -> list[Mapping[str, Any]]:
        return [found.to_dict() for found in [*self.products(), *self.prices()]]


@pytest.fixture
def shop() -> Iterator[Shop]:
    with StripeSimulator() as simulator:
        yield Shop(simulator)


def actions(report: PriceSyncReport) -> list[str]:
    return [type(step).__name__ for step in report.steps]


def test_an_empty_account_gets_the_price_list_and_a_second_run_does_nothing(shop: Shop) -> None:
    first = shop.sync()
    assert (len(first.steps), first.applied, first.left) == (PRICES + PRODUCTS, PRICES + PRODUCTS, 0)
    pro = shop.price("pro@1", "month")
    assert (pro.unit_amount, pro.currency, pro.recurring and pro.recurring.interval) == (2900, "usd", "month")
    assert pro.metadata.to_dict() == {
        "atelier_tier": "pro@1",
        "atelier_interval": "month",
        "atelier_deployment": "production",
    }
    small = shop.price("small@1")
    assert (small.unit_amount, small.recurring) == (600, None)
    assert small.metadata.to_dict() == {"atelier_pack": "small@1", "atelier_deployment": "production"}
    names = {
        product.metadata["atelier_tier"]: product.name
        for product in shop.products()
        if "atelier_tier" in product.metadata
    }
    assert names == {"starter@1": "Starter", "pro@1": "Pro", "studio@1": "Studio"}

    before = shop.everything()
    again = shop.sync()
    assert (again.steps, shop.everything()) == ((), before)
    assert again.view()["table"] == "Stripe has the price list."


def test_a_dry_run_writes_nothing_and_counts_the_differences(shop: Shop) -> None:
    written = io.StringIO()
    with redirect_stdout(written):
        report = shop.sync(apply=False)
    assert (len(report.steps), report.applied) == (PRICES + PRODUCTS, 0)
    assert shop.everything() == []
    assert f'"StripePricesDiffer":[{PRICES + PRODUCTS}.0]' in written.getvalue()
    table = str(report.view()["table"]).splitlines()
    assert table[0].split() == ["step", "item", "at", "Stripe", "in", "the", "price", "list"]
    assert ["create", "price", "pro@1", "29.00", "USD", "a", "month"] in [line.split() for line in table]


def test_a_changed_amount_is_a_new_price_and_the_old_one_is_archived(shop: Shop) -> None:
    shop.sync()
    old = shop.price("pro@1", "month")
    report = shop.sync(with_tiers(pro={"price_month": 3900}))
    assert actions(report) == ["CreatePrice", "ArchivePrice"]
    new = shop.price("pro@1", "month")
    assert (new.unit_amount, new.active, new.product) == (3900, True, old.product)
    archived = shop.client.v1.prices.retrieve(old.id)
    assert (archived.active, archived.lookup_key, archived.unit_amount) == (False, None, 2900)
    assert shop.sync(with_tiers(pro={"price_month": 3900})).steps == ()

    # The earlier amount again: the archived price comes back, and no third one is made.
    assert actions(shop.sync()) == ["ChangePrice", "ArchivePrice"]
    assert shop.price("pro@1", "month").id == old.id
    assert len(shop.prices()) == PRICES + 1


def test_a_subscription_goes_on_with_an_archived_price(shop: Shop) -> None:
    shop.sync()
    old = shop.price("pro@1", "month")
    customer = shop.client.v1.customers.create({"payment_method": "pm_card_visa"})
    subscription = shop.client.v1.subscriptions.create(
        {
            "customer": customer.id,
            "items": [{"price": old.id}],
            "trial_period_days": 7,
        }
    )
    shop.sync(with_tiers(pro={"price_month": 3900}))
    kept = shop.client.v1.subscriptions.retrieve(subscription.id)
    assert kept.status == "trialing"
    assert kept["items"].data[0].price.id == old.id


def test_an_earlier_version_keeps_its_active_price_beside_the_new_one(shop: Shop) -> None:
    shop.sync()
    before = {price.id for price in shop.prices()}
    newer = with_versions(pro={"price_month": 3900, "title": "Pro plus"})
    assert actions(shop.sync(newer)) == ["CreateProduct", "CreatePrice", "CreatePrice"]
    assert shop.price("pro@1", "month").active
    assert shop.price("pro@2", "month").unit_amount == 3900
    assert before < {price.id for price in shop.prices()}
    assert shop.sync(newer).steps == ()


def test_what_left_the_price_list_is_archived(shop: Shop) -> None:
    shop.sync()
    unsold = with_tiers(starter={"price_year": 0}, studio={"price_month": 0, "price_year": 0})
    assert sorted(actions(shop.sync(unsold))) == ["ArchivePrice"] * 3 + ["ArchiveProduct"]
    active = {price.lookup_key for price in shop.prices(active=True)}
    assert "atelier:starter:1:month:usd" in active
    assert not active & {"atelier:starter:1:year:usd", "atelier:studio:1:month:usd", "atelier:studio:1:year:usd"}
    assert shop.sync(unsold).steps == ()
    # And it comes back without new objects.
    assert sorted(actions(shop.sync())) == ["ChangePrice"] * 3 + ["ChangeProduct"]
    assert len(shop.prices()) == PRICES


def test_objects_of_others_are_never_touched(shop: Shop) -> None:
    theirs = shop.client.v1.products.create({"name": "Pro", "metadata": {"atelier_tier": "pro@1"}})
    shop.client.v1.prices.create(
        {"product": theirs.id, "currency": "usd", "unit_amount": 2900, "recurring": {"interval": "month"}}
    )
    shop.client.v1.prices.create({"product": theirs.id, "currency": "eur", "unit_amount": 5, "lookup_key": "pro"})
    shop.sync(deployment="staging")
    before = {found["id"]: found for found in shop.everything()}
    # The two deployments use the same lookup keys, so the second cannot sell what the first one has.
    report = shop.sync()
    assert report.left == len([name for name in actions(report) if name == "BlockedPrice"]) == PRICES
    after = {found["id"]: found for found in shop.everything()}
    assert {id: after[id] for id in before} == before
    assert "of others has atelier:pro:1:month:usd" in format_steps(report.steps)


def test_what_somebody_changed_by_hand_is_put_right(shop: Shop) -> None:
    shop.sync()
    price, product = shop.price("pro@1", "year"), shop.price("pro@1", "month").product
    shop.client.v1.prices.update(price.id, {"active": False, "metadata": {"atelier_tier": "studio@1", "note": "x"}})
    shop.client.v1.products.update(str(product), {"name": "Profi", "active": False})
    key = lookup_key("small@1", None, "usd")
    small = shop.price("small@1")
    shop.client.v1.prices.update(small.id, {"lookup_key": "small"})
    assert sorted(actions(shop.sync(apply=False))) == ["ChangePrice", "ChangePrice", "ChangeProduct"]
    shop.sync()
    mended = shop.price("pro@1", "year")
    assert (mended.id, mended.active, mended.metadata["atelier_tier"], mended.metadata["note"]) == (
        price.id,
        True,
        "pro@1",
        "x",
    )
    assert shop.client.v1.products.retrieve(str(product)).name == "Pro"
    assert shop.prices(lookup_keys=[key])[0].id == small.id
    assert shop.sync().steps == ()


def test_yen_have_no_decimals_and_keep_their_amount(shop: Shop) -> None:
    yen = with_tiers(pro={"currency": "jpy", "price_month": 4500, "price_year": 45000})
    report = shop.sync(yen, apply=False)
    assert "4500 JPY a month" in format_steps(report.steps)
    shop.sync(yen)
    price = shop.price("pro@1", "month", "jpy")
    assert (price.unit_amount, price.currency) == (4500, "jpy")
    assert shop.sync(yen).steps == ()
    # Another currency of the same version: the prices in yen are archived.
    assert sorted(actions(shop.sync())) == ["ArchivePrice", "ArchivePrice", "CreatePrice", "CreatePrice"]


@pytest.mark.parametrize("done", range(PRICES + PRODUCTS))
def test_a_run_that_stopped_anywhere_is_ended_by_the_next_one(shop: Shop, done: int) -> None:
    calls = 0

    class StoppingCatalogue(SdkPriceCatalogue):
        def __getattribute__(self, name: str) -> Any:
            nonlocal calls
            if name.startswith(("create", "change", "archive")):
                calls += 1
                if calls > done:
                    raise Unavailable("Stopped.")
            return super().__getattribute__(name)

    deps = PriceSyncDeps(SHIPPED.data.prices, "production", StoppingCatalogue(lambda: shop.client))
    with pytest.raises(Unavailable):
        sync_prices(deps, apply=True)
    assert len(shop.sync().steps) == PRICES + PRODUCTS - done
    assert (len(shop.products()), len(shop.prices()), shop.sync().steps) == (PRODUCTS, PRICES, ())


def test_a_replacement_that_stopped_before_archiving_is_ended(shop: Shop) -> None:
    shop.sync()
    old, dearer = shop.price("pro@1", "month"), with_tiers(pro={"price_month": 3900})
    create, archive = shop.sync(dearer, apply=False).steps
    assert isinstance(create, CreatePrice)
    assert isinstance(archive, ArchivePrice)
    stripe_catalogue = SdkPriceCatalogue(lambda: shop.client)
    # Twice, as by two runs at the same moment.
    for _ in range(2):
        stripe_catalogue.create_price(create.price, old.id)
    assert len(shop.prices()) == PRICES + 1
    assert actions(shop.sync(dearer)) == ["ArchivePrice"]


def test_a_deployment_that_sells_nothing_asks_nothing() -> None:
    def no_client() -> stripe.StripeClient:
        raise AssertionError("Stripe is asked.")

    deps = PriceSyncDeps(SHIPPED.data.prices, "production", SdkPriceCatalogue(no_client), sells=False)
    assert sync_prices(deps, apply=True).steps == ()


def test_more_objects_than_a_page_are_all_seen(shop: Shop) -> None:
    theirs = shop.client.v1.products.create({"name": "Other"})
    shop.sync()
    for number in range(101):
        shop.client.v1.prices.create({"product": theirs.id, "currency": "usd", "unit_amount": number + 1})
    assert shop.sync().steps == ()
