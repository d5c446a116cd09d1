"""Seals, proofs, past balances and audits on the embedded store: exactly once, in any order and under races."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest
from pynamodb.expressions.operand import Path

from atelier.adapters.aws.dynamodb import connection
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem, WalletItem, wallet_item
from atelier.adapters.aws.dynamodb.seals import DynamoSeals, SealItem
from atelier.clock import rfc3339
from atelier.errors import InsufficientCredits, Unavailable, ValidationFailed
from atelier.generations.model import Generation
from atelier.ledger import seal_movements
from atelier.ledger.audit import AuditReport, audit
from atelier.ledger.hash_chain import PublicForm, Seal, next_seal, to_public
from atelier.ledger.history import Balance, balance_at
from atelier.ledger.model import Grant, GrantSource, order_at
from atelier.ledger.post import adjust, give_back, grant, revoke, transfer
from atelier.ledger.prove import build_proof_page
from atelier.ledger.seal_movements import SealDeps, SealReport, unsealed_movements
from atelier.ledger.verify import ProofMismatch, verify
from tests.bench.units import item_bytes
from tests.conftest import Tables
from tests.integration.world import World, client_event_hook, run_concurrently


class Sealer(World):
    """A world whose movements are sealed only when the test calls `seal`."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables)
        self.seals = DynamoSeals()
        self.seals.bind(tables.ledger)
        self.to = SealDeps(self.wallets, self.seals, lambda tries: None)

    def forms(self) -> list[PublicForm]:
        """All movements in the form in which the stream delivers them, newest first."""
        found, after = list[PublicForm](), None
        while True:
            page = self.seals.public_movements(self.workspace_id, after, 50)
            found += page.movements
            after = page.next_key
            if after is None:
                return found

    def seal(self, *forms: PublicForm) -> SealReport:
        return seal_movements.seal(self.workspace_id, forms or self.forms(), deps=self.to, now=self.now)

    def chain(self) -> list[Seal]:
        return self.seals.between(self.workspace_id, 1, 999)

    def proof(self, **bounds: int) -> list[PublicForm]:
        """All pages of the proof."""
        pages, after = list[PublicForm](), 0
        while True:
            page, next_after = build_proof_page(self.workspace_id, after, deps=self.to, now=self.now, **bounds)
            pages.append(page | {"next_cursor": str(next_after) if next_after else None})
            if next_after is None:
                return pages
            after = next_after

    def audit(self) -> AuditReport:
        return audit(self.workspace_id, deps=self.to, now=self.now)

    def balance_at(self, at: datetime) -> Balance:
        return balance_at(self.workspace_id, at, wallets=self.wallets, seals=self.seals, now=self.now)

    def generate(self) -> Generation:
        generation = self.submit().generation
        self.attempt(generation)
        self.now += timedelta(seconds=9)
        return self.finish(generation)

    def buy(self, key: str = "grant#stripe#pi_1", credits: int = 100) -> None:
        grant(self.workspace_id, key, GrantSource.PURCHASE, credits, deps=self.post_deps, now=self.now)


@pytest.fixture
def world(tables: Tables) -> Sealer:
    return Sealer(tables)


@contextmanager
def calls() -> Iterator[Counter[str]]:
    """Counts this process's DynamoDB calls within the block, by operation."""
    counts: Counter[str] = Counter()

    def count(request: AWSPreparedRequest, **_: Any) -> None:
        target = request.headers["X-Amz-Target"]
        counts[(target.decode() if isinstance(target, bytes) else str(target)).rpartition(".")[2]] += 1

    with client_event_hook("before-send.dynamodb", count):
        yield counts


