"""Stored bytes: the wallet counts what generations deliver, the library counts everything else; exact in every race,
and refused at submission when full."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.library import AssetItem, DynamoAssets
from atelier.adapters.aws.dynamodb.usage import STORAGE, UsageItem, read_usage
from atelier.errors import QuotaExceeded
from atelier.generations.model import DeliveredFile, Generation, Status, asset_id
from atelier.generations.outcome import Outcome
from atelier.generations.submit import Submission, submit_generation
from atelier.generations.sweep import sweep
from atelier.ids import new_id
from atelier.library.check_room import stored_bytes
from atelier.library.model import Asset
from atelier.provider_port import Done, Output
from tests.conftest import Tables
from tests.integration.world import NOON, FakeMedia, World
from tests.price_lists import with_tiers
from tests.recorded_assets import record_asset

# The size of each file that the world's media store delivers.
FILE_BYTES = 5
LIMIT = 3 * FILE_BYTES


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables)
    made.catalogue = with_tiers(free={"storage_bytes_max": LIMIT})
    return made


def counted(world: World) -> int:
    """Both counts together, as the product reads them."""
    return stored_bytes(world.workspace_id, assets=world.assets, wallets=world.wallets)


def counts(world: World) -> tuple[int, int]:
    """The wallet's count, and the library's."""
    return world.wallet().delivered_bytes, read_usage(world.workspace_id, STORAGE).used


def make_image(world: World) -> Generation:
    generation = world.submit(n=1).generation
    world.attempt(generation)
    return world.finish(generation)


def delivered(number: int, generation: Generation) -> DeliveredFile:
    """A file as the world's media store delivers it."""
    return DeliveredFile(asset_id(generation.id, number), "image", "0" * 64, "png", FILE_BYTES, 512, 512)


def upload(world: World, size: int) -> Asset:
    asset = Asset(
        new_id("ast", NOON), world.workspace_id, "usr_A", "image", "x", "png", "0" * 64, size, 8, 8, None, NOON
    )
    return world.assets.record_upload(asset)


def store_as_yesterday(world: World, size: int) -> str:
    """An asset that was recorded before there was a counter."""
    kept = upload(world, size)
    item = AssetItem.get(world.workspace_id, kept.id)
    item.counted = None
    item.save()
    UsageItem(world.workspace_id, f"usage#{STORAGE}").update([UsageItem.used.add(-size)])
    return kept.id


