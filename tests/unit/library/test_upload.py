"""Uploads in memory: after any crash and any race there is one asset, or none."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from atelier.errors import Conflict, NotFound, QuotaExceeded, ValidationFailed
from atelier.library.model import Asset, DeletedAsset
from atelier.library.ports import FileInvalid, FileLimitExceeded, StoredFile, UploadExists, UploadForm
from atelier.library.upload import LIFETIME, Upload, begin_upload, complete_upload, store_bytes

NOW = datetime(2026, 11, 21, tzinfo=UTC)
WORKSPACE, USER, ID = "wsp_x", "usr_x", "ast_x"


class Death(BaseException):
    """The process has crashed."""


@dataclass
class World:
    """All ports of the use cases, in memory; at the call with the number `dies_at` the process crashes."""

    assets: dict[str, Asset] = field(default_factory=dict[str, Asset])
    deleted: dict[str, DeletedAsset] = field(default_factory=dict[str, DeletedAsset])
    uploads: dict[str, Upload] = field(default_factory=dict[str, Upload])
    sent: dict[str, bytes] = field(default_factory=dict[str, bytes])
    stored: dict[str, bytes] = field(default_factory=dict[str, bytes])
    bound: dict[str, str] = field(default_factory=dict[str, str])
    bytes_max: int = 1000
    calls: int = 0
    dies_at: int = -1

    def _step(self) -> None:
        self.calls += 1
        if self.calls == self.dies_at:
            raise Death

    # Assets
    def find_with_deleted(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset | DeletedAsset, ...]:
        self._step()
        known = self.assets | self.deleted
        return tuple(known[each] for each in asset_ids if each in known)

    def record_upload(self, asset: Asset) -> Asset:
        self._step()
        kept = self.assets.setdefault(asset.id, asset)
        self._step()
        return kept

    # Uploads, and the files
    def create(self, upload: Upload) -> None:
        self._step()
        if upload.id in self.uploads:
            raise UploadExists
        self.uploads[upload.id] = upload
        self._step()

    def get(self, workspace_id: str, asset_id: str) -> Upload:
        self._step()
        if asset_id not in self.uploads:
            raise NotFound
        return self.uploads[asset_id]

    def form(self, upload: Upload, now: datetime) -> UploadForm:
        self._step()
        return UploadForm("https://bucket.example", {"key": upload.id})

    def read(self, upload: Upload, bytes_max: int) -> bytes:
        self._step()
        if upload.id not in self.sent:
            raise NotFound
        if len(self.sent[upload.id]) > bytes_max:
            raise ValueError
        return self.sent[upload.id]

    # Intake
    def store(self, workspace_id: str, file_type: str, data: bytes) -> StoredFile:
        self._step()
        if b"bad" in data:
            raise FileInvalid("bad")
        if b"big!" in data:
            raise FileLimitExceeded("It has 7 sides; at most 6 are taken.")
        sha256 = hashlib.sha256(data).hexdigest()
        self.stored[sha256] = data
        self._step()
        return StoredFile(file_type, "png", sha256, len(data), 1, 1)

    # The quota of storage
    def require_room(self, workspace_id: str, size_bytes: int, now: datetime) -> None:
        self._step()
        used = sum(asset.size_bytes for asset in self.assets.values())
        if used + size_bytes > self.bytes_max:
            raise QuotaExceeded("Full.", quota="storage_bytes", limit=self.bytes_max, used=used, tiers=[])

    # IdempotencyKeys
    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        self._step()
        return self.bound.setdefault(key, new_id)


def said(size: int = 4, asset_id: str = ID) -> Upload:
    return Upload(asset_id, WORKSPACE, USER, "x.png", "image/png", size, NOW)


def ended(world: World, now: datetime = NOW) -> Asset:
    # One world implements all ports.
    ports = {"assets": world, "uploads": world, "files": world, "intake": world}
    return complete_upload(WORKSPACE, ID, **ports, require_room=world.require_room, now=now)  # pyright: ignore


def begun(world: World, upload: Upload) -> Upload:
    ports = {"uploads": world, "files": world, "keys": world}
    return begin_upload(upload, idempotency_key="k", **ports, require_room=world.require_room, now=NOW)[0]  # pyright: ignore


def kept(world: World, data: bytes) -> Asset:
    ports = {"assets": world, "intake": world, "keys": world}
    return store_bytes(WORKSPACE, USER, data, "x.png", **ports, require_room=world.require_room, now=NOW)  # pyright: ignore


@pytest.mark.parametrize("dies_at", range(1, 10))
def test_a_completion_that_crashed_can_be_repeated(dies_at: int) -> None:
    world = World(uploads={ID: said()}, sent={ID: b"good"}, dies_at=dies_at)
    try:
        ended(world)
    except Death:
        assert len(world.assets) <= 1
    world.dies_at = -1
    first, again = ended(world), ended(world)
    assert first == again
    assert list(world.assets.values()) == [first]
    assert world.stored == {first.sha256: b"good"}


def deleted(world: World, asset: Asset) -> None:
    del world.assets[asset.id]
    del world.stored[asset.sha256]
    world.deleted[asset.id] = DeletedAsset(asset.id, WORKSPACE, asset.type, asset.format, asset.sha256, NOW, NOW)


def test_completing_a_deleted_upload_again_stores_nothing() -> None:
    world = World(uploads={ID: said()}, sent={ID: b"good"})
    deleted(world, ended(world))
    with pytest.raises(NotFound):
        ended(world)
    assert (world.assets, world.stored) == ({}, {})


def test_bytes_that_come_again_after_their_asset_was_deleted_are_a_new_asset() -> None:
    world = World()
    assets = [kept(world, b"good")]
    for _ in range(2):
        deleted(world, assets[-1])
        assets.append(kept(world, b"good"))
    assert len({asset.id for asset in assets}) == 3
    assert kept(world, b"good") == assets[-1]
    assert set(world.assets) == {assets[-1].id}


def test_a_file_sent_after_completion_changes_nothing() -> None:
    world = World(uploads={ID: said()}, sent={ID: b"good"})
    first = ended(world)
    world.sent[ID] = b"evil"
    assert ended(world) == first


def test_of_two_completions_with_different_bytes_the_first_one_is_stored() -> None:
    world = World(uploads={ID: said()}, sent={ID: b"good"})
    first = ended(world)
    late = world.record_upload(Asset(**{**{name: getattr(first, name) for name in first.__slots__}, "sha256": "0"}))
    assert late == first


@pytest.mark.parametrize("data", [b"bad!", b"longer", b"sho"])
def test_a_file_that_differs_from_its_declaration_is_refused(data: bytes) -> None:
    world = World(uploads={ID: said()}, sent={ID: data})
    with pytest.raises(ValidationFailed):
        ended(world)
    assert world.assets == {}
    world.sent[ID] = b"good"
    assert ended(world).size_bytes == 4


def test_a_file_beyond_a_limit_is_refused_with_the_limit_and_its_value() -> None:
    world = World(uploads={ID: said()}, sent={ID: b"big!"})
    with pytest.raises(ValidationFailed) as refused:
        ended(world)
    assert refused.value.facts["fields"] == [{"path": "file", "message": "It has 7 sides; at most 6 are taken."}]


def test_an_upload_without_a_file_or_past_its_lifetime_is_not_completed() -> None:
    world = World(uploads={ID: said()})
    with pytest.raises(Conflict):
        ended(world)
    world.sent[ID] = b"good"
    with pytest.raises(NotFound):
        ended(world, NOW + LIFETIME)
    done = ended(world, NOW + LIFETIME - timedelta(seconds=1))
    assert ended(world, NOW + 2 * LIFETIME) == done


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_a_repeated_idempotency_key_begins_one_upload_after_a_crash(dies_at: int) -> None:
    world = World(dies_at=dies_at)
    for number in range(2):
        try:
            new = said(asset_id=f"ast_{number}")
            begun(world, new)
        except Death:
            world.dies_at = -1
    assert list(world.uploads) == ["ast_0"] or dies_at <= 2


@pytest.mark.parametrize("dies_at", range(1, 9))
def test_the_same_bytes_are_stored_as_one_asset_after_a_crash(dies_at: int) -> None:
    world = World(dies_at=dies_at)
    with suppress(Death):
        kept(world, b"good")
    world.dies_at = -1
    first, again, other = kept(world, b"good"), kept(world, b"good"), kept(world, b"else")
    assert first == again != other
    assert len(world.assets) == 2


def test_a_file_without_room_is_refused_before_it_is_sent() -> None:
    world = World(bytes_max=7)
    first, second = said(4, "ast_1"), said(4, "ast_2")
    begun(world, first)
    kept(world, b"good")
    with pytest.raises(QuotaExceeded):
        begun(world, second)
    assert list(world.uploads) == ["ast_1"]


def test_an_upload_whose_room_is_gone_is_not_stored() -> None:
    world = World(uploads={ID: said()}, sent={ID: b"good"}, bytes_max=7)
    kept(world, b"else")
    with pytest.raises(QuotaExceeded):
        ended(world)
    assert (len(world.assets), len(world.stored)) == (1, 1)
    world.bytes_max = 8
    assert ended(world) == ended(world)


def test_bytes_of_a_request_need_room_but_those_stored_before_do_not() -> None:
    world = World(bytes_max=4)
    first = kept(world, b"good")
    with pytest.raises(QuotaExceeded):
        kept(world, b"else")
    assert kept(world, b"good") == first
    assert len(world.stored) == 1