def live(world: Sealer, other: World) -> Iterator[None]:
    """Three days with every kind of movement; yields after each step."""
    world.buy()
    yield
    for _ in range(3):
        other.now = world.now
        world.generate()
        yield
        left = world.submit().generation
        yield
        failed = world.submit().generation
        world.attempt(failed)
        world.fail(failed)
        yield
        seller = {other.workspace_id: ("seller", 7)}
        transfer(world.workspace_id, f"transfer#{world.now}", seller, fee=1, deps=world.post_deps, now=world.now)
        yield
        buyer = {world.workspace_id: ("royalty", 2)}
        other.refreshed()
        transfer(other.workspace_id, f"transfer#b{world.now}", buyer, fee=0, deps=world.post_deps, now=world.now)
        yield
        world.now += timedelta(hours=13)
        world.attempt(left)
        world.fail(left)
        yield
        adjust(
            world.workspace_id,
            f"adjust#{world.now}",
            -3,
            reason="because",
            by="usr_Z",
            deps=world.post_deps,
            now=world.now,
        )
        yield
        world.now += timedelta(hours=13)
        world.refreshed()
        yield
    revoke(world.workspace_id, "revoke#1", "grant#stripe#pi_1", 100, "chargeback", deps=world.post_deps, now=world.now)
    yield
    give_back(world.workspace_id, "revoke#1", "dispute won", deps=world.post_deps, now=world.now)
    yield


# ---- sealing ---------------------------------------------------------------------------------------------------------


