"""Purchases on the embedded DynamoDB: prices are split to the credit, bought once, refunded by the rule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from atelier.adapters.aws.dynamodb.billing.adjustments import DynamoWalletFreezer
from atelier.adapters.aws.dynamodb.documents import DocumentItem
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.showcase.items import EarningItem
from atelier.audit_log.model import Origin
from atelier.clock import rfc3339
from atelier.errors import Conflict, Forbidden, InsufficientCredits, NotFound, ValidationFailed
from atelier.ids import new_id
from atelier.ledger.model import GrantSource, WalletFrozen
from atelier.ledger.post import adjust, grant, revoke
from atelier.showcase.advance import advance_showcase
from atelier.showcase.buy import Acquirer, buy, collect, refund
from atelier.showcase.model import Disclosure, PurchaseState
from atelier.showcase.pay import PAGE, PUT_OFF, pay_all
from atelier.showcase.publish import Creator, remove
from tests.conftest import Tables
from tests.integration.showcase_world import ShowcaseWorld
from tests.integration.world import NOON, World, run_concurrently

State = PurchaseState
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AT = rfc3339(NOON)


def spend(world: World, credits: int) -> object:
    """Takes credits from a wallet, as a price or a generation would."""
    return adjust(world.workspace_id, "adjust#1", -credits, reason="r", by="usr_X", deps=world.post_deps, now=NOON)


class ShortTime:
    """The time left of a run in which so many things can be done."""

    def __init__(self, steps: int) -> None:
        self.steps = steps

    def get_remaining_time_in_millis(self) -> int:
        self.steps -= 1
        return 60_000 if self.steps >= 0 else 0


def call_one(steps: Sequence[Callable[[], object]], place: int) -> object:
    return steps[place]()


@pytest.fixture
def world(tables: Tables) -> ShowcaseWorld:
    return ShowcaseWorld(tables)


def test_a_price_is_held_until_the_time_for_a_refund_is_over(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 105)
    done = world.buy(listing, "Bob")
    assert (done.purchase.split.fee, [s.credits for s in done.purchase.split.shares]) == (10, [95])
    assert (world.bought_left("Bob"), world.held("Bob"), world.earned("Ada")) == (895, 105, 0)
    assert (world.total("Ada"), world.waiting("Ada")) == ((95, 0, 1), 95)
    again = world.buy(listing, "Bob")
    assert again.replayed
    assert again.purchase == done.purchase
    assert world.deps.listings.find(listing.id).sales == 1
    world.time_passes(DAY - timedelta(seconds=1))
    world.advance()
    assert world.earned("Ada") == 0
    world.time_passes(timedelta(seconds=1))
    for _ in range(2):
        world.advance()
        assert (world.bought_left("Bob"), world.held("Bob"), world.earned("Ada")) == (895, 0, 95)
        assert (world.total("Ada"), world.waiting("Ada")) == ((95, 0, 1), 0)
    world.collect(listing, "Bob")
    assert world.earned("Ada") == 95
    entries = [entry for each in world.world("Bob").movements() for entry in each.entries]
    assert [each.amount for each in entries if each.account == "revenue"] == [10]
    world.assert_sound()


def test_collecting_pays_at_once(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 105)
    world.buy(listing, "Bob")
    for _ in range(2):
        world.collect(listing, "Bob")
        assert (world.held("Bob"), world.earned("Ada"), world.waiting("Ada")) == (0, 95, 0)
    [earning] = world.deps.purchases.earnings(world.creator("Ada").workspace_id, "usr_Ada", None, 10).earnings
    assert (earning.paid_at, earning.taken_back_at) == (world.now, None)
    world.pay()
    assert world.earned("Ada") == 95
    world.assert_sound()


def test_nobody_spends_what_the_buyer_can_still_have_back(world: ShowcaseWorld) -> None:
    """Two who act together: one earns and spends, the other has the purchase refunded."""
    listing = world.offered("Ada", 100)
    world.buy(listing, "Bob")
    ada = world.world("Ada")
    before = ada.refreshed()
    with pytest.raises(InsufficientCredits):
        spend(ada, before.available + 1)
    world.refund(listing, "Bob")
    assert (ada.wallet().available, ada.wallet().debt, world.bought_left("Bob")) == (before.available, 0, 1000)
    world.assert_sound()


def revoke_all(world: ShowcaseWorld, name: str) -> None:
    """The payment for somebody's credits is taken back at the payment service."""
    owner = world.world(name)
    key = f"grant#{owner.workspace_id}"
    revoke(owner.workspace_id, f"revoke#{name}", key, 1000, reason="refund", deps=owner.post_deps, now=world.now)


