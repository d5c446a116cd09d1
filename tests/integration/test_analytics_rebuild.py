"""Rebuilding the sums of a workspace on the embedded AWS: to the last unit the same, resumable, exact under changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb import pause_with_jitter
from atelier.adapters.aws.dynamodb.analytics.fact_log import DynamoFactLog
from atelier.adapters.aws.dynamodb.analytics.items import RowItem, bind, row_key
from atelier.adapters.aws.dynamodb.analytics.rebuilds import DynamoRebuilds
from atelier.adapters.aws.dynamodb.analytics.row_counts import additions, raw_items
from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums, DynamoSumStore
from atelier.analytics.model import Counts, Dataset, Group, Row, View
from atelier.analytics.pack import PackDeps, pack_due
from atelier.analytics.ports import ContributedRecord, Rebuild, RebuildTaken
from atelier.analytics.rebuild import RebuildDeps, RebuildResult, compare_all, rebuild
from atelier.errors import Conflict
from tests.embedded_aws import Tables

WORKSPACE = "wsp_01M7XCN60QPV5D4J3SZ8C2VYQ1"
MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(days=9, minutes=17)
IMAGE = Group("prj_1", "", "usr_1", "local/canvas", "image")


class Records:
    """RecordPages of records that a test has made: (place, hour, counts)."""

    def __init__(self, size: int = 3) -> None:
        self.records: list[ContributedRecord] = []
        self._size = size

    def add(self, hour: datetime, counts: Counts, group: Group = IMAGE, **facts: Any) -> ContributedRecord:
        place = f"gen_{len(self.records):05}"
        row = Row(facts.pop("dataset", Dataset.USAGE), hour, group)
        self.records.append(ContributedRecord(place, {row: counts}, **({"changed_at": hour} | facts)))
        return self.records[-1]

    def page(self, workspace_id: str, after: str | None) -> Sequence[ContributedRecord]:
        return [each for each in self.records if after is None or each.place > after][: self._size]


class World:
    def __init__(self, tables: Tables) -> None:
        bind(tables.analytics)
        DynamoRebuilds.bind(tables.analytics)
        self.usage, self.credits = Records(), Records()
        self.moved_at: datetime | None = None
        self.deps = RebuildDeps(DynamoRebuilds(), {Dataset.USAGE: self.usage, Dataset.CREDITS: self.credits}, self)

    def since(self, workspace_id: str, at: datetime) -> bool:
        """Whether a project has left the workspace since."""
        return self.moved_at is not None and self.moved_at >= at

    def count(self, records: Iterable[ContributedRecord]) -> None:
        """As if the facts of these records had come by the streams, some time ago."""
        for record in records:
            DynamoFactLog().count(WORKSPACE, {}, record.contribution)

    def pack(self, now: datetime = NOW - timedelta(hours=1)) -> None:
        pack_due(deps=PackDeps(DynamoSumStore(), pause_with_jitter), now=now)

    def killed(self, write: int, is_written: bool) -> None:
        rebuild(WORKSPACE, repairs=True, deps=RebuildDeps(Killed(write, is_written), self.deps.pages, self), now=NOW)

    def rebuild(self, *, repairs: bool = True, now: datetime = NOW, context: Any = None) -> RebuildResult:
        return rebuild(WORKSPACE, repairs=repairs, deps=self.deps, now=now, context=context)


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def rows(dataset: Dataset = Dataset.USAGE) -> Mapping[Row, Counts]:
    return dict(DynamoSums(consistent=True).rows(WORKSPACE, dataset, MIDNIGHT - timedelta(days=400), NOW))


def leftovers() -> list[dict[str, Any]]:
    return list(raw_items(RowItem, WORKSPACE, RowItem.sk.startswith("rebuil"), consistent=True))


def hour(number: int) -> datetime:
    return MIDNIGHT + timedelta(hours=number)


def test_right_sums_stay_as_they_are(world: World) -> None:
    for number in range(8):
        world.usage.add(hour(number), {"requests": 1, "credits": 4})
    world.credits.add(hour(2), {"spent": 32}, Group(), dataset=Dataset.CREDITS)
    world.count(world.usage.records + world.credits.records)
    world.pack()
    before = rows(), rows(Dataset.CREDITS)

    result = world.rebuild()

    assert result == RebuildResult(True, 9, 0, 0)
    assert (rows(), rows(Dataset.CREDITS)) == before
    assert not leftovers()


def test_what_is_missing_wrong_or_too_much_is_repaired(world: World) -> None:
    for number in range(5):
        world.usage.add(hour(number), {"requests": 1, "credits": 4})
    world.count(world.usage.records[1:])
    RowItem(WORKSPACE, row_key(Row(Dataset.USAGE, hour(2), IMAGE))).update(additions({"credits": 5, "failed": 1}))
    RowItem(WORKSPACE, row_key(Row(Dataset.USAGE, hour(70), IMAGE))).update(additions({"requests": 2}))
    world.count([ContributedRecord("", {Row(Dataset.USAGE, hour(71), IMAGE): {"fallbacks": 0}}, NOW)])
    world.pack()

    result = world.rebuild()

    assert result.differences == 3
    assert dict(result.examples)[Row(Dataset.USAGE, hour(2), IMAGE)] == {"credits": -5, "failed": -1}
    world.pack()
    assert {row.hour: counts for row, counts in rows().items()} == {
        hour(number): {"requests": 1, "credits": 4} for number in range(5)
    }
    (day,) = (
        each for each in DynamoSums(consistent=True).days(WORKSPACE, View.MODEL, MIDNIGHT.date(), MIDNIGHT.date())
    )
    assert next(iter(day.sums.values())) == {"requests": 5, "credits": 20}


def test_a_comparison_alone_changes_nothing(world: World) -> None:
    world.count([world.usage.add(hour(1), {"requests": 1})])
    world.pack()
    RowItem(WORKSPACE, row_key(Row(Dataset.USAGE, hour(1), IMAGE))).update(additions({"requests": 1}))
    before = rows()

    assert world.rebuild(repairs=False).differences == 1
    assert rows() == before
    assert not leftovers()


class Countdown:
    """Lambda's context, whose time is up after some calls."""

    def __init__(self, calls: int) -> None:
        self._calls = calls

    def get_remaining_time_in_millis(self) -> int:
        self._calls -= 1
        return 60_000 if self._calls >= 0 else 0


