"""functions/api/admin_money: wallets for administrators of the platform."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from atelier.audit_log.model import PLATFORM_LOG
from atelier.audit_log.ports import EventFilter
from atelier.clock import system_clock
from atelier.errors import AtelierError
from atelier.generations.model import Kind, Recipe
from atelier.generations.submit import Submission, SubmitDeps, submit_generation
from atelier.idempotency import fingerprint
from atelier.ids import new_id
from atelier.ledger.model import EndState, Wallet, WalletFrozen
from atelier.ledger.plan_hold import plan_settlement
from atelier.ledger.verify import verify
from atelier.wiring import adjustments, audit_log, generations, idempotency, ledger, library, projects
from atelier.wiring.prices import prices
from tests.functions.conftest import AwsResources
from tests.functions.example_data import LIFETIME_MAX, PROMPT
from tests.functions.people import Person, call, create_administrator, create_person
from tests.functions.responses import Reply, error_of, success_data
from tests.invoke import load_function
from tests.orphaned_escrows import write_orphaned_escrow

REASON = "The picture of Monday was broken"


@pytest.fixture
def app(cloud: AwsResources) -> ModuleType:
    return load_function("api/admin_money")


@pytest.fixture
def ada(cloud: AwsResources) -> Person:
    return create_administrator("ada")


@pytest.fixture
def bob(cloud: AwsResources) -> Person:
    return create_administrator("bob")


@pytest.fixture
def eve(cloud: AwsResources) -> Person:
    """The person whose wallet is corrected."""
    person = create_person("eve")
    ledger.refresh_wallet(person.workspace_id, system_clock())
    return person


def adjust(app: ModuleType, by: Person, of: Person, credits: int, key: str = "k1", reason: str = REASON) -> Reply:
    path = f"POST /api/admin/wallets/{of.workspace_id}/adjust"
    return call(app, by, path, {"credits": credits, "reason": reason}, **{"idempotency-key": key})


def decide(app: ModuleType, by: Person, id: str, what: str = "approve") -> Reply:
    return call(app, by, f"POST /api/admin/adjustments/{id}/{what}")


def adjustment(response: Reply) -> dict[str, Any]:
    found: dict[str, Any] = success_data(response)["adjustment"]
    return found


def wallet(of: Person) -> Wallet:
    return ledger.wallets().wallet(of.workspace_id)


def actions(log: str) -> list[str]:
    page = audit_log.reads().page(log, EventFilter(action="credits."), None, 50)
    return [each["action"] for each in page.events]


def test_a_correction_is_a_movement_with_reason_and_both_logs(app: ModuleType, ada: Person, eve: Person) -> None:
    before = wallet(eve).available
    answer = adjust(app, ada, eve, 100)
    made = adjustment(answer)
    assert answer["statusCode"] == 201
    assert answer["headers"]["Location"] == f"/api/admin/adjustments/{made['id']}"
    assert (made["state"], made["requested_by"], made["decided_by"]) == ("applied", ada.user_id, ada.user_id)
    assert wallet(eve).available == before + 100

    entries = success_data(call(app, ada, f"GET /api/admin/wallets/{eve.workspace_id}/entries"))["items"]
    assert entries[0]["id"] == f"adjust#{made['id']}"
    assert (entries[0]["facts"]["reason"], entries[0]["facts"]["by"]) == (REASON, ada.user_id)
    assert actions(eve.workspace_id) == actions(PLATFORM_LOG) == ["credits.adjusted"]
    proof = success_data(call(app, ada, f"GET /api/admin/wallets/{eve.workspace_id}/proof"))
    assert verify([proof]).startswith("sound:")


def test_the_same_request_twice_or_at_once_moves_credits_once(app: ModuleType, ada: Person, eve: Person) -> None:
    before = wallet(eve).available
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: adjust(app, ada, eve, 100), range(4)))
    assert {adjustment(answer)["id"] for answer in answers} == {adjustment(adjust(app, ada, eve, 100))["id"]}
    assert wallet(eve).available == before + 100
    assert error_of(adjust(app, ada, eve, 101)) == (422, "IDEMPOTENCY_MISMATCH")
    assert adjustment(adjust(app, ada, eve, 100, key="k2"))["state"] == "applied"
    assert wallet(eve).available == before + 200
    assert actions(eve.workspace_id) == ["credits.adjusted"] * 2


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"credits": 0, "reason": REASON}, "k"),
        ({"credits": 1.5, "reason": REASON}, "k"),
        ({"credits": 10**9, "reason": REASON}, "k"),
        ({"credits": 5}, "k"),
        ({"credits": 5, "reason": " "}, "k"),
        ({"credits": 5, "reason": REASON}, None),
    ],
)
def test_a_correction_needs_credits_a_reason_and_a_key(
    app: ModuleType, ada: Person, eve: Person, body: dict[str, Any], key: str | None
) -> None:
    headers = {"idempotency-key": key} if key else {}
    answer = call(app, ada, f"POST /api/admin/wallets/{eve.workspace_id}/adjust", body, **headers)
    assert error_of(answer) == (422, "VALIDATION_FAILED")
    assert wallet(eve).written == 1


def test_no_more_is_taken_than_can_be_spent(app: ModuleType, ada: Person, eve: Person) -> None:
    had = wallet(eve).available
    assert error_of(adjust(app, ada, eve, -had - 1)) == (402, "INSUFFICIENT_CREDITS")
    assert adjustment(adjust(app, ada, eve, -had, key="all"))["state"] == "applied"
    assert wallet(eve).available == 0
    # What was refused is refused again, and nothing was counted for it.
    assert error_of(adjust(app, ada, eve, -had - 1)) == (402, "INSUFFICIENT_CREDITS")


def test_a_wallet_that_does_not_exist_is_not_found(app: ModuleType, ada: Person) -> None:
    missing = new_id("wsp", system_clock())
    body, key = {"credits": 5000, "reason": REASON}, {"idempotency-key": "k"}
    for path in ("adjust", "freeze", "unfreeze"):
        answer = call(
            app,
            ada,
            f"POST /api/admin/wallets/{missing}/{path}",
            body if path == "adjust" else {"reason": REASON},
            **key,
        )
        assert error_of(answer) == (404, "NOT_FOUND"), path
    assert error_of(call(app, ada, f"GET /api/admin/wallets/{missing}")) == (404, "NOT_FOUND")


# ---- four eyes -------------------------------------------------------------------------------------------------------


def test_above_the_limit_another_administrator_approves(app: ModuleType, ada: Person, bob: Person, eve: Person) -> None:
    before = wallet(eve).available
    answer = adjust(app, ada, eve, 1001)
    waiting = adjustment(answer)
    assert (answer["statusCode"], waiting["state"]) == (202, "pending")
    assert adjustment(adjust(app, ada, eve, 1001)) == waiting
    assert wallet(eve).available == before

    refused = decide(app, ada, waiting["id"])
    assert error_of(refused) == (403, "FORBIDDEN")
    assert "four_eyes" in refused["body"]
    listed = success_data(call(app, bob, "GET /api/admin/adjustments?state=pending"))["items"]
    assert [each["id"] for each in listed] == [waiting["id"]]

    for _ in range(2):
        applied = adjustment(decide(app, bob, waiting["id"]))
        assert (applied["state"], applied["decided_by"]) == ("applied", bob.user_id)
    assert wallet(eve).available == before + 1001
    assert adjustment(adjust(app, ada, eve, 1001)) == applied
    assert error_of(decide(app, bob, waiting["id"], "reject")) == (409, "CONFLICT")
    assert actions(eve.workspace_id) == ["credits.adjusted", "credits.adjustment_requested"]
    entries = success_data(call(app, ada, f"GET /api/admin/wallets/{eve.workspace_id}/entries"))["items"]
    assert entries[0]["facts"]["approved_by"] == bob.user_id


def test_a_rejected_correction_moves_nothing(app: ModuleType, ada: Person, bob: Person, eve: Person) -> None:
    before = wallet(eve)
    id = adjustment(adjust(app, ada, eve, 5000))["id"]
    for by in (bob, ada):
        assert adjustment(decide(app, by, id, "reject"))["state"] == "rejected"
    assert error_of(decide(app, bob, id)) == (409, "CONFLICT")
    assert wallet(eve) == before
    assert actions(PLATFORM_LOG) == ["credits.adjustment_rejected", "credits.adjustment_requested"]


def test_approved_and_rejected_at_once_only_one_happens(app: ModuleType, ada: Person, bob: Person, eve: Person) -> None:
    carl = create_administrator("carl")
    before = wallet(eve).available
    for number in range(6):
        id = adjustment(adjust(app, ada, eve, 2000, key=f"k{number}"))["id"]
        ways = ["approve", "reject", "approve"]
        with ThreadPoolExecutor(3) as pool:
            codes = [reply["statusCode"] for reply in pool.map(decide, [app] * 3, [bob, carl, carl], [id] * 3, ways)]
        state = adjustments.deps().store.get(id).state.value
        before += 2000 if state == "applied" else 0
        assert wallet(eve).available == before
        assert codes == ([200, 409, 200] if state == "applied" else [409, 200, 409])


def test_many_small_corrections_of_one_administrator_reach_the_limit(
    app: ModuleType, ada: Person, bob: Person, eve: Person
) -> None:
    states = [adjustment(adjust(app, ada, eve, 400, key=f"k{number}"))["state"] for number in range(3)]
    assert states == ["applied", "applied", "pending"]
    assert adjustment(adjust(app, ada, eve, -200, key="taken"))["state"] == "applied"
    assert adjustment(adjust(app, ada, eve, -1, key="one more"))["state"] == "pending"
    # The limit is each administrator's own.
    assert adjustment(adjust(app, bob, eve, 1000))["state"] == "applied"


def test_corrections_at_once_do_not_pass_the_limit_together(app: ModuleType, ada: Person, eve: Person) -> None:
    before = wallet(eve).available
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: adjust(app, ada, eve, 400, key=f"k{number}"), range(4)))
    assert sorted(adjustment(answer)["state"] for answer in answers) == ["applied"] * 2 + ["pending"] * 2
    assert wallet(eve).available == before + 800


def test_a_run_that_died_after_it_took_the_key_is_repeated(app: ModuleType, ada: Person, eve: Person) -> None:
    deps, now = adjustments.deps(), system_clock()
    facts = fingerprint(["adjustment", eve.workspace_id, 100, REASON])
    id = deps.keys.reserve(eve.workspace_id, f"adjustments {ada.user_id} k1", facts, new_id("adj", now))
    assert adjustment(adjust(app, ada, eve, 100))["id"] == id


# ---- freezing --------------------------------------------------------------------------------------------------------


def submit(person: Person, key: str, read: Wallet | None = None) -> str:
    """The id of a new generation, or the name of the refusal. read: the wallet as the request has read it."""
    recipe = Recipe(Kind.IMAGE, PROMPT, "local/canvas", None, {"width": 512, "height": 512, "seed": 7})
    deps = SubmitDeps(
        catalogue=prices(),
        lifetime_max=LIFETIME_MAX,
        wallets=ledger.wallets(),
        generations=generations.store(),
        keys=idempotency.idempotency_keys(),
        budgets=projects.projects(),
        input_asset_store=library.assets(),
        pause=lambda tries: None,
    )
    try:
        submission = Submission(person.workspace_id, person.user_id, recipe, key)
        return submit_generation(submission, deps=deps, now=system_clock(), wallet=read).generation.id
    except AtelierError as error:
        return type(error).__name__


def freeze(app: ModuleType, by: Person, of: Person, what: str = "freeze") -> dict[str, Any]:
    body = {"reason": REASON} if what == "freeze" else None
    answer = call(app, by, f"POST /api/admin/wallets/{of.workspace_id}/{what}", body)
    found: dict[str, Any] = success_data(answer)["wallet"]
    return found


def test_a_frozen_wallet_starts_nothing_and_what_runs_is_settled(app: ModuleType, ada: Person, eve: Person) -> None:
    read = wallet(eve)
    running = submit(eve, "before")
    frozen = freeze(app, ada, eve)
    assert frozen["frozen_at"]
    assert freeze(app, ada, eve) == frozen
    assert submit(eve, "after") == WalletFrozen.__name__
    # A hold that was planned on the wallet before it was frozen is not written either.
    assert submit(eve, "planned before", read) == WalletFrozen.__name__

    hold = ledger.wallets().hold(eve.workspace_id, running)
    assert hold is not None
    end = plan_settlement(hold, EndState.SETTLED, hold.amount, {}, system_clock())
    ledger.wallets().end_hold(eve.workspace_id, end)
    assert (wallet(eve).held, wallet(eve).frozen_at is not None) == (0, True)

    # Credits still come in, and administrators still correct.
    assert adjustment(adjust(app, ada, eve, 10))["state"] == "applied"
    for _ in range(2):
        assert freeze(app, ada, eve, "unfreeze")["frozen_at"] is None
    assert submit(eve, "again").startswith("gen_")
    wanted = ["credits.unfrozen", "credits.adjusted", "credits.frozen"]
    assert actions(eve.workspace_id) == actions(PLATFORM_LOG) == wanted


def test_a_refresh_of_a_frozen_wallet_keeps_it_frozen(app: ModuleType, ada: Person) -> None:
    person = create_person("mallory")
    freeze(app, ada, person)
    assert ledger.refresh_wallet(person.workspace_id, system_clock()).available > 0
    assert wallet(person).frozen_at is not None


# ---- escrows after a restore -----------------------------------------------------------------------------------------


def test_an_orphaned_escrow_is_listed_and_given_back_once(
    app: ModuleType, ada: Person, bob: Person, eve: Person
) -> None:
    id = write_orphaned_escrow(eve.workspace_id, 40, deps=adjustments.deps().ledger, now=system_clock())
    path = f"/api/admin/wallets/{eve.workspace_id}/orphaned-escrows"
    [found] = success_data(call(app, ada, f"GET {path}"))["items"]
    assert (found["id"], found["credits"], found["record"], found["can_be_given_back"]) == (id, 40, "missing", True)

    before, body = wallet(eve).available, {"reason": REASON}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda by: call(app, by, f"POST {path}/{id}/end", body), (ada, bob)))
    assert [success_data(answer)["wallet"]["held"] for answer in answers] == [0, 0]
    assert wallet(eve).available == before + 40
    assert success_data(call(app, ada, f"GET {path}"))["items"] == []
    assert actions(eve.workspace_id) == actions(PLATFORM_LOG) == ["credits.escrow_ended"]
    entries = success_data(call(app, ada, f"GET /api/admin/wallets/{eve.workspace_id}/entries"))["items"]
    assert [each["facts"]["reason"] for each in entries if each["kind"] == "escrow_end"] == [REASON]

    other = path.replace(eve.workspace_id, bob.workspace_id)
    for unknown in (f"{path}/{id[:-1]}x/end", f"{path}/gen_{id[4:]}/end", f"{other}/{id}/end"):
        assert error_of(call(app, ada, f"POST {unknown}", body))[0] == 404
    assert error_of(call(app, eve, f"GET {path}"))[0] == 403
    assert error_of(call(app, ada, f"POST {path}/{id}/end", {}))[0] == 422