def test_nobody_is_paid_by_a_buyer_whose_own_payment_was_taken_back(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 600)
    bought = world.buy(listing, "Bob").purchase
    revoke_all(world, "Bob")
    bob = world.world("Bob")
    assert (bob.wallet().debt, world.held("Bob")) == (600, 600)
    with pytest.raises(Conflict, match="taken back"):
        world.collect(listing, "Bob")
    world.pay()
    assert (world.earned("Ada"), world.total("Ada"), world.waiting("Ada")) == (0, (540, 540, 0), 0)
    after = world.deps.purchases.purchase(bob.workspace_id, listing.id)
    assert after is not None
    assert (after.id, after.state, world.held("Bob")) == (bought.id, State.REFUNDED, 0)
    assert bob.refreshed().debt == 0
    with pytest.raises(Conflict, match="refunded"):
        world.collect(listing, "Bob")
    world.assert_sound()


def test_a_frozen_wallet_pays_nobody(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 600)
    world.buy(listing, "Bob")
    bob = world.world("Bob")
    DynamoWalletFreezer().freeze(bob.workspace_id, world.now, events=())
    with pytest.raises(WalletFrozen):
        world.collect(listing, "Bob")
    assert world.held("Bob") == 600
    world.pay()
    assert (world.earned("Ada"), world.held("Bob"), bob.wallet().spendable(world.now)) == (0, 0, 1000)
    assert bob.wallet().frozen_at is not None
    world.assert_sound()


def test_a_payment_and_a_freeze_at_once_never_pay_from_a_frozen_wallet(world: ShowcaseWorld) -> None:
    for number in range(5):
        listing, name = world.offered("Ada", 600), f"B{number}"
        world.buy(listing, name)
        owner, earned = world.world(name), world.earned("Ada")
        freeze = partial(DynamoWalletFreezer().freeze, owner.workspace_id, world.now, events=())
        done = run_concurrently(2, partial(call_one, [freeze, partial(world.collect, listing, name)]))
        failed = [each for each in done if isinstance(each, Exception)]
        assert all(isinstance(each, WalletFrozen) for each in failed)
        # What was paid before the freeze stays paid.
        assert world.earned("Ada") - earned == (0 if failed else 540)
    world.assert_sound()


def test_a_payment_and_a_debt_at_once_never_pay_from_a_debt(world: ShowcaseWorld) -> None:
    for number in range(5):
        listing, name = world.offered("Ada", 600), f"B{number}"
        world.buy(listing, name)
        steps = [partial(revoke_all, world, name), partial(world.collect, listing, name)]
        done = run_concurrently(2, partial(call_one, steps))
        assert all(isinstance(each, Conflict) for each in done if isinstance(each, Exception))
        world.time_passes(DAY)
        world.advance()
        state = world.deps.purchases.purchase(world.buyer(name).workspace_id, listing.id)
        assert state is not None
        # What was paid before the debt stays paid.
        assert (world.world(name).refreshed().debt > 0) == (state.state is State.COLLECTED)
    world.assert_sound()


def test_a_person_buys_nothing_of_their_own_for_an_organisation(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 10)
    world.world("Org")
    with pytest.raises(Conflict, match="your own"):
        buy(listing.id, None, replace(world.buyer("Org"), user_id="usr_Ada"), deps=world.deps, now=world.now)


def test_who_may_not_spend_ends_no_refund(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 10)
    world.buy(listing, "Bob")
    viewer = replace(world.buyer("Bob"), may_spend=False)
    with pytest.raises(Forbidden):
        collect(listing.id, viewer, deps=world.deps, now=world.now)
    world.pay()
    assert collect(listing.id, viewer, deps=world.deps, now=world.now).purchase.state is State.COLLECTED


def test_refunds_do_not_make_credits_last_longer(world: ShowcaseWorld) -> None:
    eve = world.world("Eve", credits=0)
    expiry = world.now + HOUR
    grant(eve.workspace_id, "grant#1", GrantSource.MONTHLY, 100, expires_at=expiry, deps=eve.post_deps, now=world.now)
    for _ in range(3):
        listing = world.offered("Ada", 100)
        world.buy(listing, "Eve")
        world.time_passes(20 * HOUR)
        world.refund(listing, "Eve")
        assert [each.expires_at for each in eve.wallet().grants if each.remaining == 100] == [world.now + HOUR]
    world.assert_sound()


