"""The tier of a wallet: how it is stored, and which tier's rules hold at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from atelier.adapters.aws.dynamodb import transaction
from atelier.adapters.aws.dynamodb.ledger.items import WalletItem
from atelier.adapters.aws.dynamodb.ledger.transactions import put_tier
from atelier.ledger.model import DailyCreditRule, GrantSource, Wallet
from atelier.ledger.schemas import balance_view
from tests.conftest import Tables
from tests.integration.world import World

DAILY_CREDITS = {"free": DailyCreditRule(50), "pro@2": DailyCreditRule(200, "after_24h")}


@pytest.fixture
def world(tables: Tables) -> World:
    return World(tables)


def set_tier(world: World, tier: str, ends_at: datetime | None) -> None:
    with transaction() as write:
        put_tier(write, world.workspace_id, tier, ends_at, part="wallet")


def refreshed(world: World) -> Wallet:
    deps = replace(world.post_deps, daily=DAILY_CREDITS.__getitem__)
    return deps.refreshed_wallet(world.workspace_id, world.now)


def daily_grants(wallet: Wallet) -> list[tuple[str, int]]:
    return [(grant.id, grant.amount) for grant in wallet.grants if grant.source is GrantSource.DAILY]


def test_a_tier_is_stored_with_its_end_and_changes_nothing_else(world: World) -> None:
    before = world.refreshed()
    ends_at = world.now + timedelta(days=3)
    set_tier(world, "pro@2", ends_at)
    after = replace(before, tier="pro@2", tier_ends_at=ends_at, revision=before.revision + 1)
    assert world.wallet() == after
    set_tier(world, "pro@3", None)
    assert world.wallet() == replace(after, tier="pro@3", tier_ends_at=None, revision=before.revision + 2)


def test_a_wallet_that_was_stored_without_the_end_of_its_tier_has_none(world: World) -> None:
    assert "tier_ends_at" not in WalletItem.get(world.workspace_id, "wallet").serialize()
    wallet = world.wallet()
    assert (wallet.tier_ends_at, wallet.tier_at(world.now + timedelta(days=9999))) == (None, "free")


def test_a_tier_holds_until_its_end_and_free_from_then_on(world: World) -> None:
    ends_at = world.now + timedelta(days=3)
    set_tier(world, "pro@2", ends_at)
    wallet = world.wallet()
    last, first = ends_at - timedelta(milliseconds=1), ends_at
    assert [wallet.tier_at(at) for at in (world.now, last, first)] == ["pro@2", "pro@2", "free"]
    assert [wallet.tier_name_at(at) for at in (last, first)] == ["pro", "free"]
    rule = DAILY_CREDITS["free"]
    assert [balance_view(wallet, rule, at).tier for at in (last, first)] == ["pro", "free"]


def test_daily_credits_follow_the_tier_from_the_next_daily_grant_on(world: World) -> None:
    today = [("daily#2026-11-20", 50)]
    assert daily_grants(refreshed(world)) == today
    set_tier(world, "pro@2", world.now + timedelta(days=2))
    assert daily_grants(refreshed(world)) == today
    given: list[tuple[str, int]] = []
    for _ in range(3):
        world.now += timedelta(days=1)
        given += daily_grants(refreshed(world))
    # The tier ends at noon of the second day, which is when the third grant is due.
    assert given == [("daily#2026-11-21", 200), ("daily#2026-11-22", 50), ("daily#2026-11-23", 50)]
    assert world.wallet().tier == "pro@2"
    world.assert_sound()


def test_a_generation_is_accepted_under_the_tier_of_its_time(world: World) -> None:
    # The catalogue has no such tier: only the rules of free can have accepted the request.
    set_tier(world, "never sold@1", world.now)
    accepted = world.submit().generation
    assert accepted.watermark
    assert world.wallet().held == accepted.credits_held