def test_a_rebuild_goes_on_where_its_time_was_up(world: World) -> None:
    for number in range(20):
        world.usage.add(hour(number), {"requests": 1})
    world.count(world.usage.records[:-1])
    world.pack()

    results = [world.rebuild(context=Countdown(2))]
    while not results[-1].is_done:
        results.append(world.rebuild(context=Countdown(2)))

    assert len(results) > 3
    assert results[-1].records == 20
    assert results[-1].differences == 1
    assert len(rows()) == 20


def test_what_may_still_change_is_left_out(world: World) -> None:
    recent = NOW - timedelta(hours=3)
    world.usage.add(hour(1), {"requests": 1}, changed_at=recent)
    world.usage.add(hour(3), {"requests": 1}, changed_at=recent, may_have_ended_from=NOW - timedelta(hours=30))
    world.usage.add(hour(2), {"requests": 1})
    world.usage.add(recent.replace(minute=0), {"requests": 1}, changed_at=recent)

    result = world.rebuild()

    # Hours 1 and 3, and those from 30 to 27 hours ago.
    assert (result.differences, result.hours_left_out) == (1, 2 + 4)
    assert {row.hour for row in rows()} == {hour(2)}


def test_a_workspace_that_a_project_has_just_left_waits(world: World) -> None:
    world.usage.add(hour(1), {"requests": 1})
    world.moved_at = NOW - timedelta(hours=25)

    with pytest.raises(Conflict, match="moved out"):
        world.rebuild()

    assert compare_all([WORKSPACE], deps=world.deps, now=NOW) == {"compared": 0, "differences": 0}
    assert world.rebuild(now=NOW + timedelta(hours=2)).differences == 1


class Interrupting(DynamoRebuilds):
    """Something else happens before the repair."""

    def __init__(self, *happenings: Any) -> None:
        self._happenings = list(happenings)

    def repair(self, workspace_id: str, state: Rebuild, differences: Mapping[Row, Counts]) -> Rebuild:
        if self._happenings:
            self._happenings.pop(0)()
        return super().repair(workspace_id, state, differences)


@pytest.mark.parametrize("is_packed", [False, True])
def test_facts_counted_before_the_repair_stop_it(world: World, is_packed: bool) -> None:
    record = world.usage.add(hour(1), {"requests": 1})
    world.pack()

    def fact_arrives() -> None:
        world.count([record])
        if is_packed:
            world.pack(NOW)

    world.deps = RebuildDeps(Interrupting(fact_arrives), world.deps.pages, world)
    with pytest.raises(RebuildTaken):
        world.rebuild()

    again = world.rebuild(now=NOW + timedelta(minutes=10))
    assert again.differences == 0
    assert [counts["requests"] for counts in rows().values()] == [1]


def test_two_repairs_at_once_repair_once(world: World) -> None:
    world.usage.add(hour(1), {"requests": 1})
    other = RebuildDeps(DynamoRebuilds(), world.deps.pages, world)
    world.deps = RebuildDeps(
        Interrupting(lambda: rebuild(WORKSPACE, repairs=True, deps=other, now=NOW)), world.deps.pages, world
    )

    with pytest.raises(RebuildTaken):
        world.rebuild()

    assert [counts["requests"] for counts in rows().values()] == [1]


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.parametrize("write", range(6))
def test_a_kill_at_any_write_loses_nothing(world: World, write: int, is_written: bool) -> None:
    """Four pages, one repair, and the end: the process dies before or after one of these writes."""
    for number in range(6):
        world.usage.add(hour(number), {"requests": 1, "bucket_7": 2})
    world.count(world.usage.records[:3])
    world.pack()

    with pytest.raises(Death):
        world.killed(write, is_written)

    assert world.rebuild().is_done
    assert not leftovers()
    world.pack(NOW)
    assert world.rebuild(now=NOW + timedelta(hours=1)).differences == 0
    assert sum(counts["requests"] for counts in rows().values()) == 6


class Death(BaseException):
    """The process dies."""


class Killed(DynamoRebuilds):
    """Dies at the write with this number, before or after it."""

    def __init__(self, write: int, is_written: bool) -> None:
        self._left, self._is_written = write, is_written

    def add_page(self, *arguments: Any) -> Rebuild:
        return self._dying(super().add_page, *arguments)

    def repair(self, *arguments: Any) -> Rebuild:
        return self._dying(super().repair, *arguments)

    def finish(self, *arguments: Any) -> None:
        self._dying(super().finish, *arguments)

    def _dying(self, write: Any, *arguments: Any) -> Any:
        self._left -= 1
        if self._left >= 0:
            return write(*arguments)
        if self._is_written:
            write(*arguments)
        raise Death
