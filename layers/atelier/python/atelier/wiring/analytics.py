"""Analytics, composed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.settings import AnalyticsTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.analytics.milestones import DynamoMilestones
    from atelier.adapters.aws.dynamodb.analytics.platform_sums import DynamoPlatformSums
    from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums, DynamoSumStore
    from atelier.analytics.draw_chart import ChartDeps
    from atelier.analytics.model import Fact, Milestone
    from atelier.analytics.pack import PackDeps
    from atelier.analytics.rebuild import RebuildDeps
    from atelier.analytics.record import RecordDeps


@cache
def bind_table() -> None:
    """Name the table of analytics."""
    from atelier.adapters.aws.dynamodb.analytics.items import bind

    bind(AnalyticsTable.read().name)


@cache
def sums() -> DynamoSums:
    """The sums of workspaces, for reports."""
    from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSums

    bind_table()
    return DynamoSums()


@cache
def sum_store() -> DynamoSumStore:
    """The sums of workspaces, for keeping them."""
    from atelier.adapters.aws.dynamodb.analytics.sums import DynamoSumStore

    bind_table()
    return DynamoSumStore()


def pack_deps() -> PackDeps:
    """The dependencies of keeping the sums of days."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.analytics.pack import PackDeps

    return PackDeps(sum_store(), pause_with_jitter)


def facts(records: Iterable[dict[str, Any]]) -> Mapping[str, Iterator[Fact]]:
    """The facts in a batch of the stream of generations or of the ledger, by workspace."""
    from atelier.adapters.aws.dynamodb.analytics.facts import facts_by_workspace

    return facts_by_workspace(records)


@cache
def record_deps() -> RecordDeps:
    """The dependencies of counting."""
    from atelier.adapters.aws.dynamodb import pause_with_jitter
    from atelier.adapters.aws.dynamodb.analytics.fact_log import DynamoFactLog
    from atelier.analytics.record import RecordDeps

    bind_table()
    return RecordDeps(DynamoFactLog(), pause_with_jitter)


@cache
def platform_sums() -> DynamoPlatformSums:
    """The sums of the whole platform."""
    from atelier.adapters.aws.dynamodb.analytics.platform_sums import DynamoPlatformSums

    bind_table()
    return DynamoPlatformSums()


@cache
def rebuild_deps() -> RebuildDeps:
    """The dependencies of a rebuild."""
    from atelier.adapters.aws.dynamodb.analytics.rebuilds import DynamoRebuilds
    from atelier.adapters.aws.dynamodb.analytics.record_pages import GenerationPages, MovementPages, MovesOfSource
    from atelier.analytics.model import Dataset
    from atelier.analytics.rebuild import RebuildDeps
    from atelier.wiring import generations, ledger, moves

    bind_table()
    # These stores name the tables that are read here.
    generations.store()
    ledger.wallets()
    moves.moves()
    rebuilds = DynamoRebuilds()
    rebuilds.bind(AnalyticsTable.read().name)
    return RebuildDeps(rebuilds, {Dataset.USAGE: GenerationPages(), Dataset.CREDITS: MovementPages()}, MovesOfSource())


def sample_of_workspaces(number: int, now: datetime) -> list[str]:
    """Some workspaces in use."""
    from atelier.adapters.aws.dynamodb.ledger.items import SHARDS
    from atelier.ledger.due import workspaces_at_random
    from atelier.wiring import ledger

    return workspaces_at_random(wallets=ledger.wallets(), shards=SHARDS, number=number, now=now)


def chart_deps() -> ChartDeps:
    """The dependencies of drawing charts."""
    from atelier.adapters.charts.pygal_charts import PygalCharts
    from atelier.analytics.draw_chart import ChartDeps

    return ChartDeps(sums(), PygalCharts())


@cache
def milestone_store() -> DynamoMilestones:
    """What workspaces and members have reached."""
    from atelier.adapters.aws.dynamodb.analytics.milestones import DynamoMilestones

    milestones = DynamoMilestones()
    milestones.bind(AnalyticsTable.read().name)
    return milestones


def milestones(records: Iterable[dict[str, Any]]) -> set[Milestone]:
    """The milestones in a batch of the stream of generations or of the ledger."""
    from atelier.adapters.aws.dynamodb.analytics.milestones import reached

    return reached(records)
