"""Keeping the sums of days on the embedded AWS: they are the sum of the rows, whatever changes meanwhile."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atelier.adapters.aws.clients import client
from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.analytics.items import ChangedHourItem, RowItem, bind, changed_key, row_key, shard_of
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions, counts_of
from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums, DynamoSumStore
from atelier.analytics.model import VIEWS, Counts, Dataset, Group, Row, Sums, View, add, by_view
from atelier.analytics.pack import GRACE, PackDeps, pack_day, pack_due
from atelier.analytics.ports import DayChanged, KeptDay, PackedDay
from atelier.clock import rfc3339
from tests.bench.units import query_units
from tests.embedded_aws import Tables

WORKSPACE, OTHER = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ1", "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ2"
DAY = date(2026, 11, 28)
MIDNIGHT = datetime(2026, 11, 28, tzinfo=UTC)
LATER = MIDNIGHT + timedelta(days=3)
numbers = count()

groups = st.builds(
    Group,
    st.sampled_from(["", "prj_1", "prj_2"]),
    st.sampled_from(["", "tok_1"]),
    st.sampled_from(["usr_1", "usr_2"]),
    st.sampled_from(["openai/gpt-image-1", "local/canvas", ""]),
    st.sampled_from(["image", "text"]),
)
counts = st.dictionaries(
    st.sampled_from(["requests", "credits", "failed_transient", "bucket_7", "bucket_12", "duration_ms"]),
    st.integers(-5, 50).filter(bool),
    min_size=1,
)
changes = st.tuples(st.integers(0, 23), groups, counts)


class Rows:
    """Writes rows as counting does, with a mark for the hour."""

    def __init__(self, tables: Tables, workspace_id: str = WORKSPACE) -> None:
        bind(tables.analytics)
        self.workspace_id = workspace_id

    def add(self, hour: datetime, group: Group, counts: Counts, dataset: Dataset = Dataset.USAGE) -> None:
        RowItem(self.workspace_id, row_key(Row(dataset, hour, group))).update(additions(counts))
        ChangedHourItem(
            self.workspace_id,
            changed_key(dataset, hour),
            stamp=str(next(numbers)),
            shard=str(shard_of(self.workspace_id)),
            due_at=rfc3339(hour + timedelta(hours=1)),
        ).save()


@pytest.fixture
def rows(tables: Tables) -> Rows:
    return Rows(tables)


@pytest.fixture
def deps(rows: Rows) -> PackDeps:
    return PackDeps(DynamoSumStore(), pause_with_jitter)


IMAGE = Group("prj_1", "", "usr_1", "openai/gpt-image-1", "image")
TEXT = Group("", "tok_1", "usr_2", "local/canvas", "text")


def kept(view: View, day: date = DAY, workspace_id: str = WORKSPACE) -> Sums:
    found = DynamoSums(consistent=True).days(workspace_id, view, day, day)
    return found[0].sums if found else {}


def platform(day: date = DAY) -> dict[str, dict[str, int]]:
    """The platform's sums of a day, over all shards."""
    result: dict[str, dict[str, int]] = {}
    for shard in range(16):
        pages: Any = RowItem.query(f"platform#{day}#{shard}").page_iter
        for page in pages:
            for item in page["Items"]:
                total = result.setdefault(item["sk"]["S"], {})
                for name, number in counts_of(item).items():
                    total[name] = total.get(name, 0) + number
    return {key: found for key, found in result.items() if any(found.values())}


