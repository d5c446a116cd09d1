"""Deleting in memory: after any crash and any upload of the same bytes at the same time, each asset has its file, and a
file without an asset is not served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest

from atelier.errors import NotFound
from atelier.library.delete_asset import delete_asset
from atelier.library.model import DeletedAsset
from atelier.library.ports import RemovedFile

NOW = datetime(2026, 11, 28, tzinfo=UTC)
WORKSPACE, ID, SAME, SHA256 = "wsp_x", "ast_x", "ast_y", "5a"
STEPS = 10


class Death(BaseException):
    """The process has crashed."""


@dataclass
class World:
    """The ports of the use case, in memory. `assets`: their hashes by id. `served`: the hashes of files that are there.
    At each step, before and after every call, `happens` gets the step's number."""

    happens: Callable[[int], None] = lambda step: None
    assets: dict[str, str] = field(default_factory=lambda: {ID: SHA256})
    deleted: dict[str, DeletedAsset] = field(default_factory=dict[str, DeletedAsset])
    served: set[str] = field(default_factory=lambda: {SHA256})
    steps: int = 0

    def _step(self) -> None:
        self.steps += 1
        self.happens(self.steps)

    # Assets
    def delete(self, workspace_id: str, asset_id: str, now: datetime) -> DeletedAsset:
        self._step()
        if asset_id in self.assets:
            sha256 = self.assets.pop(asset_id)
            self.deleted[asset_id] = DeletedAsset(
                asset_id, workspace_id, "image", "png", sha256, NOW, now, is_file_pending=True
            )
        if asset_id not in self.deleted:
            raise NotFound
        self._step()
        return self.deleted[asset_id]

    def is_file_used(self, workspace_id: str, sha256: str) -> bool:
        self._step()
        is_used = sha256 in self.assets.values()
        self._step()
        return is_used

    def settle_file(self, workspace_id: str, asset_id: str) -> None:
        self._step()
        self.deleted[asset_id] = replace(self.deleted[asset_id], is_file_pending=False)
        self._step()

    # StoredFiles
    def remove(self, workspace_id: str, sha256: str, format: str) -> RemovedFile:
        self._step()
        self.served.discard(sha256)
        self._step()
        return RemovedFile(((sha256, "1"),))

    def restore(self, removed: RemovedFile) -> None:
        self._step()
        self.served.add(removed.deletions[0][0])
        self._step()


def delete(world: World, asset_id: str = ID, now: datetime = NOW) -> None:
    # One world implements both ports.
    delete_asset(WORKSPACE, asset_id, assets=world, files=world, now=now)  # pyright: ignore


def test_a_file_is_no_longer_served_when_its_last_asset_is_deleted() -> None:
    world = World(assets={ID: SHA256, SAME: SHA256})
    delete(world)
    assert (world.assets, world.served) == ({SAME: SHA256}, {SHA256})
    delete(world, SAME)
    assert (world.assets, world.served) == ({}, set())


def test_deleting_again_changes_nothing_and_an_unknown_asset_is_not_found() -> None:
    world = World()
    delete(world)
    first = dict(world.deleted)
    # The same bytes come back with another asset.
    world.assets[SAME] = SHA256
    world.served.add(SHA256)
    delete(world, now=datetime(2027, 1, 1, tzinfo=UTC))
    assert (world.deleted, world.served) == (first, {SHA256})
    with pytest.raises(NotFound):
        delete(world, "ast_z")


@pytest.mark.parametrize("dies_at", range(1, STEPS + 1))
def test_a_deletion_that_crashed_is_ended_by_the_next_one(dies_at: int) -> None:
    def die(step: int) -> None:
        if step == dies_at:
            raise Death

    world = World(happens=die)
    with pytest.raises(Death):
        delete(world)
    world.happens = lambda step: None
    delete(world)
    assert (world.assets, world.served, world.deleted[ID].is_file_pending) == ({}, set(), False)


@pytest.mark.parametrize("stored_at", range(1, STEPS + 1))
def test_an_asset_with_the_same_bytes_that_comes_meanwhile_keeps_its_file(stored_at: int) -> None:
    def store(step: int) -> None:
        if step == stored_at:
            world.served.add(SHA256)
            world.assets[SAME] = SHA256

    world = World(happens=store)
    delete(world)
    assert (world.assets, world.served) == ({SAME: SHA256}, {SHA256})
