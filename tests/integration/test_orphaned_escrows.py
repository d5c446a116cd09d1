"""Escrows whose purchase or enrolment is gone, as after a restore of tables that were not read at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.audit_seals import DynamoAuditReads
from atelier.adapters.aws.dynamodb.billing.orphaned_escrows import DynamoOrphanedEscrows
from atelier.adapters.aws.dynamodb.escrow_records import DynamoEscrowRecords
from atelier.adapters.aws.dynamodb.showcase.items import PURCHASE, PurchaseItem
from atelier.adapters.aws.dynamodb.workshops.items import EnrolmentItem, WorkshopPlaceItem, enrolment_key
from atelier.audit_log.model import PLATFORM_LOG, Origin
from atelier.audit_log.ports import EventFilter
from atelier.billing.end_orphaned_escrow import OrphanedEscrowDeps, end_orphaned_escrow, list_orphaned_escrows
from atelier.errors import Conflict, NotFound
from atelier.ledger.escrow import escrow_key, plan_escrow_end
from atelier.ledger.model import Movement
from atelier.ledger.orphaned_escrows import EscrowRecord, OrphanedEscrow
from atelier.ledger.ports import StaleWallet
from atelier.ledger.post import PostDeps
from atelier.showcase.model import Listing, Purchase, PurchaseState
from tests.conftest import Tables
from tests.integration.showcase_world import ShowcaseWorld
from tests.integration.workshop_world import WorkshopWorld

ADMIN = Origin(user_id="usr_admin")
HOUR = timedelta(hours=1)


class RacingRecords(DynamoEscrowRecords):
    """Something else happens at the very moment of the check: before or after the record is read."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.before = self.after = lambda: None

    def record_of(self, workspace_id: str, escrow: Movement) -> EscrowRecord:
        self.before()
        record = super().record_of(workspace_id, escrow)
        self.after()
        return record


@pytest.fixture
def showcase(tables: Tables) -> ShowcaseWorld:
    return ShowcaseWorld(tables)


def deps_of(tables: Tables, wallets: PostDeps) -> OrphanedEscrowDeps:
    return OrphanedEscrowDeps(DynamoOrphanedEscrows(), RacingRecords(tables.community), wallets)


def racing(deps: OrphanedEscrowDeps) -> RacingRecords:
    assert isinstance(deps.records, RacingRecords)
    return deps.records


@pytest.fixture
def deps(tables: Tables, showcase: ShowcaseWorld) -> OrphanedEscrowDeps:
    return deps_of(tables, showcase.deps.wallets)


def bought(world: ShowcaseWorld) -> tuple[Listing, Purchase]:
    """A work that Ben has bought for 100 credits, an hour ago."""
    listing = world.offered("ada")
    purchase = world.buy(listing, "ben").purchase
    world.time_passes(HOUR)
    return listing, purchase


def lose(purchase: Purchase) -> None:
    """The restored community table is older than the purchase."""
    PurchaseItem(purchase.workspace_id, PURCHASE + purchase.listing_id).delete()


def found(world: ShowcaseWorld, deps: OrphanedEscrowDeps) -> list[tuple[str, int, EscrowRecord]]:
    orphans = list_orphaned_escrows(world.world("ben").workspace_id, deps=deps, now=world.now)
    return [(each.payment_id, each.credits, each.record) for each in orphans]


def end(world: ShowcaseWorld, purchase: Purchase, deps: OrphanedEscrowDeps) -> int:
    """What is held after an administrator has ended it."""
    workspace_id = purchase.workspace_id
    return end_orphaned_escrow(workspace_id, purchase.id, "Restore", ADMIN, deps=deps, now=world.now).held


def logged(log: str) -> list[str]:
    page = DynamoAuditReads().page(log, EventFilter(action="credits.escrow_ended"), None, 50)
    return [each["target"] for each in page.events]


def test_an_escrow_without_its_purchase_is_found_and_ended_once(
    showcase: ShowcaseWorld, deps: OrphanedEscrowDeps
) -> None:
    listing, lost = bought(showcase)
    kept = showcase.buy(showcase.offered("ada", 40), "ben").purchase
    showcase.time_passes(HOUR)
    lose(lost)
    showcase.time_passes(timedelta(days=40))
    assert found(showcase, deps) == [(lost.id, 100, EscrowRecord.MISSING)]

    for _ in range(2):
        assert end(showcase, lost, deps) == kept.price_credits
    assert found(showcase, deps) == []
    assert showcase.bought_left("ben") == 1000 - 40
    assert logged(lost.workspace_id) == [lost.id]
    assert logged(PLATFORM_LOG).count(lost.id) == 1
    showcase.assert_sound()
    # What was lost can be bought again, and what was kept is paid.
    showcase.buy(listing, "ben")
    showcase.pay()
    assert showcase.held("ben") == 0
    showcase.assert_sound()


def test_two_administrators_at_once_give_credits_back_once(showcase: ShowcaseWorld, deps: OrphanedEscrowDeps) -> None:
    _, lost = bought(showcase)
    lose(lost)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: end(showcase, lost, deps), range(4))) == [0] * 4
    assert showcase.bought_left("ben") == 1000
    assert logged(lost.workspace_id) == [lost.id]
    showcase.assert_sound()


