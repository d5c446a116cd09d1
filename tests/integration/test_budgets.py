"""Budgets on the embedded store: enforced in the hold's transaction, and counted once under crashes and races."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.adapters.aws.dynamodb.projects import BudgetItem
from atelier.errors import AtelierError, BudgetExceeded, Conflict, NotFound, Unavailable
from atelier.events.event import Event
from atelier.events.limits import BudgetAlert
from atelier.generations.cancel import cancel
from atelier.generations.finish import expire_generation, finish
from atelier.generations.model import Generation, Status
from atelier.generations.outcome import Outcome
from atelier.generations.ports import Filters, GenerationChanged, OutputLocation
from atelier.generations.submit import AcceptedGeneration
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.ledger.model import HoldPlan
from atelier.projects.alert import publish_due_alerts, raise_due_alerts
from atelier.projects.model import WORKSPACE, Budget, Project, month_of
from atelier.projects.ports import ProjectInUse, StaleProject
from tests.conftest import Tables
from tests.integration.test_ledger_conditions import before_first_request
from tests.integration.world import SINGLE_CONFLICT, TRANSACTION_CONFLICT, World, failing_operation, run_concurrently

# One image of replicate/sdxl of 512 × 512: 7 seconds × 975 micro-USD × a quarter of a megapixel, rounded up.
ESTIMATE = 1707


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables, providers=frozenset({"replicate"}))


def project(world: World, limit: int | None = None, **facts: str) -> str:
    made = Project(new_id("prj", world.now), world.workspace_id, "usr_A", "A project", world.now, world.now, **facts)
    world.projects.create(made, Budget(world.workspace_id, made.id, limit))
    return made.id


def for_workspace(world: World, limit: int | None) -> None:
    world.projects.create_budget(Budget(world.workspace_id, WORKSPACE, limit, period=month_of(world.now)))
    world.wallets.mark_budgeted(world.workspace_id)


def ask(world: World, project_id: str | None = None, key: str | None = None) -> Generation:
    return world.submit(model="replicate/sdxl", project_id=project_id, key=key).generation


def succeeded(cost_microusd: int | None) -> Outcome:
    return Outcome("succeeded", (OutputLocation(key="staging/x"),), cost_microusd=cost_microusd)


def counters(world: World, name: str) -> tuple[int, int, int]:
    """(left, reserved, spent) in micro-USD; asserts that the stored `left` follows from the others."""
    item = BudgetItem.get(world.workspace_id, f"budget#{name}", consistent_read=True)
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    assert int(item.left_microusd) == budget.left_microusd
    return budget.left_microusd, budget.reserved_microusd, budget.spent_microusd


def test_a_project_budget_reserves_the_estimate_and_spends_the_actual_cost(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    assert world.get(generation) == generation
    assert counters(world, name) == (10_000 - ESTIMATE, ESTIMATE, 0)
    world.attempt(generation)
    world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - 1234, 0, 1234)
    world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - 1234, 0, 1234)
    assert world.assets.get(world.workspace_id, world.get(generation).assets[0].id).project_id == name
    world.assert_sound()


def test_missing_usage_is_counted_at_the_estimate(world: World) -> None:
    name = project(world)
    generation = ask(world, name)
    world.attempt(generation)
    ended = world.finish(generation, succeeded(None))
    assert (ended.cost_microusd, ended.cost_source) == (ESTIMATE, "estimate")
    assert counters(world, name) == (-ESTIMATE, 0, ESTIMATE)


def test_a_project_without_a_limit_counts_spending_and_refuses_nothing(world: World) -> None:
    name = project(world)
    for _ in range(3):
        ask(world, name)
    assert counters(world, name) == (-3 * ESTIMATE, 3 * ESTIMATE, 0)


@pytest.mark.parametrize("budget", ["project", WORKSPACE])
def test_a_budget_for_ten_accepts_exactly_ten_of_fifty_parallel_submissions(world: World, budget: str) -> None:
    name, limit = None, 10 * ESTIMATE + ESTIMATE // 2
    if budget == WORKSPACE:
        for_workspace(world, limit)
    else:
        name = project(world, limit)
    results = run_concurrently(50, lambda _: ask(world, name))
    refused = [result for result in results if isinstance(result, BudgetExceeded)]
    assert len([result for result in results if isinstance(result, Generation)]) == 10
    assert len(refused) == 40
    said = f"project:{name}" if name else WORKSPACE
    assert refused[0].facts == {"limit": said, "needed": ESTIMATE, "available": ESTIMATE // 2}
    assert counters(world, name or WORKSPACE)[1] == 10 * ESTIMATE
    world.assert_sound()


def test_the_tighter_of_two_budgets_refuses_and_the_other_reserves_nothing(world: World) -> None:
    name = project(world, ESTIMATE - 1)
    for_workspace(world, 100_000)
    with pytest.raises(BudgetExceeded) as refusal:
        ask(world, name)
    assert refusal.value.facts["limit"] == f"project:{name}"
    assert counters(world, WORKSPACE) == (100_000, 0, 0)
    assert world.wallet().held == 0
    other = project(world, ESTIMATE)
    ask(world, other)
    assert counters(world, WORKSPACE) == (100_000 - ESTIMATE, ESTIMATE, 0)
    assert counters(world, other) == (0, ESTIMATE, 0)


def test_a_failed_cancelled_or_expired_generation_frees_its_reservation(world: World) -> None:
    name = project(world, 10_000)
    failed, withdrawn, late = (ask(world, name) for _ in range(3))
    assert counters(world, name)[1] == 3 * ESTIMATE
    world.attempt(failed)
    world.finish(failed, Outcome("failed", error_class="transient", message="It broke."))
    cancel(world.workspace_id, withdrawn.id, deps=world.finish_deps, now=world.now)
    expire_generation(world.get(late), deps=world.finish_deps, now=world.now)
    assert counters(world, name) == (10_000, 0, 0)


def test_a_late_success_replaces_the_estimate_that_its_expiry_counted(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    world.attempt(generation)
    world.now = generation.deadline_at + timedelta(seconds=1)
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    # The provider may still bill the attempt, so it counts at the estimate until its cost is known.
    assert counters(world, name) == (10_000 - ESTIMATE, 0, ESTIMATE)
    results = run_concurrently(8, lambda _: world.finish(generation, succeeded(2000)))
    assert {result.status for result in results if isinstance(result, Generation)} == {Status.SUCCEEDED}
    assert counters(world, name) == (8000, 0, 2000)


def test_parallel_settlements_spend_the_budget_once(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    world.attempt(generation)
    late = generation.deadline_at + timedelta(seconds=1)
    calls = [
        lambda: world.finish(generation, succeeded(1234)),
        lambda: expire_generation(world.get(generation), deps=world.finish_deps, now=late),
    ]
    run_concurrently(10, lambda number: calls[number % 2]())
    left, reserved, spent = counters(world, name)
    assert (left + spent, reserved) == (10_000, 0)
    assert spent == world.get(generation).cost_microusd


def test_a_crash_before_or_after_the_settlement_is_repaired_by_a_repeat(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    world.attempt(generation)
    sound, broken = DynamoGenerations(), DynamoGenerations()

    def dies(*_: object) -> None:
        raise ConnectionError

    def dies_afterwards(*end: Any) -> None:
        sound.close_with_ending(*end)
        raise ConnectionError

    for death, spent in ((dies, 0), (dies_afterwards, 1234)):
        broken.close_with_ending = death
        to = replace(world.finish_deps, generations=broken)
        with pytest.raises(ConnectionError):
            finish(world.workspace_id, generation.id, succeeded(1234), deps=to, now=world.now)
        assert counters(world, name)[2] == spent
    world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - 1234, 0, 1234)


def test_parallel_submissions_with_one_idempotency_key_reserve_once(world: World) -> None:
    name = project(world, 10_000)
    results = run_concurrently(12, lambda _: ask(world, name, key="k"))
    assert all(isinstance(result, Generation) for result in results)
    assert counters(world, name)[1] == ESTIMATE


def test_a_budget_refusal_leaves_the_idempotency_key_usable(world: World) -> None:
    name = project(world, ESTIMATE - 1)
    with pytest.raises(BudgetExceeded):
        ask(world, name, key="k")
    seen = world.projects.budget(world.workspace_id, name)
    assert seen is not None
    world.projects.change_budget(seen, replace(seen, limit_microusd=ESTIMATE))
    assert ask(world, name, key="k").project_id == name


def test_a_limit_change_keeps_a_reservation_made_at_the_same_time(world: World) -> None:
    name = project(world)
    first = ask(world, name)
    seen = world.projects.budget(world.workspace_id, name)
    assert seen is not None
    with before_first_request(lambda: ask(world, name)):
        world.projects.change_budget(seen, replace(seen, limit_microusd=2 * ESTIMATE))
    assert counters(world, name) == (0, 2 * ESTIMATE, 0)
    with pytest.raises(BudgetExceeded):
        ask(world, name)
    world.attempt(first)
    world.finish(first, succeeded(ESTIMATE - 100))
    assert counters(world, name) == (100, ESTIMATE, ESTIMATE - 100)


def test_a_workspace_budget_restarts_each_month_and_keeps_its_reservations(world: World) -> None:
    for_workspace(world, 3 * ESTIMATE)
    spent, carried = ask(world), ask(world)
    world.attempt(spent)
    world.finish(spent, succeeded(ESTIMATE))
    ask(world)
    with pytest.raises(BudgetExceeded):
        ask(world)
    # The attempt starts before the month ends; after its deadline it could not be submitted any more.
    world.attempt(carried)
    world.now = datetime(2026, 12, 1, 0, 0, 1, tzinfo=world.now.tzinfo)
    results = run_concurrently(6, lambda _: ask(world))
    assert len([result for result in results if isinstance(result, Generation)]) == 1
    assert counters(world, WORKSPACE) == (0, 3 * ESTIMATE, 0)
    world.finish(carried, succeeded(ESTIMATE))
    assert counters(world, WORKSPACE) == (0, 2 * ESTIMATE, ESTIMATE)


def test_a_budget_set_during_a_submission_is_enforced(world: World) -> None:
    with before_first_request(lambda: for_workspace(world, ESTIMATE - 1)), pytest.raises(BudgetExceeded):
        ask(world)
    assert counters(world, WORKSPACE) == (ESTIMATE - 1, 0, 0)


def test_a_write_conflict_on_a_wallet_or_budget_raises_a_retryable_error(world: World) -> None:
    name = project(world, 2000)
    seen = world.projects.budget(world.workspace_id, name)
    assert seen is not None
    with failing_operation("UpdateItem", SINGLE_CONFLICT), pytest.raises(Unavailable):
        world.wallets.mark_budgeted(world.workspace_id)
    assert not world.wallet().budgeted
    both = world.projects.get(world.workspace_id, name), seen
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT):
        with pytest.raises(StaleProject):
            world.projects.change_budget(seen, replace(seen, limit_microusd=1))
        with pytest.raises(StaleProject):
            world.projects.change(both, both)
        with pytest.raises(StaleProject):
            world.projects.delete(world.workspace_id, name)


def test_a_submission_without_a_budget_writes_no_budget_item(world: World) -> None:
    generation = ask(world)
    assert (generation.budgets, generation.reserved_microusd) == ((), 0)
    assert world.projects.budgets(world.workspace_id, [WORKSPACE]) == {}


def test_a_missing_and_a_foreign_project_are_both_not_found(world: World, tables: Tables) -> None:
    other = World(tables, providers=frozenset({"replicate"}))
    for missing in (new_id("prj", world.now), project(other)):
        with pytest.raises(NotFound):
            ask(world, missing)
    assert world.wallet().held == 0


def test_an_archived_project_refuses_new_generations_and_settles_open_ones(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    seen = world.projects.get(world.workspace_id, name), world.projects.budget(world.workspace_id, name)
    assert seen[1] is not None
    after = replace(seen[0], archived_at=world.now), replace(seen[1], archived=True)
    with before_first_request(lambda: ask(world, name)):
        world.projects.change((seen[0], seen[1]), after)
    with pytest.raises(Conflict):
        ask(world, name)
    world.attempt(generation)
    world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - 1234 - ESTIMATE, ESTIMATE, 1234)


def test_a_project_with_a_generation_cannot_be_deleted(world: World) -> None:
    used, raced, unused = project(world), project(world), project(world)
    ask(world, used)
    with pytest.raises(ProjectInUse):
        world.projects.delete(world.workspace_id, used)
    with before_first_request(lambda: ask(world, raced)), pytest.raises(ProjectInUse):
        world.projects.delete(world.workspace_id, raced)
    world.projects.delete(world.workspace_id, unused)
    with pytest.raises(NotFound):
        world.projects.delete(world.workspace_id, unused)
    with pytest.raises(NotFound):
        ask(world, unused)


def test_a_repeat_after_a_transaction_conflict_settles_once(world: World) -> None:
    name = project(world, 10_000)
    generation = ask(world, name)
    world.attempt(generation)
    with failing_operation("TransactWriteItems", TRANSACTION_CONFLICT), pytest.raises(Unavailable):
        world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - ESTIMATE, ESTIMATE, 0)
    world.finish(generation, succeeded(1234))
    assert counters(world, name) == (10_000 - 1234, 0, 1234)


def test_a_repeated_submission_replays_the_accepted_generation(world: World) -> None:
    name = project(world, ESTIMATE)
    first = ask(world, name, key="k")
    again = world.submit(model="replicate/sdxl", project_id=name, key="k")
    assert isinstance(again, AcceptedGeneration)
    assert (again.replayed, again.generation) == (True, first)


# ---- random operations with crashes ----------------------------------------------------------------------------------


class Dies(DynamoGenerations):
    """Crashes at random after a write, before the caller gets the answer."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def open_with_hold(self, generation: Generation, opening: HoldPlan) -> None:
        super().open_with_hold(generation, opening)
        self.die()

    def close_with_ending(self, *end: Any) -> None:
        super().close_with_ending(*end)
        self.die()

    def deliver_late(self, *end: Any) -> None:
        super().deliver_late(*end)
        self.die()

    def die(self) -> None:
        if self.rng.random() < 0.3:
            raise ConnectionError


