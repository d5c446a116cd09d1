"""The function that counts, fed with the streams of real generations of every outcome: each change is counted once,
whatever is delivered twice, late, shuffled, in parallel, or again after a crash at any of its AWS calls."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random

import botocore.session
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from atelier.adapters.aws.dynamodb.analytics.facts import decode_counted
from atelier.adapters.aws.dynamodb.generations.items import GenerationItem
from atelier.adapters.aws.dynamodb.generations.prompt_refusals import PromptRefusalItem, decode_refusal
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem, decode_movement
from atelier.analytics.model import Dataset
from atelier.generations.model import Generation
from atelier.generations.prompt_refusal import PREFIX as REFUSAL
from atelier.generations.prompt_refusal import PromptRefusal
from atelier.ids import CROCKFORD, new_id
from atelier.ledger.model import Movement
from atelier.wiring import analytics
from tests.bench.meter import metering_proxy
from tests.bench.units import Units
from tests.counted import Rows, counted_rows, rows_of_records, total_of
from tests.crashes.interceptor import CallInterceptor, FaultMode, ProcessDied
from tests.crashes.simulated_aws import stream_mappings
from tests.embedded_aws import Tables, clear_wiring_caches
from tests.integration.analytics_world import ENDINGS, EndingsWorld, Record, Streams
from tests.integration.world import NOON, before_first_request, run_concurrently
from tests.invoke import load_function

COUNTING = "streams/analytics"
ULID = re.compile(r"(?<![0-9A-Z])[0-9A-HJKMNP-TV-Z]{26}(?![0-9A-Z])")
# A failing example is not made smaller: its seed says all, and trying smaller ones would take minutes.
PHASES = (Phase.explicit, Phase.generate)
EXAMPLES, REQUESTS = 40, 50
USERS = ("usr_A", "usr_B", "usr_C")
DELIVERIES_MAX = 6
# The bar for a generation that is one of twenty in a batch.
BATCH, UNITS_MAX = 20, 20


@pytest.fixture
def streams(tables: Tables, aws: botocore.session.Session) -> Streams:
    analytics.bind_table()
    return Streams(tables, aws)


@pytest.fixture
def world(streams: Streams, tables: Tables) -> EndingsWorld:
    return EndingsWorld(tables)


@pytest.fixture
def count(streams: Streams) -> Callable[[Iterable[Record]], None]:
    """Delivers records to the function that counts, as far as its filters let them through."""
    handler = load_function(COUNTING).handler

    def deliver(records: Iterable[Record]) -> None:
        accepted = passed(records)
        if accepted:
            handler({"Records": accepted}, None)

    return deliver


def workspace_of(records: Sequence[Record]) -> str:
    """The workspace of records that all have the same."""
    workspace_id: str = records[0]["dynamodb"]["Keys"]["pk"]["S"]
    return workspace_id


def passed(records: Iterable[Record]) -> list[Record]:
    """Those of the records that a filter of the function's event sources lets through."""
    mappings = [each for each in stream_mappings() if each.function == COUNTING]
    return [record for record in records if any(mapping.accepts(record) for mapping in mappings)]


def recorded(world: EndingsWorld, streams: Streams) -> dict[str, list[Record]]:
    """The records of each ending, alone; what the wallet was given before is not among them."""
    list(streams.new_records())
    found: dict[str, list[Record]] = {}
    for name in ENDINGS:
        world.end_one(name)
        found[name] = list(streams.new_records())
    return found


def as_another(
    records: Sequence[Record], workspace_id: str, user: str, token: str | None, random: Random
) -> list[Record]:
    """The same records of another workspace, with other ids that have the same times."""
    others: dict[str, str] = {}

    def another(found: re.Match[str]) -> str:
        ulid = found[0]
        suffix = "".join(random.choice(CROCKFORD) for _ in range(16))
        return others.setdefault(ulid, workspace_id[4:] if ulid == own else ulid[:10] + suffix)

    own = workspace_of(records)[4:]
    text = json.dumps(records).replace("usr_A", user).replace("#test#", f"#test#{random.getrandbits(32)}-")
    copies: list[Record] = json.loads(ULID.sub(another, text))
    for copy in copies:
        copy["eventID"] = f"{random.getrandbits(64):x}"
        for image in ("OldImage", "NewImage"):
            if token and copy["dynamodb"].get(image, {}).get("user_id"):
                copy["dynamodb"][image]["token_id"] = {"S": token}
    return copies


def rows_of_images(records: Iterable[Record]) -> Rows:
    """The sum over the records as they are stored after these changes."""
    stored = {record["dynamodb"]["Keys"]["sk"]["S"]: record["dynamodb"].get("NewImage") for record in records}
    generations: list[Generation] = []
    movements: dict[str, Movement] = {}
    refusals: list[PromptRefusal] = []
    for key, image in stored.items():
        if image and key.startswith("gen_"):
            generations.append(decode_counted(GenerationItem.from_raw_data(image)))
        elif image and key.startswith("movement#"):
            # The copies of a day's grant are one movement: its key is the day.
            movement = decode_movement(MovementItem.from_raw_data(image))
            movements[movement.key] = movement
        elif image and key.startswith(REFUSAL):
            refusals.append(decode_refusal(PromptRefusalItem.from_raw_data(image)))
    return rows_of_records(generations, movements.values(), refusals)


