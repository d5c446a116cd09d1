"""Row 8: ledger operations on one hot wallet and on a hundred, compared with a plain loop of the same transactions.

An operation is a hold or its end, as the use cases submit and finish do it: read, plan, and one conditional transaction
(generation, movement, wallet). The reference sends the same requests with other keys to the same store, without reading
and planning; then once more without their conditions. Each side has 32 writers. Afterwards every wallet is checked: the
sums are exact and none is overdrawn.

Run as a program it prints the medians in operations a second.
"""

from __future__ import annotations

import copy
import json
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parent.parent.parent
WRITERS = 32
OPERATIONS = 1280
ROUNDS = 3
WALLETS = {"one hot wallet": 1, "a hundred wallets": 100}
CREDITS = 4
RAW_SIDES = {"the same requests": 0.6, "them without conditions": None}


def rows() -> list[object]:
    from tests.bench.measure import Result, run_child

    found = run_child([__file__], {"PYTHONPATH": f"{ROOT / 'layers/atelier/python'}:{ROOT}"})
    return [
        Result(
            8, f"ledger operations, {name}, beside {side}", found[name], found[f"{side}, {name}"], "/s", ratio_min=bar
        )
        for name in WALLETS
        for side, bar in RAW_SIDES.items()
    ]


def main() -> None:
    """Measure the sides alternately, so that a slow moment of the machine affects them all."""
    import pytest

    from atelier.adapters.aws.clients import session
    from tests.embedded_aws import create_tables, start_emulator

    # Imported first, because tests/conftest.py removes AWS_ENDPOINT_URL from the environment, which is set below.
    from tests.integration.world import World  # noqa: F401

    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as environment:
        emulator, url = start_emulator(Path(folder))
        try:
            for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
                environment.setenv(name, "test")
            for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
                environment.setenv(name, "us-east-1")
            environment.setenv("AWS_ENDPOINT_URL", url)
            tables = create_tables(session().create_client("dynamodb"), environment)
            found: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                for name, count in WALLETS.items():
                    found.setdefault(name, []).append(product_rate(tables, count))
                    for side in RAW_SIDES:
                        speed = raw_rate(tables, count, conditions=side == "the same requests")
                        found.setdefault(f"{side}, {name}", []).append(speed)
            print(json.dumps({name: median(rates) for name, rates in found.items()}))
        finally:
            emulator.terminate()
            emulator.wait(timeout=10)