@pytest.mark.parametrize("seed", range(4))
def test_budget_counters_equal_the_generations_after_random_crashes(world: World, seed: int) -> None:
    rng = random.Random(seed)
    world.generations = Dies(rng)
    names = [project(world), project(world, 12 * ESTIMATE)]
    for_workspace(world, 20 * ESTIMATE)
    made: list[Generation] = []

    def ask_one() -> None:
        key = f"k{rng.randrange(40)}"
        made.append(ask(world, rng.choice([*names, None]), key=key))

    def end_one() -> None:
        generation = world.get(rng.choice(made))
        if not generation.attempts and generation.is_open:
            world.attempt(generation)
        ends = [
            lambda: world.finish(generation, succeeded(rng.choice([None, 0, 900, 5000]))),
            lambda: world.finish(generation, Outcome("failed", error_class="transient", message="It broke.")),
            lambda: expire_generation(world.get(generation), deps=world.finish_deps, now=generation.deadline_at),
            lambda: cancel(world.workspace_id, generation.id, deps=world.finish_deps, now=world.now),
        ]
        rng.choice(ends)()

    def limit_one() -> None:
        seen = world.projects.budget(world.workspace_id, rng.choice([*names, WORKSPACE]))
        assert seen is not None
        world.projects.change_budget(seen, replace(seen, limit_microusd=rng.choice([None, 0, 15 * ESTIMATE])))

    for _ in range(120):
        with suppress(ConnectionError, AtelierError, IndexError, GenerationChanged):
            rng.choices([ask_one, end_one, limit_one], [4, 5, 1])[0]()
    kept = {each.id: each for each in world.generations.list(world.workspace_id, Filters(), None, 100).generations}
    assert len(kept) > 10
    for name in [*names, WORKSPACE]:
        _, reserved, spent = counters(world, name)
        mine = [each for each in kept.values() if name in each.budgets]
        assert reserved == sum(each.reserved_microusd for each in mine if each.is_open)
        assert spent == sum(each.cost_microusd for each in mine)
    world.assert_sound()