# ---- real generations ------------------------------------------------------------------------------------------------


def test_analytics_agrees_with_the_ledger_and_the_records_of_each_workspace(
    tables: Tables, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    worlds = [EndingsWorld(tables), EndingsWorld(tables)]
    names = list(ENDINGS)
    for world, own in zip(worlds, (names, names[::2]), strict=True):
        for name in own:
            world.end_one(name, user=f"usr_{len(name) % 3}", token="tok_1" if len(name) % 2 else None)
    count(streams.new_records())
    for world in worlds:
        rows = counted_rows(world.workspace_id)
        assert rows == world.rows_of_records()
        assert total_of(rows, "credits", Dataset.USAGE) == total_of(rows, "spent", Dataset.CREDITS) > 0
        wallet = world.wallet()
        came = sum(n for counts in rows.values() for name, n in counts.items() if name.startswith("granted_"))
        gone = ("spent", "expired", "revoked", "adjusted_down", "transferred")
        left = came - sum(total_of(rows, name, Dataset.CREDITS) for name in gone)
        assert left == wallet.available + wallet.held - wallet.debt
        assert total_of(rows, "prompts_refused", Dataset.USAGE) == len(world.refusals())
    assert [len(world.refusals()) for world in worlds] == [1, int("be_refused_before_anything_is_stored" in names[::2])]
    actors = {(row.group.user, row.group.token) for row in counted_rows(worlds[0].workspace_id)}
    assert len(actors) > 3


def test_two_thousand_random_generations_are_counted_once_however_delivered(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    by_ending, wire = recorded(world, streams), CallInterceptor()
    fault = st.tuples(st.integers(1, 40), st.sampled_from(FaultMode))

    @settings(max_examples=EXAMPLES, phases=PHASES, suppress_health_check=[HealthCheck.too_slow])
    @given(st.integers(0, 2**32), st.lists(fault, max_size=DELIVERIES_MAX))
    def counted_once(seed: int, faults: list[tuple[int, FaultMode]]) -> None:
        random = Random(seed)
        workspaces = new_id("wsp", NOON), new_id("wsp", NOON)
        own: dict[str, list[Record]] = {workspace_id: [] for workspace_id in workspaces}
        for _ in range(REQUESTS):
            workspace_id, user, token = random.choice(workspaces), random.choice(USERS), random.choice([None, "tok_1"])
            records = by_ending[random.choice(list(ENDINGS))]
            own[workspace_id] += as_another(records, workspace_id, user, token, random)
        everything = [record for records in own.values() for record in records]
        for batch, fault in deliveries(everything, random, faults):
            wire.restart(dict([fault]) if fault else {}, lambda call: None)
            try:
                with wire.invocation(COUNTING):
                    count(batch)
            except ProcessDied:
                wire.faults.clear()
                with wire.invocation(COUNTING):
                    count(batch)
        for workspace_id, records in own.items():
            rows = counted_rows(workspace_id)
            assert rows == rows_of_images(records)
            assert total_of(rows, "credits", Dataset.USAGE) == total_of(rows, "spent", Dataset.CREDITS)

    with wire.attached():
        counted_once()


def deliveries(
    records: list[Record], random: Random, faults: list[tuple[int, FaultMode]]
) -> list[tuple[list[Record], tuple[int, FaultMode] | None]]:
    """Batches in which each record is delivered, some of them twice, in any order; with faults for some of them."""
    shuffled = records + random.sample(records, len(records) // 3)
    random.shuffle(shuffled)
    cuts = sorted(random.randrange(len(shuffled)) for _ in range(max(1, len(faults))))
    batches = [shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(shuffled)], strict=True)]
    return [(batch, faults[place] if place < len(faults) else None) for place, batch in enumerate(batches)]


# ---- crashes, and writers at the same time ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", FaultMode)
def test_a_crash_at_any_call_counts_everything_once(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None], mode: FaultMode
) -> None:
    list(streams.new_records())
    for name in ("succeed_second", "succeed_late", "run", "wait_a_day"):
        world.end_one(name)
    records, wire, random = list(streams.new_records()), CallInterceptor(), Random(1)

    def deliver(faults: dict[int, FaultMode]) -> tuple[list[Record], int]:
        """Deliver the records of another workspace until they are taken; returns them, and the number of calls."""
        copies = as_another(records, new_id("wsp", NOON), "usr_A", None, random)
        wire.restart(faults, lambda _: None)
        with suppress(ProcessDied), wire.invocation(COUNTING):
            count(copies)
        calls = len(wire.calls)
        wire.faults.clear()
        with wire.invocation(COUNTING):
            count(copies)
        return copies, calls

    with wire.attached():
        _, calls = deliver({})
        assert calls >= 4
        for call in range(1, calls + 1):
            copies, _ = deliver({call: mode})
            assert counted_rows(workspace_of(copies)) == rows_of_images(copies)


