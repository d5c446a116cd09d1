"""Ports of the library: what it needs from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from atelier.dataclass import dataclass
from atelier.library.model import Asset, DeletedAsset

PendingT = TypeVar("PendingT")
# New values by field of the asset: some of name, description, tags, favorite, archived_at and project_id.
AssetChanges = Mapping[str, Any]


class UploadExists(Exception):
    """An upload with this id exists already."""


class TargetProjectGone(Exception):
    """The project takes no assets: it was removed, archived or moved to another workspace at this moment."""


@dataclass(frozen=True, slots=True)
class AssetPage:
    """Assets, newest first. `next_id` is the id after which the next page begins; None on the last page."""

    assets: tuple[Asset, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """Which assets to list; None = all. text: a part of the name, the description or a tag, in any letter case."""

    tag: str | None = None
    favorite: bool | None = None
    archived: bool | None = None
    text: str | None = None


ALL_ASSETS = AssetFilter()


class Assets(Protocol):
    """The assets of a workspace."""

    def get(self, workspace_id: str, asset_id: str) -> Asset:
        """Raises NotFound."""
        ...

    def find(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset, ...]:
        """Those of these assets that exist, in any order (consistent read)."""
        ...

    def find_with_deleted(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset | DeletedAsset, ...]:
        """The same, and what remains of those that were deleted."""
        ...

    def count_bytes(self, workspace_id: str) -> int:
        """What the library counts of a workspace's stored bytes; see `Wallet.stored_bytes`. The first call for a
        workspace may read all of its assets."""
        ...

    def record_upload(self, asset: Asset) -> Asset:
        """Write an uploaded asset unless it exists already; returns the stored asset. Raises NotFound when it was
        deleted."""
        ...

    def list(
        self,
        workspace_id: str,
        asset_type: str | None,
        after_id: str | None,
        limit: int,
        *,
        project_id: str | None = None,
        wanted: AssetFilter = ALL_ASSETS,
    ) -> AssetPage: ...

    def list_made_from(self, workspace_id: str, asset_id: str, after_id: str | None, limit: int) -> AssetPage:
        """The assets for which this one was an input, newest first."""
        ...

    def change(self, workspace_id: str, asset_id: str, changes: AssetChanges) -> None:
        """Write these fields of an asset. Being archived again keeps the first time. Raises NotFound; TargetProjectGone
        when the project that it goes to takes no assets any more."""
        ...

    def delete(self, workspace_id: str, asset_id: str, now: datetime) -> DeletedAsset:
        """Put what remains of an asset in its place; of one that was deleted before, what remains is returned. Raises
        NotFound."""
        ...

    def is_file_used(self, workspace_id: str, sha256: str) -> bool:
        """Whether an asset of the workspace has the file with this hash (consistent read)."""
        ...

    def settle_file(self, workspace_id: str, asset_id: str) -> None:
        """Note of a deleted asset that its file is no longer pending."""
        ...


@dataclass(frozen=True, slots=True)
class BoughtFrom:
    """A listing of the showcase in an asset's lineage. distance: how many listings lie between, and one; 1 = it was
    bought here."""

    listing_id: str
    title: str
    user_id: str
    distance: int


@dataclass(frozen=True, slots=True)
class RecordedFrom:
    """A livestream in an asset's lineage. live_at: when the picture came."""

    livestream_id: str
    title: str
    live_at: datetime | None


class StepFacts(Protocol):
    """What is known of the steps of a lineage beyond the library."""

    def credits(self, workspace_id: str, generation_ids: Iterable[str]) -> Mapping[str, int]:
        """What the workspace's generations cost, in credits."""
        ...

    def bought_from(self, listing_ids: Iterable[str]) -> Sequence[BoughtFrom]:
        """These listings and what they were made from, the nearest first, each once; without those that are gone."""
        ...

    def recorded_from(self, workspace_id: str, livestream_ids: Iterable[str]) -> Mapping[str, RecordedFrom]:
        """Those of these livestreams that the workspace has, by id."""
        ...

    def names(self, user_ids: Sequence[str]) -> Mapping[str, str]:
        """The names of those who have an account."""
        ...


class TargetProject(Protocol):
    """A project to which an asset may be moved."""

    @property
    def archived_at(self) -> datetime | None: ...


class TargetProjects(Protocol):
    """The projects of a workspace."""

    def get(self, workspace_id: str, project_id: str, /) -> TargetProject:
        """Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class RemovedFile:
    """A file and its thumbnail after their removal: the deletion of each, by key."""

    deletions: tuple[tuple[str, str], ...]


class StoredFiles(Protocol):
    """The files of assets, by the hash of their bytes."""

    def remove(self, workspace_id: str, sha256: str, format: str) -> RemovedFile:
        """Stop serving a file and its thumbnail. Safe to repeat."""
        ...

    def restore(self, removed: RemovedFile) -> None:
        """Take a removal back."""
        ...


@dataclass(frozen=True, slots=True)
class UploadForm:
    """The URL to which a file is sent by POST, and the signed form fields that come before the file."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that has been checked, cleaned and stored under the hash of its bytes. Sizes are in bytes and pixels.
    notes: sentences for the owner about what was removed or changed."""

    type: str
    format: str
    sha256: str
    size_bytes: int
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None
    has_thumbnail: bool = False
    notes: tuple[str, ...] = ()


class FileInvalid(Exception):
    """The file is not of its declared type, or of no type that is accepted. The text, for the uploader, says why."""


class FileLimitExceeded(FileInvalid):
    """The file exceeds a limit of ours. The text, for the uploader, names the limit and the file's own figure."""


class FileRefused(Exception):
    """Moderation rejected the file. `category` is the code; `words` describe it for the uploader."""

    def __init__(self, category: str, description: str) -> None:
        super().__init__(category)
        self.category = category
        self.words = description


class FileIngest(Protocol):
    """Checks, cleans and stores uploaded files."""

    def store(self, workspace_id: str, file_type: str, data: bytes) -> StoredFile:
        """Check, clean and store a file; equal bytes are stored once. file_type: image, video or audio. Raises
        FileInvalid, FileLimitExceeded, FileRefused, Unavailable."""
        ...


class Uploads(Protocol[PendingT]):
    """Announced files that are not assets yet."""

    def create(self, upload: PendingT) -> None:
        """Raises UploadExists."""
        ...

    def get(self, workspace_id: str, asset_id: str) -> PendingT:
        """The upload (consistent read); an expired one may still be returned. Raises NotFound."""
        ...


UploadT = TypeVar("UploadT", contravariant=True)


class UploadedFiles(Protocol[UploadT]):
    """The bucket to which users send files."""

    def form(self, upload: UploadT, now: datetime) -> UploadForm:
        """A signed form that is valid for a few minutes, for this upload's key, content type and exact size only."""
        ...

    def read(self, upload: UploadT, bytes_max: int) -> bytes:
        """The bytes that were sent last. Raises NotFound, or ValueError when there are more than `bytes_max`."""
        ...