# ---- alerts ----------------------------------------------------------------------------------------------------------


@dataclass
class Publisher:
    """EventPublisher that keeps the alerts, or fails."""

    alerts: list[str]
    fails: bool = False

    def publish(self, event: Event) -> None:
        if self.fails:
            raise ConnectionError
        assert isinstance(event, BudgetAlert)
        self.alerts.append(f"{event.type} {event.threshold}")


def watched(world: World, name: str, published: list[str]) -> None:
    publish_due_alerts(world.workspace_id, name, projects=world.projects, events=Publisher(published), now=world.now)


def test_a_crossed_threshold_sends_one_alert_however_often_it_is_checked(world: World) -> None:
    name, published = project(world, 2000), list[str]()
    generation = ask(world, name)
    watched(world, name, published)
    assert (published, world.projects.alerts(world.workspace_id, name)) == ([], ())
    world.attempt(generation)
    world.finish(generation, succeeded(1700))
    for _ in range(3):
        watched(world, name, published)
    assert published == ["budget.alert 80"]
    late = ask_beyond(world, name)
    world.finish(late, succeeded(400))
    watched(world, name, published)
    assert published == ["budget.alert 80", "budget.alert 100"]
    assert [alert.threshold for alert in world.projects.alerts(world.workspace_id, name)] == [100, 80]