def test_listings_and_payments_take_turns(world: ShowcaseWorld) -> None:
    """A run without time for all does some of both."""
    for number in range(PAGE + 1):
        world.buy(world.offered("Ada", 10), f"B{number}")
    world.time_passes(DAY)
    time = ShortTime(2 * PAGE)
    advance_showcase(time, deps=world.advance_deps, clock=lambda: world.now)
    listings = world.advance_deps.store.due(world.now, 100)
    payments = world.deps.purchases.due(world.now, 100)
    assert (len(listings), len(payments)) == (0, PAGE + 1 - (2 * PAGE - (PAGE + 1)))


def test_a_payment_that_fails_is_put_off_and_does_not_stop_the_others(world: ShowcaseWorld) -> None:
    first, second = world.offered("Ada", 100), world.offered("Cem", 100)
    world.buy(first, "Bob")
    world.buy(second, "Bob")
    wallet = WalletItem.get(world.world("Ada").workspace_id, "wallet")
    wallet.delete()
    world.pay()
    assert (world.earned("Cem"), world.held("Bob")) == (90, 100)
    wallet.save()
    world.advance()
    assert world.earned("Ada") == 0
    world.time_passes(PUT_OFF)
    world.advance()
    assert (world.earned("Ada"), world.held("Bob")) == (90, 0)
    world.assert_sound()


def test_what_an_erased_account_has_bought_is_paid(world: ShowcaseWorld) -> None:
    listings = [world.offered("Ada", 10), world.offered("Cem", 20), world.offered("Cem", 0)]
    for listing in listings:
        world.buy(listing, "Bob")
    bob = world.buyer("Bob").workspace_id
    for _ in range(2):
        pay_all(bob, deps=world.deps.payments, now=world.now)
        assert (world.earned("Ada"), world.earned("Cem"), world.held("Bob")) == (9, 18, 0)
    world.assert_sound()


def test_the_earnings_of_an_erased_account_are_not_written_again(world: ShowcaseWorld) -> None:
    first, second = world.offered("Ada", 10), world.offered("Ada", 20)
    for listing in (first, second):
        world.buy(listing, "Bob")
    ada = world.creator("Ada").workspace_id
    for kind in ("earning#", "earned#"):
        for item in EarningItem.query(ada, EarningItem.sk.startswith(kind)):
            item.delete()
    world.refund(first, "Bob")
    world.collect(second, "Bob")
    assert not [item.sk for item in EarningItem.query(ada, EarningItem.sk.startswith("earn"))]
    assert (world.bought_left("Bob"), world.held("Bob")) == (980, 0)
    world.assert_sound()


def test_a_payment_a_refund_and_a_collection_at_once_never_happen_together(world: ShowcaseWorld) -> None:
    for number in range(5):
        listing, name = world.offered("Ada", 10), f"B{number}"
        world.buy(listing, name)
        bought_at = world.now
        world.time_passes(DAY)
        early = partial(refund, listing.id, world.buyer(name), deps=world.deps, now=bought_at)
        steps = [early, world.advance, world.advance, partial(world.collect, listing, name)]
        done = run_concurrently(4, partial(call_one, steps))
        assert all(isinstance(each, Conflict) for each in done if isinstance(each, Exception))
        state = world.deps.purchases.purchase(world.buyer(name).workspace_id, listing.id)
        assert state is not None
        assert (state.pays_at, world.held(name)) == (None, 0)
        assert (state.state is State.REFUNDED) == (world.bought_left(name) == 1000)
    assert world.waiting("Ada") == 0
    earned, taken_back, _ = world.total("Ada")
    assert world.earned("Ada") == earned - taken_back
    world.assert_sound()


def test_royalties_go_along_the_lineage_of_a_remix_of_a_remix(world: ShowcaseWorld) -> None:
    first = world.offered("Ada", 50)
    world.buy(first, "Bob")
    bobs = world.collect(first, "Bob").id
    second = world.offered("Bob", 100, made_from=[bobs])
    assert [(a.listing_id, a.generation) for a in second.ancestors] == [(first.id, 1)]
    world.buy(second, "Cem")
    # What lies between is deleted: the ancestors stay.
    cems = world.collect(second, "Cem").id
    assert (world.earned("Bob"), world.earned("Ada")) == (80, 45 + 10)
    between = world.asset("Cem", made_from=[cems])
    world.assets.delete(between.workspace_id, cems, world.now)
    third = world.offered("Cem", 1000, made_from=[between.id])
    world.buy(third, "Dee")
    world.pay()
    assert (world.earned("Cem"), world.earned("Bob"), world.earned("Ada")) == (750, 80 + 100, 55 + 50)
    sales = world.deps.purchases.earnings(world.creator("Ada").workspace_id, "usr_Ada", None, 10).earnings
    expected = {first.id: ("seller", 45), second.id: ("royalty", 10), third.id: ("royalty", 50)}
    assert {sale.listing_id: (sale.role, sale.credits) for sale in sales} == expected
    world.assert_sound()


