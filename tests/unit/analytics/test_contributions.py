"""What a record contributes: each end of a generation, a stage and a run, and each kind of movement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.analytics.records import generation_contribution, movement_contribution
from atelier.analytics.contributions import NOTHING, Contribution, change, of_refusal
from atelier.analytics.model import COUNTERS, CREDIT_COUNTERS, Counts, Dataset, Group, Row
from atelier.analytics.sketch import PREFIX, bucket
from atelier.generations.model import Attempt, AttemptStatus, DeliveredFile, Failure, Generation, Pipeline, Status
from atelier.ledger.escrow import plan_escrow, plan_escrow_end
from atelier.ledger.model import (
    Account,
    DailyCreditRule,
    EndState,
    Entry,
    GrantSource,
    Hold,
    HoldPlan,
    Movement,
    Wallet,
    new_wallet,
)
from atelier.ledger.operations import (
    TransferShare,
    plan_adjustment,
    plan_give_back,
    plan_grant,
    plan_revocation,
    plan_transfer,
)
from atelier.ledger.plan_hold import plan_hold, plan_late_result, plan_settlement
from atelier.ledger.plan_refresh import plan_refresh
from tests.unit.generations.values import FIRST, LATER, NOW, SECOND, attempt, generation

END = NOW + timedelta(hours=1, minutes=12)
HOUR = NOW + timedelta(hours=1)
ONE = attempt()
IMAGE = DeliveredFile("ast_1", "image", "0" * 64, "png", 5, 640, 480)
FILM = DeliveredFile("ast_2", "video", "0" * 64, "mp4", 5, 640, 480, duration_ms=3_000)
SECONDS = 30_000


def ended(status: Status, *attempts: Attempt, charged: int = 0, failure: str | None = None) -> Generation:
    """A generation that has ended, with its attempts as they are."""
    made = replace(generation(*attempts), token_id="tok_1", project_id="prj_1")
    reason = Failure("PROVIDER_FAILED", failure, "It broke.") if failure else None
    return replace(made, status=status, completed_at=END, credits_charged=charged, failure=reason)


def succeeded(**changes: Any) -> Attempt:
    return replace(ONE, status=AttemptStatus.SUCCEEDED, ended_at=LATER, **changes)


def of_models(contribution: Contribution) -> dict[str, Counts]:
    """The counts by model, after a check of everything else in the rows."""
    for row in contribution:
        group = replace(row.group, model="")
        assert (row.dataset, row.hour, group) == (Dataset.USAGE, HOUR, Group("prj_1", "tok_1", "usr_A", "", "image"))
    return {row.group.model: counts for row, counts in contribution.items()}


def credits_of(movement: Movement) -> Counts:
    """The counts of a movement; it has one row, or none."""
    contribution = movement_contribution(movement)
    assert set(contribution) <= {Row(Dataset.CREDITS, movement.at.replace(minute=0, second=0, microsecond=0), Group())}
    return next(iter(contribution.values()), {})


RAN = {"attempts": 1, "attempts_succeeded": 1, "duration_ms": SECONDS, "durations": 1, bucket(SECONDS): 1}
LOST = {"attempts": 1, "attempts_failed_transient": 1}
ENDS: Mapping[str, tuple[Generation, Mapping[str, Counts]]] = {
    "open": (generation(ONE), {}),
    "a result": (
        replace(
            ended(
                Status.SUCCEEDED, succeeded(cost_microusd=90, cost_source="usage", estimated_microusd=100), charged=4
            ),
            assets=(IMAGE, FILM),
            usage={"tokens_input": 7, "tokens_output": 9, "tokens_cached": 2, "predict_milliseconds": 5},
        ),
        {
            FIRST: RAN
            | {"requests": 1, "succeeded": 1, "credits": 4, "pixels": 640 * 480, "media_ms": 3_000}
            | {"tokens_input": 7, "tokens_output": 9, "tokens_cached": 2}
            | {"cost_usage_microusd": 90, "estimated_microusd": 100, "estimated_actual_microusd": 90}
        },
    ),
    "a result by the workspace's own key": (
        ended(Status.SUCCEEDED, succeeded(key="key_1", cost_microusd=90, cost_source="provider")),
        {
            FIRST: RAN
            | {"requests": 1, "succeeded": 1, "own_key_attempts": 1}
            | {"cost_provider_microusd": 90, "own_key_cost_microusd": 90}
        },
    ),
    "a result of the second candidate": (
        ended(Status.SUCCEEDED, attempt(ended=True, error_class="transient"), succeeded(model=SECOND), charged=1),
        {FIRST: LOST, SECOND: RAN | {"requests": 1, "succeeded": 1, "credits": 1, "fallbacks": 1}},
    ),
    "a result of the same candidate, with another key": (
        ended(Status.SUCCEEDED, attempt(ended=True, error_class="rate_limited"), succeeded(key="key_1")),
        {
            FIRST: RAN
            | {"requests": 1, "succeeded": 1, "fallbacks": 1, "own_key_attempts": 1}
            | {"attempts": 2, "attempts_failed_rate_limited": 1}
        },
    ),
    "a failure": (
        ended(Status.FAILED, attempt(ended=True, error_class="transient"), failure="transient"),
        {FIRST: LOST | {"requests": 1, "failed": 1, "failed_transient": 1}},
    ),
    "a refusal of the provider": (
        ended(Status.FAILED, attempt(ended=True, error_class="moderated"), failure="moderated"),
        {
            FIRST: {"attempts": 1, "attempts_failed_moderated": 1}
            | {"requests": 1, "failed": 1, "failed_moderated": 1, "refused": 1}
        },
    ),
    "a result that our moderation withheld": (
        ended(
            Status.FAILED, attempt(ended=True, error_class="moderated_output"), charged=2, failure="moderated_output"
        ),
        {
            FIRST: {"attempts": 1, "attempts_failed_moderated_output": 1, "credits": 2}
            | {"requests": 1, "failed": 1, "failed_moderated_output": 1, "refused": 1}
        },
    ),
    "cancelled before anything was sent": (ended(Status.CANCELLED), {"": {"requests": 1, "cancelled": 1}}),
    "cancelled while it ran": (
        ended(
            Status.CANCELLED, replace(ONE, status=AttemptStatus.CANCELLED, ended_at=LATER, cost_microusd=5), charged=1
        ),
        {FIRST: {"requests": 1, "cancelled": 1, "credits": 1, "attempts": 1, "cost_estimate_microusd": 5}},
    ),
    "expired, with an attempt that may still end": (
        ended(Status.EXPIRED, replace(ONE, status=AttemptStatus.UNKNOWN, cost_microusd=100), failure="unknown_outcome"),
        {FIRST: {"requests": 1, "expired": 1, "cost_estimate_microusd": 100}},
    ),
    "an earlier result": (
        replace(ended(Status.SUCCEEDED), assets=(IMAGE,), reused_from="gen_0"),
        {"": {"requests": 1, "succeeded": 1, "reused": 1}},
    ),
    "a stage": (
        replace(ended(Status.SUCCEEDED, succeeded(), charged=3), parent_id="gen_R", assets=(IMAGE,)),
        {FIRST: RAN | {"stages": 1, "stages_succeeded": 1, "stage_credits": 3, "pixels": 640 * 480}},
    ),
    "a stage that failed": (
        replace(ended(Status.FAILED, attempt(ended=True, error_class="transient"), failure="transient"), parent_id="g"),
        {FIRST: LOST | {"stages": 1}},
    ),
    "a run": (
        replace(
            ended(Status.SUCCEEDED, succeeded(cost_microusd=9), charged=3),
            pipeline=Pipeline("enhanced", ()),
            assets=(IMAGE,),
            usage={"tokens_input": 7},
        ),
        {
            "pipeline/enhanced": {"requests": 1, "succeeded": 1, "credits": 3, "duration_ms": 4_320_000}
            | {"durations": 1, bucket(4_320_000): 1}
        },
    ),
    "a run that failed": (
        replace(ended(Status.FAILED, succeeded(), failure="timeout_started", charged=1), pipeline=Pipeline("two", ())),
        {"pipeline/two": {"requests": 1, "failed": 1, "failed_timeout_started": 1, "credits": 1}},
    ),
}


@pytest.mark.parametrize("name", ENDS)
def test_what_a_generation_contributes(name: str) -> None:
    of_generation, expected = ENDS[name]
    assert of_models(generation_contribution(of_generation)) == expected


def test_every_counter_of_generations_is_described_and_occurs() -> None:
    counted = {name for _, expected in ENDS.values() for counts in expected.values() for name in counts}
    counted |= {name for counts in of_refusal(Group(kind="image"), END).values() for name in counts}
    of_classes = {name for name in counted if name.startswith(("failed_", "attempts_failed_", PREFIX))}
    assert counted - of_classes == set(COUNTERS)


def test_a_late_result_moves_its_generation_to_the_hour_of_the_result() -> None:
    expired, _ = ENDS["expired, with an attempt that may still end"]
    late = replace(expired, attempts=(succeeded(cost_microusd=80, cost_source="usage"),), failure=None)
    late = replace(late, status=Status.SUCCEEDED, completed_at=END + timedelta(hours=2), assets=(IMAGE,))
    fact = change("wsp_A", "id", END, generation_contribution(expired), generation_contribution(late))
    assert fact is not None
    before, after = sorted(fact.counts, key=lambda row: row.hour)
    assert fact.counts[before] == {"requests": -1, "expired": -1, "cost_estimate_microusd": -100}
    assert (before.hour, after.hour) == (HOUR, HOUR + timedelta(hours=2))
    assert fact.counts[after] == generation_contribution(late)[after]


def test_a_change_that_is_not_counted_is_no_fact() -> None:
    done, _ = ENDS["a result"]
    renamed = replace(done, recipe=replace(done.recipe, prompt="another"), progress=99)
    assert change("wsp_A", "id", END, generation_contribution(done), generation_contribution(renamed)) is None


# ---- the wallet ------------------------------------------------------------------------------------------------------


ORDER = "0" * 26


def granted(wallet: Wallet, source: GrantSource, credits: int) -> Movement:
    planned = plan_grant(
        wallet, "grant#1", source, credits, expires_at=None, priority=None, facts={}, order=ORDER, now=NOW
    )
    return planned.postings[0].movement


EMPTY = new_wallet("wsp_A", "free", NOW)
FULL = plan_refresh(EMPTY, DailyCreditRule(50), NOW).wallet


def held(credits: int) -> HoldPlan:
    return plan_hold(FULL, "gen_" + ORDER, credits, END, {}, NOW, holds_open_max=5)


def settled(hold: Hold, charged: int, at: datetime = NOW) -> Movement:
    return plan_settlement(hold, EndState.SETTLED, charged, {}, at).movement


@pytest.mark.parametrize("source", GrantSource)
def test_a_grant_counts_by_its_source(source: GrantSource) -> None:
    assert credits_of(granted(EMPTY, source, 7)) == {f"granted_{source.value}": 7}


def test_daily_credits_count_as_granted_and_as_expired() -> None:
    [daily] = plan_refresh(EMPTY, DailyCreditRule(50), NOW).movements
    assert credits_of(daily) == {"granted_daily": 50}
    expired, _ = plan_refresh(FULL, DailyCreditRule(50), NOW + timedelta(days=1)).movements
    assert credits_of(expired) == {"expired": 50}


def test_a_hold_counts_nothing_and_its_end_what_was_charged() -> None:
    plan = held(10)
    assert credits_of(plan.movement) == {}
    assert credits_of(settled(plan.hold, 4)) == {"spent": 4}
    assert credits_of(settled(plan.hold, 0)) == {}
    tomorrow = NOW + timedelta(days=1)
    assert credits_of(settled(plan.hold, 4, tomorrow)) == {"spent": 4, "expired": 6}


def test_a_late_result_is_the_operators_loss() -> None:
    assert credits_of(plan_late_result("gen_" + ORDER, 3, {}, NOW)) == {"operator_loss": 3}


def test_a_revocation_counts_all_that_it_takes_and_its_return_as_a_refund() -> None:
    bought = plan_grant(
        EMPTY,
        "grant#1",
        GrantSource.PURCHASE,
        30,
        expires_at=None,
        priority=None,
        facts={},
        order=ORDER,
        now=NOW,
    )
    record = bought.new_grant
    assert record is not None
    revoked = plan_revocation(EMPTY, "revoke#1", record, 30, expired_credits=12, reason="r", order=ORDER, now=NOW)
    assert revoked is not None
    movement = revoked.postings[0].movement
    # Twelve credits had expired, and eighteen were spent: they are a debt.
    assert credits_of(movement) == {"revoked": 30, "expired": -12}
    back = plan_give_back(EMPTY, movement, record, reason="won", order=ORDER, now=NOW)
    assert credits_of(back.postings[0].movement) == {"granted_refund": 30}


def test_adjustments_count_up_and_down() -> None:
    up = plan_adjustment(FULL, "adjust#1", 5, {}, order=ORDER, now=NOW).postings[0].movement
    down = plan_adjustment(FULL, "adjust#1", -5, {}, order=ORDER, now=NOW).postings[0].movement
    assert (credits_of(up), credits_of(down)) == ({"granted_admin": 5}, {"adjusted_down": 5})


def test_a_transfer_counts_in_both_wallets_and_the_fee_with_the_payer() -> None:
    share = TransferShare(new_wallet("wsp_B", "free", NOW), 8, "seller")
    plan = plan_transfer(FULL, "transfer#1", (share,), 2, {}, order=ORDER, now=NOW)
    paid, received = (credits_of(posting.movement) for posting in plan.postings)
    assert (paid, received) == ({"transferred": 10}, {"granted_transfer": 8})


def test_an_escrow_counts_when_it_ends() -> None:
    bought = replace(FULL.grants[0], source=GrantSource.MONTHLY)
    begin = plan_escrow(replace(FULL, grants=(bought,)), "enr_" + ORDER, 50, {}, NOW)
    assert credits_of(begin.movement) == {}
    payer, receiver = replace(FULL, grants=(replace(bought, remaining=0, held=50),)), new_wallet("wsp_B", "free", NOW)
    share = TransferShare(receiver, 18, "seller")
    paid, received = plan_escrow_end(payer, begin.movement, [share], 2, {}, NOW)
    assert (credits_of(paid.movement), credits_of(received.movement)) == (
        {"transferred": 20},
        {"granted_transfer": 18},
    )
    # The credits have expired meanwhile, and come back as a new grant.
    (late, _) = plan_escrow_end(payer, begin.movement, [share], 2, {}, NOW + timedelta(days=2))
    assert [credits_of(each) for each in late.movements] == [{"transferred": 50}, {"granted_refund": 30}]


def test_a_purchase_that_paid_at_once_counts_as_a_transfer() -> None:
    """Nothing writes these movements any more, but wallets have them."""

    def moved(kind: str, *entries: tuple[Account, int]) -> dict[str, int]:
        lines = tuple(Entry(account, amount) for account, amount in entries)
        return credits_of(Movement(f"{kind}#pur_1", ORDER, kind, "pur_1", NOW, lines, {}))

    assert moved("purchase", (Account.AVAILABLE, -10), (Account.ISSUED, 8), (Account.REVENUE, 2)) == {"transferred": 10}
    assert moved("unpurchase", (Account.REVENUE, -2), (Account.ISSUED, 2)) == {}
    assert moved("revoke", (Account.AVAILABLE, -5), (Account.DEBT, -3), (Account.ISSUED, 8)) == {"revoked": 8}


def test_a_debt_that_is_paid_counts_nothing() -> None:
    entries = (Entry(Account.AVAILABLE, -5, "grt_1"), Entry(Account.DEBT, 5))
    assert credits_of(Movement("cover#1", ORDER, "cover", "debt", NOW, entries, {})) == {}


def test_every_counter_of_the_wallet_is_described() -> None:
    sources = {f"granted_{source.value}" for source in GrantSource}
    rest = {"spent", "expired", "revoked", "adjusted_down", "transferred", "operator_loss"}
    assert set(CREDIT_COUNTERS) == sources | rest


def test_nothing_is_counted_of_what_is_not_there() -> None:
    assert change("wsp_A", "id", datetime(2026, 11, 20, tzinfo=UTC), NOTHING, NOTHING) is None