def operations_per_second(pair: Callable[[int], None]) -> float:
    """Operations a second; `pair(number)` does two operations for the writer of that number."""
    barrier = threading.Barrier(WRITERS + 1)

    def write(number: int) -> None:
        barrier.wait()
        for _ in range(OPERATIONS // WRITERS // 2):
            pair(number)

    with ThreadPoolExecutor(WRITERS) as pool:
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        barrier.wait()
        begun = time.perf_counter()
        for writer in writers:
            writer.result()
        return OPERATIONS / (time.perf_counter() - begun)


def product_rate(tables: Any, count: int) -> float:
    """The product's operations a second: hold four credits, then settle three of them."""
    worlds = [funded_world(tables, OPERATIONS * CREDITS) for _ in range(count)]
    speed = operations_per_second(lambda number: hold_and_settle(worlds[number % count]))
    for world in worlds:
        world.assert_sound()
    spent = sum(e.amount for world in worlds for m in world.movements() for e in m.entries if e.account == "revenue")
    assert spent == OPERATIONS // 2 * 3
    return speed


def funded_world(tables: Any, credits: int) -> Any:
    """A world whose wallet has one grant, which never expires, and no daily grant."""
    from atelier.ledger.model import DailyCreditRule, GrantSource
    from atelier.ledger.post import PostDeps, grant
    from tests.integration.world import World

    world = World(tables)
    to = PostDeps(world.wallets, lambda tier: DailyCreditRule(0), lambda tries: None)
    grant(world.workspace_id, "grant#bench", GrantSource.PURCHASE, credits, deps=to, now=world.now)
    return world


def hold_and_settle(world: Any) -> None:
    """One hold and its end, through the stores that the use cases submit and finish use."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.ids import new_id
    from atelier.ledger.model import EndState
    from atelier.ledger.plan_hold import plan_hold, plan_settlement
    from atelier.ledger.ports import StaleWallet

    reference = new_id("gen", world.now)
    deadline_at = world.now + timedelta(minutes=5)
    generation = example_generation(world, reference)
    for tries in range(60):
        opening = plan_hold(
            world.refreshed(),
            reference,
            CREDITS,
            deadline_at,
            {"price_version": "2026-11-20-1a2b3c4d"},
            world.now,
            holds_open_max=WRITERS + 1,
        )
        try:
            world.generations.open_with_hold(generation, opening)
        except StaleWallet:
            pause_with_jitter(tries)
        else:
            break
    else:
        raise AssertionError("the wallet was never still")
    hold = world.wallets.hold(world.workspace_id, reference)
    assert hold is not None
    world.generations.close_with_ending(generation, plan_settlement(hold, EndState.SETTLED, 3, {}, world.now))


def example_generation(world: Any, reference: str) -> Any:
    """A generation of the usual size."""
    from atelier.generations.model import Generation, Kind, Recipe, Status

    recipe = Recipe(Kind.IMAGE, "a lighthouse at dusk, oil on canvas", "auto", None, {"width": 1024, "height": 1024})
    return Generation(
        id=reference,
        workspace_id=world.workspace_id,
        user_id="usr_A",
        recipe=recipe,
        candidates=("local/canvas",),
        price_version="2026-11-20-1a2b3c4d",
        watermark=True,
        credits_held=CREDITS,
        status=Status.QUEUED,
        created_at=world.now,
        deadline_at=world.now + timedelta(minutes=5),
    )


def raw_rate(tables: Any, count: int, *, conditions: bool) -> float:
    """The reference's operations a second: the recorded transactions of one hold and its end, with other wallets and
    keys."""
    from botocore.config import Config

    from atelier.adapters.aws.clients import session
    from atelier.adapters.aws.dynamodb import connection
    from atelier.ids import new_id

    worlds = [funded_world(tables, OPERATIONS * CREDITS) for _ in range(count)]
    sent: list[dict[str, Any]] = []
    events = connection().client.meta.events

    def keep(params: dict[str, Any], **_: Any) -> None:
        sent.append(copy.deepcopy(params))

    events.register("provide-client-params.dynamodb.TransactWriteItems", keep)
    try:
        hold_and_settle(worlds[0])
    finally:
        events.unregister("provide-client-params.dynamodb.TransactWriteItems", keep)
    client = session().create_client("dynamodb", config=Config(max_pool_connections=50))
    old = next(write["Item"]["sk"]["S"] for write in transaction_parts(sent[0]) if write.get("Item", {}).get("user_id"))
    for params in sent:
        params.pop("ClientRequestToken", None)
    templates = [json.dumps(params) if conditions else without_conditions(params) for params in sent]
    grant_ids = [world.refreshed().grants[-1].id for world in worlds]

    def pair(number: int) -> None:
        place = number % count
        reference = new_id("gen", worlds[place].now)
        for template in templates:
            text = template.replace(old[4:], reference[4:]).replace(grant_ids[0], grant_ids[place])
            text = text.replace(worlds[0].workspace_id, worlds[place].workspace_id)
            client.transact_write_items(**json.loads(text))

    return operations_per_second(pair)


def transaction_parts(params: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a transaction."""
    return [next(iter(item.values())) for item in params["TransactItems"]]


def without_conditions(params: dict[str, Any]) -> str:
    """A transaction without its conditions, as JSON; names and values that only they used are removed too."""
    for write in transaction_parts(params):
        write.pop("ConditionExpression", None)
        kept = write.get("UpdateExpression", "")
        for given in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            used = {
                token: value
                for token, value in write.pop(given, {}).items()
                if f"{token} " in f"{kept} ".replace(",", " ").replace(".", " ").replace(")", " ")
            }
            if used:
                write[given] = used
    return json.dumps(params)


if __name__ == "__main__":
    main()