def test_a_day_is_kept_by_each_view_with_its_month(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT + timedelta(hours=3), IMAGE, {"requests": 2, "credits": 8, "bucket_40": 2})
    rows.add(MIDNIGHT + timedelta(hours=4), TEXT, {"requests": 1, "failed": 1, "failed_transient": 1})

    assert pack_due(deps=deps, now=LATER) == 1

    by_model = kept(View.MODEL)
    assert by_model == {
        Group(model="openai/gpt-image-1", kind="image"): {"requests": 2, "credits": 8, "bucket_40": 2},
        Group(model="local/canvas", kind="text"): {"requests": 1, "failed": 1, "failed_transient": 1},
    }
    assert set(kept(View.PROJECT)) == {
        Group("prj_1", model=IMAGE.model, kind="image"),
        Group(model=TEXT.model, kind="text"),
    }
    assert set(kept(View.ACTOR)) == {
        Group(user="usr_1", model=IMAGE.model, kind="image"),
        Group(token="tok_1", user="usr_2", model=TEXT.model, kind="text"),
    }
    assert set(kept(View.PROJECT_ACTOR)) == {IMAGE, TEXT}
    months = DynamoSums(consistent=True).months(WORKSPACE, View.MODEL, DAY, DAY)
    assert months == {date(2026, 11, 1): by_model}
    assert platform() == {
        "usage#openai/gpt-image-1#image": {"requests": 2, "credits": 8, "bucket_40": 2},
        "usage#local/canvas#text": {"requests": 1, "failed": 1, "failed_transient": 1},
    }
    assert not DynamoSums(consistent=True).changed_hours(WORKSPACE, Dataset.USAGE, MIDNIGHT, LATER)


def test_an_hour_that_goes_on_is_left_to_its_rows(rows: Rows, deps: PackDeps) -> None:
    hour = MIDNIGHT + timedelta(hours=9)
    rows.add(hour - timedelta(hours=1), IMAGE, {"requests": 1})
    rows.add(hour, IMAGE, {"requests": 1})
    reads = DynamoSums(consistent=True)

    pack_due(deps=deps, now=hour + GRACE + timedelta(minutes=10))

    (day,) = reads.days(WORKSPACE, View.MODEL, DAY, DAY)
    assert day.hours == {8}
    assert sum(each["requests"] for each in day.sums.values()) == 1
    assert reads.changed_hours(WORKSPACE, Dataset.USAGE, MIDNIGHT, LATER) == [hour]


def test_a_late_correction_is_packed_again(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1, "expired": 1})
    pack_due(deps=deps, now=LATER)
    rows.add(MIDNIGHT, IMAGE, {"requests": -1, "expired": -1})
    rows.add(MIDNIGHT + timedelta(days=1, hours=2), IMAGE, {"requests": 1, "succeeded": 1})

    assert pack_due(deps=deps, now=LATER) == 2

    assert kept(View.MODEL) == {}
    (month,) = DynamoSums(consistent=True).months(WORKSPACE, View.PROJECT_ACTOR, DAY, DAY).values()
    assert month == {IMAGE: {"requests": 1, "succeeded": 1}}
    assert platform() == {}


def test_packing_again_changes_nothing(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1})
    pack_due(deps=deps, now=LATER)
    before = kept(View.MODEL), platform()

    assert pack_due(deps=deps, now=LATER) == 0
    assert not pack_day(WORKSPACE, Dataset.USAGE, DAY, deps=deps, now=LATER)
    assert (kept(View.MODEL), platform()) == before


def test_workspaces_never_see_each_other(tables: Tables, rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1})
    Rows(tables, OTHER).add(MIDNIGHT, IMAGE, {"requests": 10})

    pack_due(deps=deps, now=LATER)

    assert kept(View.PROJECT_ACTOR) == {IMAGE: {"requests": 1}}
    assert kept(View.PROJECT_ACTOR, workspace_id=OTHER) == {IMAGE: {"requests": 10}}
    assert platform() == {"usage#openai/gpt-image-1#image": {"requests": 11}}


def test_credits_have_a_view_of_their_own(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, Group(), {"granted_daily": 50, "spent": 8}, Dataset.CREDITS)

    pack_due(deps=deps, now=LATER)

    assert kept(View.CREDITS) == {Group(): {"granted_daily": 50, "spent": 8}}
    assert kept(View.MODEL) == {}
    assert platform() == {"credits##": {"granted_daily": 50, "spent": 8}}