def ask_beyond(world: World, name: str) -> Generation:
    """Submits a generation beyond the limit, by raising the limit for a moment."""
    seen = world.projects.budget(world.workspace_id, name)
    assert seen is not None
    higher = replace(seen, limit_microusd=10**6)
    world.projects.change_budget(seen, higher)
    generation = ask(world, name)
    world.projects.change_budget(higher, seen)
    world.attempt(generation)
    return generation


def test_an_alert_that_failed_to_publish_is_published_by_the_next_check(world: World) -> None:
    name, published = project(world, 2000), list[str]()
    generation = ask(world, name)
    world.attempt(generation)
    world.finish(generation, succeeded(1700))

    silent = Publisher([], fails=True)
    with pytest.raises(ConnectionError):
        publish_due_alerts(world.workspace_id, name, projects=world.projects, events=silent, now=world.now)
    (raised,) = world.projects.alerts(world.workspace_id, name)
    assert raised.published_at is None
    world.now += timedelta(minutes=5)
    watched(world, name, published)
    (kept,) = world.projects.alerts(world.workspace_id, name)
    assert published == ["budget.alert 80"]
    assert (kept.triggered_at, kept.published_at) == (raised.triggered_at, world.now)


def test_parallel_checks_raise_one_alert(world: World) -> None:
    name = project(world, 2000)
    generation = ask(world, name)
    world.attempt(generation)
    world.finish(generation, succeeded(1700))
    budget = world.projects.budget(world.workspace_id, name)
    assert budget is not None
    results = run_concurrently(10, lambda _: raise_due_alerts(budget, projects=world.projects, now=world.now))
    assert len({str(result) for result in results}) == 1
    (alert,) = world.projects.alerts(world.workspace_id, name)
    times = run_concurrently(
        5,
        lambda n: world.projects.acknowledge(world.workspace_id, name, alert.id, world.now + timedelta(seconds=n)),
    )
    assert len({str(result) for result in times}) == 1


def test_a_new_limit_sends_its_alerts_again(world: World) -> None:
    name, published = project(world, 2000), list[str]()
    generation = ask(world, name)
    world.attempt(generation)
    world.finish(generation, succeeded(1700))
    watched(world, name, published)
    seen = world.projects.budget(world.workspace_id, name)
    assert seen is not None
    world.projects.change_budget(seen, replace(seen, limit_microusd=1700))
    watched(world, name, published)
    assert published == ["budget.alert 80", "budget.alert 80", "budget.alert 100"]