def test_nobody_pays_royalties_to_themselves(world: ShowcaseWorld) -> None:
    first = world.offered("Ada", 50)
    world.buy(first, "Bob")
    second = world.offered("Bob", 100, made_from=[world.collect(first, "Bob").id])
    bought = world.buy(second, "Ada")
    assert [(s.role, s.credits) for s in bought.purchase.split.shares] == [("seller", 90)]
    world.assert_sound()


def test_daily_and_promotional_credits_pay_no_creators(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 40)
    poor = world.world("Eve", credits=0)
    grant(poor.workspace_id, "grant#promo", GrantSource.PROMO, 100, deps=poor.post_deps, now=world.now)
    with pytest.raises(InsufficientCredits) as refused:
        world.buy(listing, "Eve")
    assert refused.value.facts == {"limit": "wallet", "needed": 40, "available": 0, "reason": "free_credits"}
    grant(poor.workspace_id, "grant#plan", GrantSource.MONTHLY, 40, deps=poor.post_deps, now=world.now)
    world.buy(listing, "Eve")
    world.collect(listing, "Eve")
    assert world.earned("Ada") == 36
    world.assert_sound()


def test_a_free_listing_moves_no_credits(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 0)
    before = world.world("Bob").refreshed()
    done = world.buy(listing, "Bob")
    assert done.purchase.split.shares == ()
    assert world.world("Bob").wallet().written == before.written
    with pytest.raises(Conflict, match="nothing to refund"):
        world.refund(listing, "Bob")
    assert world.collect(listing, "Bob").id.startswith("ast_")