def test_rows_are_read_by_hour(rows: Rows) -> None:
    for hour in (0, 1, 5):
        rows.add(MIDNIGHT + timedelta(hours=hour), IMAGE, {"requests": hour + 1})
    reads = DynamoSums(consistent=True)

    found = list(reads.rows(WORKSPACE, Dataset.USAGE, MIDNIGHT + timedelta(hours=1), MIDNIGHT + timedelta(hours=5)))

    assert found == [(Row(Dataset.USAGE, MIDNIGHT + timedelta(hours=1), IMAGE), {"requests": 2})]
    assert not list(reads.rows(WORKSPACE, Dataset.USAGE, MIDNIGHT, MIDNIGHT))
    assert not list(reads.rows(OTHER, Dataset.USAGE, MIDNIGHT, LATER))


class ChangingStore(DynamoSumStore):
    """Rows change once after they were read, or another run keeps the day first."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self._changes = [change]

    def keep(self, workspace_id: str, packed: PackedDay, before: KeptDay) -> None:
        if self._changes:
            self._changes.pop()()
        super().keep(workspace_id, packed, before)


def test_a_change_while_packing_is_not_lost(rows: Rows) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1})
    store = ChangingStore(lambda: rows.add(MIDNIGHT, IMAGE, {"requests": 4}))

    assert pack_due(deps=PackDeps(store, pause_with_jitter), now=LATER) == 1

    assert kept(View.PROJECT_ACTOR) == {IMAGE: {"requests": 5}}
    assert platform() == {"usage#openai/gpt-image-1#image": {"requests": 5}}


def test_two_runs_at_once_count_once(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1})
    store = ChangingStore(lambda: pack_due(deps=deps, now=LATER))

    pack_due(deps=PackDeps(store, pause_with_jitter), now=LATER)

    assert platform() == {"usage#openai/gpt-image-1#image": {"requests": 1}}
    (month,) = DynamoSums(consistent=True).months(WORKSPACE, View.MODEL, DAY, DAY).values()
    assert month == {Group(model=IMAGE.model, kind="image"): {"requests": 1}}


def test_a_day_with_too_many_groups_stays_in_its_rows(rows: Rows, deps: PackDeps) -> None:
    for number in range(95):
        rows.add(MIDNIGHT, Group("", "", "usr_1", f"custom/model-{number}", "text"), {"requests": 1})

    assert pack_due(deps=deps, now=LATER) == 0

    assert list(DynamoSumStore().due(LATER)) == []
    reads = DynamoSums(consistent=True)
    assert reads.changed_hours(WORKSPACE, Dataset.USAGE, MIDNIGHT, LATER) == [MIDNIGHT]
    assert sum(found["requests"] for _, found in reads.rows(WORKSPACE, Dataset.USAGE, MIDNIGHT, LATER)) == 95


def test_sums_of_many_groups_are_kept_in_parts(rows: Rows) -> None:
    store = DynamoSumStore()
    many: Sums = {
        Group(f"prj_{number:026}", "", f"usr_{number:026}", IMAGE.model, "image"): {"requests": number + 1}
        for number in range(9000)
    }

    for sums in (many, {IMAGE: {"requests": 1}}, many, {}):
        before = store.kept(WORKSPACE, Dataset.USAGE, DAY)
        packed = PackedDay(
            Dataset.USAGE, DAY, frozenset([1]), {View.PROJECT_ACTOR: sums}, {View.PROJECT_ACTOR: sums}, {}, {}, LATER
        )
        store.keep(WORKSPACE, packed, before)

        assert kept(View.PROJECT_ACTOR) == sums
        after = store.kept(WORKSPACE, Dataset.USAGE, DAY)
        assert after.months[View.PROJECT_ACTOR].sums == sums
        assert after.days[View.PROJECT_ACTOR].parts == (2 if len(sums) > 1 else 1)
    with pytest.raises(DayChanged):
        store.keep(WORKSPACE, packed, before)


class NoTime:
    def get_remaining_time_in_millis(self) -> int:
        return 1000


def test_a_run_without_time_leaves_the_work_to_the_next(rows: Rows, deps: PackDeps) -> None:
    rows.add(MIDNIGHT, IMAGE, {"requests": 1})

    assert pack_due(deps=deps, now=LATER, context=NoTime()) == 0
    assert pack_due(deps=deps, now=LATER) == 1


@pytest.fixture
def new_workspaces(tables: Tables) -> Iterator[str]:
    bind(tables.analytics)
    return (f"wsp_{number:026}" for number in count())


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(changes, st.just("pack")), max_size=25))
def test_kept_sums_and_open_rows_are_the_sum_of_all(
    tables: Tables, new_workspaces: Iterator[str], steps: list[Any]
) -> None:
    workspace_id = next(new_workspaces)
    rows, store = Rows(tables, workspace_id), DynamoSumStore()
    deps = PackDeps(store, pause_with_jitter)
    expected: Sums = {}

    for step in steps:
        if step == "pack":
            pack_day(workspace_id, Dataset.USAGE, DAY, deps=deps, now=MIDNIGHT + timedelta(hours=13))
        else:
            hour, group, numbers = step
            rows.add(MIDNIGHT + timedelta(hours=hour), group, numbers)
            add(expected, group, numbers)
    pack_day(workspace_id, Dataset.USAGE, DAY, deps=deps, now=LATER)

    for view in VIEWS[Dataset.USAGE]:
        days = _without_zeros(kept(view, workspace_id=workspace_id))
        assert days == _without_zeros(by_view(view, expected))
        months = store.months(workspace_id, view, DAY, DAY)
        assert _without_zeros(months.get(date(2026, 11, 1), {})) == days


def _without_zeros(sums: Mapping[Group, Counts]) -> Sums:
    kept = {group: {name: number for name, number in counts.items() if number} for group, counts in sums.items()}
    return {group: counts for group, counts in kept.items() if counts}


def test_a_month_of_five_models_is_read_with_four_units(rows: Rows) -> None:
    """A day of each model is like 6,700 generations; what is read does not depend on how many there are."""
    store = DynamoSumStore()
    models = [f"provider-{place}/a-model-with-a-name-{place}" for place in range(5)]
    for offset in range(30):
        day = DAY - timedelta(days=offset)
        sums: Sums = {Group(model=model, kind="image"): _like_a_million(model, offset) for model in models}
        store.keep(
            WORKSPACE,
            PackedDay(Dataset.USAGE, day, frozenset(range(24)), {View.MODEL: sums}, {}, {}, {}, LATER),
            KeptDay({}, {}),
        )

    assert _read_units("day#model#") <= 4


def _like_a_million(model: str, offset: int) -> dict[str, int]:
    chance = random.Random(f"{model} {offset}")
    buckets = {f"bucket_{130 + place}": chance.randint(1, 400) for place in range(50)}
    requests = sum(buckets.values())
    return buckets | {
        "requests": requests + 97 + offset,
        "succeeded": requests,
        "failed": 97 + offset,
        "failed_transient": 60 + offset,
        "failed_moderated": 37,
        "refused": 37,
        "credits": requests * 4,
        "pixels": requests * 1_048_576,
        "attempts": requests + 205,
        "attempts_succeeded": requests,
        "attempts_failed_transient": 168 + offset,
        "attempts_failed_moderated": 37,
        "cost_usage_microusd": requests * 41_327,
        "estimated_microusd": requests * 42_000,
        "estimated_actual_microusd": requests * 41_327,
        "duration_ms": requests * 18_731,
        "durations": requests,
    }


def _read_units(prefix: str) -> float:
    """What DynamoDB bills for reading all items with this prefix, eventually consistent."""
    tables: Any = RowItem.Meta.table_name
    key = {":pk": {"S": WORKSPACE}, ":prefix": {"S": prefix}}
    found = client("dynamodb").query(
        TableName=tables, KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)", ExpressionAttributeValues=key
    )
    return query_units(found["Items"], consistent=False).read