def test_the_escrow_of_a_real_purchase_is_never_touched(showcase: ShowcaseWorld, deps: OrphanedEscrowDeps) -> None:
    _, real = bought(showcase)
    assert found(showcase, deps) == []
    with pytest.raises(Conflict):
        end(showcase, real, deps)
    # Not even when somebody takes it for an orphan: the condition is part of the write.
    wallets = deps.ledger.wallets
    escrow = wallets.movement(real.workspace_id, real.id[4:], escrow_key(real.id))
    postings = plan_escrow_end(wallets.wallet(real.workspace_id), escrow, (), 0, {}, showcase.now)
    with pytest.raises(StaleWallet):
        deps.store.end(real.workspace_id, OrphanedEscrow(escrow, EscrowRecord.MISSING), postings, events=())
    with pytest.raises(NotFound):
        end_orphaned_escrow(real.workspace_id, f"pur_{'0' * 26}", "r", ADMIN, deps=deps, now=showcase.now)
    assert showcase.held("ben") == 100
    showcase.pay()
    assert (showcase.held("ben"), showcase.earned("ada")) == (0, 90)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("happens", ["pay", "refund", "buy"])
def test_what_happens_in_the_moment_of_the_check_is_no_orphan(
    showcase: ShowcaseWorld, deps: OrphanedEscrowDeps, moment: str, happens: str
) -> None:
    listing, real = bought(showcase)
    other = showcase.offered("ada", 10)

    def happen() -> None:
        setattr(racing(deps), moment, lambda: None)
        if happens == "pay":
            showcase.collect(listing, "ben")
        elif happens == "refund":
            showcase.refund(listing, "ben")
        else:
            showcase.buy(other, "ben")

    setattr(racing(deps), moment, happen)
    assert found(showcase, deps) == []
    setattr(racing(deps), moment, lambda: None)
    assert found(showcase, deps) == []
    assert real.id not in logged(PLATFORM_LOG)
    showcase.assert_sound()


def test_purchases_that_are_made_during_checks_are_no_orphans(
    showcase: ShowcaseWorld, deps: OrphanedEscrowDeps
) -> None:
    listings = [showcase.offered("ada", 10) for _ in range(12)]
    workspace_id = showcase.world("ben").workspace_id
    later = showcase.now + HOUR

    def check(_: int) -> object:
        # An hour later, so that nothing is too young to be judged.
        return list_orphaned_escrows(workspace_id, deps=deps, now=later)

    with ThreadPoolExecutor(4) as pool:
        checks = pool.map(check, range(24))
        for each in listings:
            showcase.buy(each, "ben")
        assert list(checks) == [()] * 24
    assert showcase.held("ben") == 120


def test_a_young_escrow_is_left_for_the_next_audit(showcase: ShowcaseWorld, deps: OrphanedEscrowDeps) -> None:
    young = showcase.buy(showcase.offered("ada"), "ben").purchase
    lose(young)
    assert found(showcase, deps) == []
    with pytest.raises(Conflict):
        end(showcase, young, deps)
    showcase.time_passes(HOUR)
    assert found(showcase, deps) == [(young.id, 100, EscrowRecord.MISSING)]


def test_an_escrow_ends_as_its_record_did_or_waits_for_a_person(
    showcase: ShowcaseWorld, deps: OrphanedEscrowDeps
) -> None:
    """The restored ledger is older than the community table."""
    (_, refunded), (_, collected) = bought(showcase), bought(showcase)
    for purchase, state in ((refunded, PurchaseState.REFUNDED), (collected, PurchaseState.COLLECTED)):
        item = PurchaseItem(purchase.workspace_id, PURCHASE + purchase.listing_id)
        item.update([PurchaseItem.state.set(state.value), PurchaseItem.pays_at.remove()])
    states = {id: record for id, _, record in found(showcase, deps)}
    assert states == {refunded.id: EscrowRecord.GIVEN_BACK, collected.id: EscrowRecord.PAID}
    assert end(showcase, refunded, deps) == 100
    with pytest.raises(Conflict, match="it was paid"):
        end(showcase, collected, deps)
    assert showcase.held("ben") == 100


@pytest.mark.parametrize("is_workshop_lost", [False, True])
def test_a_fee_without_its_enrolment_goes_back(tables: Tables, is_workshop_lost: bool) -> None:
    world = WorkshopWorld(tables)
    deps = deps_of(tables, world.advancing.wallets)
    workshop = world.scheduled(price=30)
    lost, kept = world.enrol(workshop, "ann").enrolment, world.enrol(workshop, "bob").enrolment
    world.now += HOUR

    def orphans(payer_id: str) -> list[str]:
        return [each.payment_id for each in list_orphaned_escrows(payer_id, deps=deps, now=world.now)]

    assert orphans(lost.payer_id) == []
    EnrolmentItem(workshop.workspace_id, enrolment_key(workshop.id, lost.user_id)).delete()
    if is_workshop_lost:
        WorkshopPlaceItem(workshop.id, "place").delete()
    else:
        assert orphans(kept.payer_id) == []
    assert orphans(lost.payer_id) == [lost.id]
    for _ in range(2):
        end_orphaned_escrow(lost.payer_id, lost.id, "Restore", ADMIN, deps=deps, now=world.now)
    wallet = deps.ledger.wallets.wallet(lost.payer_id)
    assert (wallet.held, orphans(lost.payer_id)) == (0, [])
    assert deps.ledger.wallets.wallet(kept.payer_id).held == 30