def test_what_cannot_be_bought(world: ShowcaseWorld) -> None:
    pending = world.publish("Ada", world.asset("Ada").id)
    with pytest.raises(NotFound):
        world.buy(pending, "Bob")
    listing = world.approve(pending)
    with pytest.raises(Conflict, match="your own"):
        world.buy(listing, "Ada")
    with pytest.raises(Conflict) as refused:
        world.buy(listing, "Bob", seen=99)
    assert refused.value.facts == {"price_credits": 100, "reason": "price"}
    viewer = Acquirer(world.world("Bob").workspace_id, "usr_V", may_spend=False)
    with pytest.raises(Forbidden):
        buy(listing.id, None, viewer, deps=world.deps, now=world.now)
    with pytest.raises(NotFound):
        remove(Creator("wsp_other", "usr_E", Origin()), listing.id, deps=world.deps, now=world.now)
    remove(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    with pytest.raises(Conflict, match="not on offer"):
        world.buy(listing, "Bob")
    assert world.bought_left("Bob") == 1000


def test_a_price_that_changes_between_reading_and_paying_is_not_paid(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 100)
    stored = world.deps.listings

    class ChangesMeanwhile:
        """The real store; once the listing was read, its price changes."""

        def __getattr__(self, name: str) -> object:
            return getattr(stored, name)

        def find(self, listing_id: str) -> object:
            found = stored.find(listing_id)
            if found.price_credits == 100:
                stored.change(found, replace(found, price_credits=200, version=found.version + 1), ())
            return found

    world.deps = replace(world.deps, listings=ChangesMeanwhile())  # type: ignore[arg-type]
    with pytest.raises(Conflict) as refused:
        world.buy(listing, "Bob", seen=100)
    assert refused.value.facts["price_credits"] == 200
    assert world.bought_left("Bob") == 1000


def test_a_refund_gives_everything_back_and_nobody_is_paid(world: ShowcaseWorld) -> None:
    first = world.offered("Ada", 50)
    world.buy(first, "Bob")
    second = world.offered("Bob", 100, made_from=[world.collect(first, "Bob").id])
    world.buy(second, "Cem", key="k1")
    assert (world.waiting("Ada"), world.waiting("Bob"), world.bought_left("Cem")) == (10, 80, 900)
    world.time_passes(23 * HOUR)
    assert world.refund(second, "Cem").purchase.state is State.REFUNDED
    assert world.refund(second, "Cem").replayed
    assert (world.earned("Ada"), world.earned("Bob"), world.bought_left("Cem")) == (45, 0, 1000)
    assert (world.total("Ada"), world.total("Bob")) == ((55, 10, 1), (80, 80, 0))
    assert world.deps.listings.find(second.id).sales == 0
    with pytest.raises(Conflict, match="refunded"):
        world.collect(second, "Cem")
    # The same request again is the same purchase; another one buys again, and is not refunded again.
    assert world.buy(second, "Cem", key="k1").replayed
    assert world.buy(second, "Cem", key="k2").purchase.state is State.BOUGHT
    with pytest.raises(Conflict, match="refunded before"):
        world.refund(second, "Cem")
    assert (world.bought_left("Cem"), world.earned("Bob")) == (900, 0)
    world.advance()
    assert world.earned("Bob") == 80
    world.assert_sound()


def test_what_was_collected_or_is_old_is_not_refunded(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 100)
    world.buy(listing, "Bob")
    world.collect(listing, "Bob")
    with pytest.raises(Conflict, match="collected"):
        world.refund(listing, "Bob")
    world.buy(listing, "Cem")
    world.time_passes(DAY)
    for _ in range(2):
        with pytest.raises(Conflict, match="time"):
            world.refund(listing, "Cem")
        world.advance()
    with pytest.raises(NotFound):
        world.refund(listing, "Dee")


def test_a_refund_keeps_the_expiry_of_what_paid(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 100)
    eve = world.world("Eve", credits=0)
    soon, later = world.now + HOUR, world.now + 10 * DAY
    for number, (credits, expiry) in enumerate(((20, soon), (30, later), (50, None))):
        source = GrantSource.MONTHLY if expiry else GrantSource.PURCHASE
        key = f"grant#{number}"
        grant(eve.workspace_id, key, source, credits, expires_at=expiry, deps=eve.post_deps, now=world.now)
    world.buy(listing, "Eve")
    world.time_passes(2 * HOUR)
    world.refund(listing, "Eve")
    back = {each.expires_at: each.remaining for each in eve.wallet().grants if each.source is not GrantSource.DAILY}
    # What has expired meanwhile has the time that it had left when it was held.
    assert {expiry: left for expiry, left in back.items() if left} == {world.now + HOUR: 20, later: 30, None: 50}
    world.assert_sound()


def test_a_workspace_buys_once_however_many_ask_at_once(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 100)
    world.buyer("Bob")
    done = run_concurrently(20, lambda number: world.buy(listing, "Bob"))
    assert not [each for each in done if isinstance(each, Exception)]
    assert (world.bought_left("Bob"), world.waiting("Ada")) == (900, 90)
    assert world.deps.listings.find(listing.id).sales == 1
    done = run_concurrently(20, lambda number: world.refund(listing, "Bob"))
    assert not [each for each in done if isinstance(each, Exception)]
    assert (world.bought_left("Bob"), world.waiting("Ada"), world.earned("Ada")) == (1000, 0, 0)
    world.assert_sound()


def test_twenty_buy_at_once_and_everybody_is_counted(world: ShowcaseWorld) -> None:
    first = world.offered("Ada", 50)
    world.buy(first, "Bob")
    listing = world.offered("Bob", 30, made_from=[world.collect(first, "Bob").id])
    names = [f"P{number:02}" for number in range(20)]
    for name in names:
        world.buyer(name)
    done = run_concurrently(20, lambda number: world.buy(listing, names[number]))
    assert not [each for each in done if isinstance(each, Exception)]
    assert (world.waiting("Bob"), world.waiting("Ada")) == (20 * 24, 20 * 3)
    world.time_passes(DAY)
    done = run_concurrently(4, lambda number: world.advance())
    assert not [each for each in done if isinstance(each, Exception)]
    assert (world.earned("Bob"), world.earned("Ada")) == (20 * 24, 45 + 20 * 3)
    assert world.total("Bob") == (480, 0, 20)
    assert world.deps.listings.find(listing.id).sales == 20
    world.assert_sound()


def test_collecting_and_a_refund_at_once_never_happen_both(world: ShowcaseWorld) -> None:
    for number in range(5):
        listing, name = world.offered("Ada", 10), f"B{number}"
        world.buy(listing, name)
        steps = [partial(step, listing, name) for step in (world.refund, world.collect)]
        done = run_concurrently(2, partial(call_one, steps))
        failed = [each for each in done if isinstance(each, Exception)]
        assert len(failed) == 1
        state = world.deps.purchases.purchase(world.buyer(name).workspace_id, listing.id)
        assert state is not None
        assert (state.state is State.COLLECTED) == (world.bought_left(name) == 990)
    world.assert_sound()


def test_buyers_keep_what_they_bought(world: ShowcaseWorld) -> None:
    asset = world.asset("Ada", generation_id="gen_1")
    listing = world.approve(world.publish("Ada", asset.id))
    assert listing.disclosure is Disclosure.UPLOADED
    world.buy(listing, "Bob")
    world.assets.delete(asset.workspace_id, asset.id, world.now)
    world.files.there.discard((asset.workspace_id, asset.sha256))
    remove(world.creator("Ada"), listing.id, deps=world.deps, now=world.now)
    got = world.collect(listing, "Bob")
    assert world.collect(listing, "Bob") == got
    bobs = world.assets.get(world.buyer("Bob").workspace_id, got.id)
    assert (bobs.sha256, bobs.listing_id, bobs.size_bytes) == (asset.sha256, listing.id, 1000)
    assert (bobs.workspace_id, bobs.sha256) in world.files.there
    assert world.assets.count_bytes(bobs.workspace_id) == 1000


def test_what_was_bought_is_not_published_again(world: ShowcaseWorld) -> None:
    listing = world.offered("Ada", 0, licence="personal")
    world.buy(listing, "Bob")
    bobs = world.collect(listing, "Bob").id
    with pytest.raises(Conflict, match="bought this"):
        world.publish("Bob", bobs)
    with pytest.raises(Conflict, match="licence"):
        world.publish("Bob", world.asset("Bob", made_from=[bobs]).id)
    with pytest.raises(ValidationFailed):
        world.publish("Cem", bobs)


def test_a_bought_template_is_published_only_changed_and_pays_its_creator(world: ShowcaseWorld) -> None:
    ada, bob = world.creator("Ada"), world.buyer("Bob")
    template = new_id("tpl", world.now)
    fields = {"name": "Dusk", "kind": "image", "prompt": "a {{thing}} at dusk"}
    DocumentItem(ada.workspace_id, template, user_id="usr_Ada", says=fields, created_at=AT, updated_at=AT).save()
    listing = world.approve(world.publish("Ada", template, 100))
    world.buy(listing, "Bob")
    copy = world.collect(listing, "Bob").id
    with pytest.raises(Conflict, match="bought this"):
        world.publish("Bob", copy)
    DocumentItem(bob.workspace_id, copy).update([DocumentItem.says.set({**fields, "prompt": "a {{thing}} at noon"})])
    remix = world.approve(world.publish("Bob", copy, 200))
    assert [each.listing_id for each in remix.ancestors] == [listing.id]
    world.buy(remix, "Cem")
    world.pay()
    assert (world.earned("Ada"), world.earned("Bob")) == (90 + 20, 160)
    world.assert_sound()


def test_a_bought_template_with_a_strict_licence_is_not_published_changed_either(world: ShowcaseWorld) -> None:
    ada, bob = world.creator("Ada"), world.buyer("Bob")
    template = new_id("tpl", world.now)
    fields = {"name": "Dusk", "kind": "image", "prompt": "dusk"}
    DocumentItem(ada.workspace_id, template, user_id="usr_Ada", says=fields, created_at=AT, updated_at=AT).save()
    listing = world.approve(world.publish("Ada", template, 0, licence="personal"))
    world.buy(listing, "Bob")
    copy = world.collect(listing, "Bob").id
    DocumentItem(bob.workspace_id, copy).update([DocumentItem.says.set({**fields, "prompt": "noon"})])
    with pytest.raises(Conflict, match="licence"):
        world.publish("Bob", copy)


def test_a_frozen_wallet_buys_nothing_and_still_earns_and_gives_back(world: ShowcaseWorld) -> None:
    first, second = world.offered("Ada"), world.offered("Ada")
    world.buy(first, "Bob")
    freeze = DynamoWalletFreezer().freeze
    for name in ("Ada", "Bob"):
        freeze(world.world(name).workspace_id, world.now, events=())
    with pytest.raises(WalletFrozen):
        world.buy(second, "Bob")
    world.buy(second, "Cem")
    world.refund(first, "Bob")
    world.pay()
    assert (world.earned("Ada"), world.bought_left("Bob")) == (90, 1000)
    world.assert_sound()