def test_a_result_is_counted_once_however_often_it_is_delivered(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    for _ in range(2):
        world.finish(generation)
    assert counts(world) == (FILE_BYTES, 0)


def test_a_file_that_an_earlier_version_recorded_is_counted_once(world: World) -> None:
    world.local.answers = [Done((Output(data=b"one"), Output(data=b"two")))]
    generation = world.submit(n=2).generation
    world.attempt(generation)
    earlier = delivered(0, generation)
    record_asset(generation, earlier)
    world.assets.change(world.workspace_id, earlier.id, {"name": "mine"})
    assert world.finish(generation).status is Status.SUCCEEDED
    # One file was counted by the library when it was recorded, the other one by the wallet.
    assert counts(world) == (FILE_BYTES, FILE_BYTES)
    assert world.assets.get(world.workspace_id, earlier.id).name == "mine"
    assert len(world.get(generation).assets) == 2


def test_such_a_file_may_be_deleted_before_the_end_of_its_generation(world: World) -> None:
    generation = world.submit(n=1).generation
    world.attempt(generation)
    earlier = delivered(0, generation)
    record_asset(generation, earlier)
    world.assets.delete(world.workspace_id, earlier.id, world.now)
    assert world.finish(generation).status is Status.SUCCEEDED
    assert counted(world) == 0
    assert world.assets.find(world.workspace_id, [earlier.id]) == ()


def test_a_generation_that_ends_without_a_result_stores_and_counts_nothing(world: World) -> None:
    generation = world.submit().generation
    world.attempt(generation)
    world.media = FakeMedia(broken=True)
    assert world.finish(generation).status is Status.FAILED
    assert counts(world) == (0, 0)
    assert not world.assets.list(world.workspace_id, None, None, 10).assets


def test_a_late_result_is_counted_once(world: World) -> None:
    generation = world.submit(n=1).generation
    world.attempt(generation)
    world.now = generation.deadline_at
    sweep(world.workspace_id, deps=world.finish_deps, now=world.now)
    for _ in range(2):
        assert world.finish(generation).status is Status.SUCCEEDED
    assert counts(world) == (FILE_BYTES, 0)


def test_a_days_grant_keeps_the_count_of_the_wallet(world: World) -> None:
    make_image(world)
    world.now += timedelta(days=1)
    world.refreshed()
    assert counts(world) == (FILE_BYTES, 0)


def test_what_generations_delivered_is_taken_off_when_it_is_deleted(world: World) -> None:
    (file,) = make_image(world).assets
    for _ in range(2):
        world.assets.delete(world.workspace_id, file.id, world.now)
    assert counts(world) == (FILE_BYTES, -FILE_BYTES)
    assert counted(world) == 0
    assert world.submit().generation.status is Status.QUEUED


def test_a_full_workspace_is_refused_at_submission_and_pays_nothing(world: World) -> None:
    upload(world, LIMIT - 1)
    # One byte of room is enough: the result that crosses the limit is delivered.
    assert make_image(world).status is Status.SUCCEEDED
    assert counted(world) == LIMIT - 1 + FILE_BYTES
    before = world.wallet()
    with pytest.raises(QuotaExceeded) as refused:
        world.submit()
    assert refused.value.facts == {
        "quota": "storage_bytes",
        "limit": LIMIT,
        "used": LIMIT - 1 + FILE_BYTES,
        "tiers": ["starter@1", "pro@1", "studio@1"],
    }
    assert world.wallet() == before
    assert len(world.local.submitted) == 1


def test_a_generation_that_was_accepted_before_is_delivered_and_repeated_when_full(world: World) -> None:
    generation = world.submit(key="key-1").generation
    upload(world, LIMIT)
    assert world.submit(key="key-1").replayed
    world.attempt(generation)
    assert world.finish(generation).status is Status.SUCCEEDED
    assert counted(world) == LIMIT + FILE_BYTES


def test_deletion_makes_room_once(world: World) -> None:
    first = upload(world, LIMIT)
    with pytest.raises(QuotaExceeded):
        world.submit()
    for _ in range(2):
        world.assets.delete(world.workspace_id, first.id, world.now)
    assert counted(world) == 0
    assert world.submit().generation.status is Status.QUEUED


def test_files_from_before_the_counter_are_counted_once_and_beside_new_ones(world: World) -> None:
    store_as_yesterday(world, 4)
    gone = store_as_yesterday(world, 3)
    upload(world, 2)
    # A submission reads the counter alone, and no list of assets.
    assert world.assets.counted_bytes(world.workspace_id) == 2
    for _ in range(2):
        assert world.assets.count_bytes(world.workspace_id) == 9
    world.assets.delete(world.workspace_id, gone, world.now)
    assert counted(world) == 6


def test_the_deletion_of_a_file_from_before_the_counter_counts_it_first(world: World) -> None:
    store_as_yesterday(world, 4)
    gone = store_as_yesterday(world, 3)
    world.assets.delete(world.workspace_id, gone, world.now)
    assert counts(world) == (0, 4)


def test_parallel_deliveries_uploads_and_deletions_are_all_counted(world: World) -> None:
    made = dict[str, tuple[Generation, Outcome]]()
    for _ in range(4):
        generation = world.submit(n=1).generation
        world.attempt(generation)
        made[generation.id] = generation, Outcome.from_data(world.execution.results[-1])
    doomed = [upload(world, 7) for _ in range(4)]
    store_as_yesterday(world, 100)
    with ThreadPoolExecutor(8) as pool:
        waiting: list[Future[Any]] = [pool.submit(world.finish, *end) for end in [*made.values()] * 2]
        waiting += [pool.submit(upload, world, 3) for _ in range(4)]
        waiting += [pool.submit(world.assets.delete, world.workspace_id, each.id, world.now) for each in doomed]
        waiting += [pool.submit(world.assets.count_bytes, world.workspace_id) for _ in range(4)]
        for each in waiting:
            each.result()
    assert counts(world) == (4 * FILE_BYTES, 100 + 4 * 3)
    assert {world.get(generation).status for generation, _ in made.values()} == {Status.SUCCEEDED}
    world.assert_sound()


def test_a_paid_tier_stores_more(world: World) -> None:
    upload(world, LIMIT)
    with pytest.raises(QuotaExceeded):
        world.submit()
    WalletItem(world.workspace_id, "wallet").update([WalletItem.tier.set("starter@1")])
    assert world.submit().generation.status is Status.QUEUED


def test_a_count_that_was_read_before_is_trusted_unless_it_refuses(world: World) -> None:
    generation = world.submit(n=1).generation
    submission = Submission(world.workspace_id, generation.user_id, generation.recipe)
    reads: list[str] = []

    class ReadAssets(DynamoAssets):
        def counted_bytes(self, workspace_id: str) -> int:
            reads.append(workspace_id)
            return super().counted_bytes(workspace_id)

    deps = replace(world.submit_deps, input_asset_store=ReadAssets())
    submit_generation(submission, deps=deps, now=world.now, counted_bytes=LIMIT - 1)
    assert reads == []
    # Something was deleted since the count was read.
    submit_generation(submission, deps=deps, now=world.now, counted_bytes=LIMIT)
    assert reads == [world.workspace_id]
    upload(world, LIMIT)
    with pytest.raises(QuotaExceeded) as refused:
        submit_generation(submission, deps=deps, now=world.now, counted_bytes=LIMIT + 1)
    assert refused.value.facts["used"] == LIMIT
