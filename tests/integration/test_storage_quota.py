"""Stored bytes: counted with each asset's record, exact in every race, and refused at submission when full."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.library import AssetItem
from atelier.adapters.aws.dynamodb.usage import STORAGE, UsageItem, read_usage
from atelier.errors import QuotaExceeded
from atelier.generations.model import DeliveredFile, Generation, Status
from atelier.ids import new_id
from atelier.library.model import Asset
from tests.conftest import Tables
from tests.integration.world import NOON, World
from tests.price_lists import with_tiers

# The size of each file that the world's media store delivers.
FILE_BYTES = 5
LIMIT = 3 * FILE_BYTES


@pytest.fixture
def world(tables: Tables) -> World:
    made = World(tables)
    made.catalogue = with_tiers(free={"storage_bytes_max": LIMIT})
    return made


def counted(world: World) -> int:
    return read_usage(world.workspace_id, STORAGE).used


def make_image(world: World) -> Generation:
    generation = world.submit(n=1).generation
    world.attempt(generation)
    return world.finish(generation)


def delivered(number: int, size: int = FILE_BYTES) -> DeliveredFile:
    asset_id = new_id("ast", NOON + timedelta(milliseconds=number))
    return DeliveredFile(asset_id, "image", "0" * 64, "png", size, 8, 8)


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
    (file,) = world.get(generation).assets
    for _ in range(2):
        world.assets.record(generation, file, 0)
    assert counted(world) == FILE_BYTES


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
    assert world.assets.stored_bytes(world.workspace_id) == 2
    for _ in range(2):
        assert world.assets.count_stored_bytes(world.workspace_id) == 9
    world.assets.delete(world.workspace_id, gone, world.now)
    assert counted(world) == 6


def test_the_deletion_of_a_file_from_before_the_counter_counts_it_first(world: World) -> None:
    store_as_yesterday(world, 4)
    gone = store_as_yesterday(world, 3)
    world.assets.delete(world.workspace_id, gone, world.now)
    assert counted(world) == world.assets.count_stored_bytes(world.workspace_id) == 4


def test_parallel_deliveries_uploads_and_deletions_are_all_counted(world: World) -> None:
    generation, doomed = world.submit().generation, [upload(world, 7) for _ in range(4)]
    store_as_yesterday(world, 100)
    files = [delivered(number, 10 + number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(world.assets.record, generation, file, 0) for file in [*files, *files]]
        waiting += [pool.submit(world.assets.delete, world.workspace_id, each.id, world.now) for each in doomed]
        counts = [pool.submit(world.assets.count_stored_bytes, world.workspace_id) for _ in range(4)]
        for each in [*waiting, *counts]:
            each.result()
    assert counted(world) == 100 + sum(file.size_bytes for file in files)


def test_a_paid_tier_stores_more(world: World) -> None:
    upload(world, LIMIT)
    with pytest.raises(QuotaExceeded):
        world.submit()
    WalletItem(world.workspace_id, "wallet").update([WalletItem.tier.set("starter@1")])
    assert world.submit().generation.status is Status.QUEUED