def test_of_two_writers_of_one_minute_the_second_reads_again(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    world.end_one("succeed")
    first = list(streams.new_records())
    world.pause = timedelta()
    world.end_one("fail")
    second = list(streams.new_records())
    with before_first_request(lambda: count(first)):
        count(second + first)
    assert counted_rows(world.workspace_id) == world.rows_of_records()


def test_parallel_deliveries_of_the_same_records_count_them_once(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    for name in list(ENDINGS)[:8]:
        world.end_one(name)
    records = list(streams.new_records())
    assert run_concurrently(4, lambda number: count(records[number:] + records[:number])) == [None] * 4
    assert counted_rows(world.workspace_id) == world.rows_of_records()


# ---- records that come and go ----------------------------------------------------------------------------------------


def moved(records: Sequence[Record], name: str, number: int) -> list[Record]:
    """The stored generations and refusals of these records as they leave their workspace ("REMOVE") or come to one
    ("INSERT")."""
    stored = {
        record["dynamodb"]["Keys"]["sk"]["S"]: record
        for record in records
        if record["dynamodb"]["Keys"]["sk"]["S"].startswith(("gen_", REFUSAL))
    }
    found: list[Record] = []
    for key, record in stored.items():
        change = {name: value for name, value in record["dynamodb"].items() if not name.endswith("Image")}
        image = {"OldImage" if name == "REMOVE" else "NewImage": record["dynamodb"]["NewImage"]}
        found.append({"eventID": f"{key}-{name}-{number}", "eventName": name, "dynamodb": {**change, **image}})
    return found


def test_a_record_that_moves_there_and_back_is_counted_where_it_is(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    list(streams.new_records())
    for name in ENDINGS:
        world.end_one(name)
    here = list(streams.new_records())
    there = as_another(here, new_id("wsp", NOON), "usr_A", None, Random(1))
    elsewhere = workspace_of(there)
    count(here)
    before = counted_rows(world.workspace_id)
    usage = {row: counts for row, counts in before.items() if row.dataset is Dataset.USAGE}
    for number in range(2):
        count(moved(there, "INSERT", number))
        count(moved(here, "REMOVE", number))
        assert {row.dataset for row in counted_rows(world.workspace_id)} == {Dataset.CREDITS}
        assert counted_rows(elsewhere) == usage
        count(moved(here, "INSERT", number) + moved(there, "REMOVE", number))
        assert (counted_rows(world.workspace_id), counted_rows(elsewhere)) == (before, {})


def test_a_record_that_cannot_be_read_fails_its_own_workspace_alone(
    world: EndingsWorld, streams: Streams, count: Callable[[Iterable[Record]], None]
) -> None:
    list(streams.new_records())
    world.end_one("succeed")
    records = list(streams.new_records())
    other = as_another(records, new_id("wsp", NOON), "usr_A", None, Random(1))
    broken = json.loads(json.dumps(records).replace('"succeeded"', '"finished"'))
    with pytest.raises(ExceptionGroup, match="1 of 2 workspaces"):
        count(broken + other)
    assert counted_rows(workspace_of(other)) == rows_of_images(other)
    count(records)
    assert counted_rows(world.workspace_id) == rows_of_images(records)


# ---- what it costs ---------------------------------------------------------------------------------------------------


def test_twenty_generations_in_a_batch_cost_one_write_unit_each(
    world: EndingsWorld,
    streams: Streams,
    tables: Tables,
    emulator: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two batches, one of each stream, in an hour in which nothing was counted yet."""
    world.now = NOON + timedelta(hours=5, seconds=1)
    world.end_one("succeed")
    world.pause = timedelta()
    # What is reached once a day, such as a member's first request, is reached.
    load_function(COUNTING).handler({"Records": list(streams.new_records())}, None)
    for _ in range(BATCH):
        world.now = NOON + timedelta(hours=6)
        world.end_one("succeed")
    records = passed(streams.new_records())
    with metering_proxy(emulator) as (meter, url):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        clear_wiring_caches()
        handler = load_function(COUNTING).handler
        for prefix in ("gen_", "movement#"):
            batch = [record for record in records if record["dynamodb"]["Keys"]["sk"]["S"].startswith(prefix)]
            assert len(batch) == BATCH
            handler({"Records": batch}, None)
        used = meter.dynamodb.tables[tables.analytics]
    clear_wiring_caches()
    print(f"{BATCH} generations: {used}")
    assert used.write <= UNITS_MAX
    # The receipts of two windows, and whether three milestones were reached before.
    assert used == Units(write=used.write, read=5)