def test_movements_seen_twice_late_or_out_of_order_are_sealed_once(world: Sealer, tables: Tables) -> None:
    rng = random.Random(7)
    known: list[PublicForm] = []
    for _ in live(world, World(tables)):
        fresh = [form for form in world.forms() if form not in known]
        known += fresh
        batch = [form for form in known if rng.random() < 0.3] + rng.sample(fresh, len(fresh) // 2)
        rng.shuffle(batch)
        if batch:
            assert world.seal(*batch).mismatch is None
    world.seal()
    assert world.seal().movements == 0
    covered = [place for seal in world.chain() for place in seal.covers()]
    assert len(covered) == len(set(covered)) == world.wallet().written
    assert verify(world.proof()).startswith(f"sound: {len(covered)} entries")
    world.assert_sound()


def test_parallel_sealers_seal_each_movement_once_in_one_chain(world: Sealer) -> None:
    for _ in range(6):
        world.generate()
    forms = world.forms()
    results = run_concurrently(8, lambda number: world.seal(*forms[number : number + 6]))
    assert all(isinstance(result, SealReport) and result.mismatch is None for result in results), results
    covered = [place for seal in world.chain() for place in seal.covers()]
    assert len(covered) == len(set(covered)) == len(forms)
    verify(world.proof())


def test_a_long_backlog_is_sealed_a_hundred_movements_at_a_time(world: Sealer) -> None:
    for number in range(120):
        world.buy(f"grant#test#{number}", 1)
    assert world.seal().movements == 121
    assert [len(seal.movements) for seal in world.chain()] == [100, 21]
    verify(world.proof())


def test_a_generations_movements_share_a_seal_that_costs_one_write_and_three_reads(world: Sealer) -> None:
    world.buy()
    world.buy("grant#promo#welcome", 5)
    world.seal()
    world.now += timedelta(minutes=1)
    world.generate()
    forms = world.forms()[:2]
    with calls() as counts:
        assert world.seal(*forms).movements == 2
    assert counts == {"Query": 1, "PutItem": 1, "GetItem": 1}
    [item] = connection().query(
        SealItem.Meta.table_name,
        world.workspace_id,
        SealItem.sk == "seal#000000000002",
        consistent_read=True,
    )["Items"]
    assert item_bytes(item) <= 1024


# ---- proofs ----------------------------------------------------------------------------------------------------------


def test_a_proof_seals_new_movements_and_is_paged(world: Sealer, tables: Tables) -> None:
    for _ in live(world, World(tables)):
        pages = world.proof()
        assert verify(pages).startswith(f"sound: {world.wallet().written} entries")
    many = world.proof(bytes_max=6000)
    assert len(many) > 3
    assert all(len(json.dumps(page)) < 9000 for page in many)
    assert verify(many[::-1]) == verify(world.proof())


def test_an_unused_wallet_has_a_proof(world: Sealer) -> None:
    assert verify(world.proof()).startswith("sound: 0 entries")


def test_a_proof_verifies_while_the_wallet_is_in_use(world: Sealer) -> None:
    world.buy(credits=1000)

    def one(number: int) -> object:
        if number % 2:
            return [world.submit() for _ in range(4)]
        return [verify(world.proof()) for _ in range(4)]

    for result in run_concurrently(6, one):
        # A wallet that changes too fast to be read may raise Unavailable; a proof that does not verify is an error.
        assert not isinstance(result, Exception) or isinstance(result, Unavailable), result
    assert verify(world.proof()).startswith("sound: 14 entries")


def test_an_entry_changed_in_the_table_is_named_by_the_verifier(world: Sealer) -> None:
    generation = world.generate()
    world.proof()
    item = MovementItem.get(world.workspace_id, f"movement#{generation.id[4:]}#settle#{generation.id}")
    item.update([MovementItem.facts.set({"attempts": 2})])
    with pytest.raises(ProofMismatch, match=f"entry 3, settle#{generation.id}: its digest is not the sealed one"):
        verify(world.proof())
    item.delete()
    with pytest.raises(ProofMismatch, match=f"entry 3, settle#{generation.id}: it was sealed and is not there"):
        verify(world.proof())


# ---- past balances ---------------------------------------------------------------------------------------------------


def grant_facts(grant: Grant) -> tuple[object, ...]:
    return grant.id, grant.source, grant.remaining, grant.held, grant.priority, grant.expires_at


def test_a_past_balance_equals_the_wallet_at_that_time(world: Sealer, tables: Tables) -> None:
    rng = random.Random(11)
    then: list[tuple[datetime, Balance]] = []
    for _ in live(world, World(tables)):
        wallet = world.wallet()
        grants = tuple(each for each in wallet.grants if each.remaining or each.held)
        then.append((world.now, Balance(wallet.available, wallet.held, wallet.debt, grants)))
        if rng.random() < 0.5:
            world.seal(*rng.sample(world.forms(), k=min(3, wallet.written)))
        world.now += timedelta(minutes=1)
    for sealed in (False, True):
        if sealed:
            world.seal()
        for at, balance in then:
            found = world.balance_at(at + timedelta(seconds=59 * sealed))
            assert (found.available, found.held, found.debt) == (balance.available, balance.held, balance.debt)
            assert [grant_facts(each) for each in found.grants] == [grant_facts(each) for each in balance.grants]


def test_a_balance_before_the_wallet_is_zero_and_a_future_one_is_refused(world: Sealer) -> None:
    world.buy()
    assert world.balance_at(world.now - timedelta(days=1)) == Balance(0, 0, 0, ())
    assert world.balance_at(datetime.min.replace(tzinfo=world.now.tzinfo)) == Balance(0, 0, 0, ())
    with pytest.raises(ValidationFailed):
        world.balance_at(world.now + timedelta(seconds=1))


def write_history(world: Sealer, seals: int) -> None:
    """Writes one grant a minute, each with its seal, without the use cases: a long history in little time."""
    head, wallet = world.seals.newest(world.workspace_id, consistent=True), WalletItem(world.workspace_id, "wallet")
    with SealItem.batch_write() as links, MovementItem.batch_write() as movements:
        for _ in range(seals):
            world.now += timedelta(minutes=1)
            order, at = order_at(world.now), rfc3339(world.now)
            lines = [("issued", -1, None), ("available", 1, "grt_many")]
            form: PublicForm = {
                "key": f"grant#many#{order}",
                "kind": "grant",
                "subject": "grt_many",
                "at": at,
                "entries": [{"account": name, "amount": amount, "grant": given} for name, amount, given in lines],
                "facts": {"source": "promo", "priority": 30, "expires_at": None},
            }
            movements.save(MovementItem(world.workspace_id, f"movement#{order}#{form['key']}", **form))
            head = next_seal(world.workspace_id, head, [{**form, "order": order}], world.now)
            links.save(SealItem(world.workspace_id, f"seal#{head.number:012d}", seal=json.dumps(to_public(head))))
    given = Grant("grt_many", GrantSource.PROMO, 0, 0, 0, 30, world.now, None)
    given = replace(given, remaining=seals + (world.wallet().grant("grt_many") or given).remaining)
    stored = wallet_item(replace(world.wallet(), grants=(given,))).grants.as_dict()["grt_many"]
    wallet.update(
        [
            WalletItem.written.set(WalletItem.written + seals),
            WalletItem.available.set(WalletItem.available + seals),
            Path(["grants", "grt_many"]).set(stored),
        ]
    )


def test_the_reads_of_a_past_balance_grow_logarithmically(world: Sealer) -> None:
    reads: list[int] = []
    began = world.now
    for length, added in ((16, 16), (64, 48), (256, 192), (1024, 768)):
        write_history(world, added)
        with calls() as counts:
            assert world.balance_at(began + timedelta(minutes=length * 0.7)).available == int(length * 0.7)
        reads.append(counts.total())
    assert max(later - earlier for earlier, later in pairwise(reads)) <= 2, reads
    assert reads[-1] <= 14


# ---- audits ----------------------------------------------------------------------------------------------------------


def test_an_audit_seals_missed_movements_and_the_next_one_writes_nothing(world: Sealer, tables: Tables) -> None:
    for _ in live(world, World(tables)):
        pass
    written = world.wallet().written
    world.now += timedelta(hours=1)
    assert world.audit() == AuditReport(sealed=written, overdue=written, mismatches=())
    world.submit()
    assert world.audit() == AuditReport(sealed=1, overdue=0, mismatches=())
    with calls() as counts:
        assert world.audit() == AuditReport()
    assert counts.keys() <= {"Query", "GetItem", "BatchGetItem"}


def test_an_unsealed_entry_far_back_in_the_statement_is_found(world: Sealer) -> None:
    # The key is bound to a generation id long before the credits suffice, so the movement's order is far in the past.
    with pytest.raises(InsufficientCredits):
        world.submit(key="dear", model="local/canvas", width=2048, height=2048, n=4)
    world.seal()
    write_history(world, 250)
    world.buy(credits=500)
    dear = world.submit(key="dear", model="local/canvas", width=2048, height=2048, n=4).generation
    world.seal(*[form for form in world.forms() if form["subject"] != dear.id])
    head = world.seals.newest(world.workspace_id, consistent=True)

    def found(pages: int) -> list[str]:
        forms = unsealed_movements(world.workspace_id, head, 1, seals=world.seals, pages_max=pages)
        return [form["subject"] for form in forms]

    assert (found(1), found(2)) == ([], [dear.id])
    assert world.audit() == AuditReport(sealed=1)
    assert world.audit() == AuditReport()


@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        ("counter", "available is 157 and should be 150"),
        ("grant", "grants is"),
        ("count", "movements were written and"),
        ("entry", "is not as it was sealed"),
        ("gone", "is not as it was sealed"),
        ("seal", "was changed"),
        ("more", "movements were written and"),
    ],
)
def test_an_audit_reports_a_mismatch_and_writes_nothing(world: Sealer, tamper: str, fault: str) -> None:
    world.buy()
    world.now += timedelta(days=2)
    world.refreshed()
    world.now += timedelta(days=1, hours=13)
    with calls() as counts:
        world.audit()
    assert counts["PutItem"] == 1
    wallet, newest = WalletItem(world.workspace_id, "wallet"), world.chain()[-1]
    order, key, _ = newest.movements[-1]
    movement = MovementItem.get(world.workspace_id, f"movement#{order}#{key}")
    match tamper:
        case "counter":
            wallet.update([WalletItem.available.set(WalletItem.available + 7)])
        case "grant":
            [bought] = (each.id for each in world.wallet().grants if each.source is GrantSource.PURCHASE)
            wallet.update([Path(["grants", bought, "remaining"]).set(99)])
        case "count":
            wallet.update([WalletItem.written.set(WalletItem.written + 1)])
        case "entry":
            movement.update([MovementItem.subject.set("another")])
        case "gone":
            movement.delete()
        case "seal":
            item = SealItem.get(world.workspace_id, f"seal#{newest.number:012d}")
            item.update([SealItem.seal.set(item.seal.replace('"available":', '"available":1'))])
        case _:
            wallet.update([WalletItem.written.set(WalletItem.written - 1)])
    for _ in range(2):
        with calls() as counts:
            assert fault in "; ".join(world.audit().mismatches)
        assert counts.keys() <= {"Query", "GetItem", "BatchGetItem"}


def test_a_wrong_counter_is_reported_by_the_next_seal(world: Sealer) -> None:
    world.buy()
    assert world.seal().mismatch is None
    WalletItem(world.workspace_id, "wallet").update([WalletItem.held.set(WalletItem.held + 1)])
    world.submit()
    assert "held is" in str(world.seal().mismatch)
