"""What the library needs from outside."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from atelier.frozen import dataclass
from atelier.library.model import Asset

ThingT = TypeVar("ThingT")


class ThingExists(Exception):
    """A thing with this id has been written before."""


class ThingMoved(Exception):
    """The thing is no longer as it was seen: read again and plan again."""


@dataclass(frozen=True, slots=True)
class AssetPage:
    """Newest first; `next_id` continues after the last."""

    assets: tuple[Asset, ...]
    next_id: str | None


class Assets(Protocol):
    """The assets of a workspace."""

    def get(self, workspace_id: str, asset_id: str) -> Asset:
        """Raises NotFound."""
        ...

    def find(self, workspace_id: str, asset_ids: Iterable[str]) -> tuple[Asset, ...]:
        """Those of them that there are, in any order. Consistent."""
        ...

    def record_upload(self, asset: Asset) -> Asset:
        """Write an asset that no generation made, unless it is there already; returns it as it is kept."""
        ...

    def list(
        self,
        workspace_id: str,
        asset_type: str | None,
        after_id: str | None,
        limit: int,
        *,
        project_id: str | None = None,
    ) -> AssetPage: ...


@dataclass(frozen=True, slots=True)
class Page(Generic[ThingT]):
    """Newest first; `next_id` continues after the last."""

    things: tuple[ThingT, ...]
    next_id: str | None


class Things(Protocol[ThingT]):
    """What people write down and change: characters, templates. Every write is conditional."""

    def create(self, thing: ThingT) -> None:
        """Raises ThingExists."""
        ...

    def get(self, workspace_id: str, thing_id: str) -> ThingT:
        """Consistent; raises NotFound."""
        ...

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> Page[ThingT]: ...

    def change(self, seen: ThingT, after: ThingT) -> None:
        """Write all that a person may change; raises ThingMoved."""
        ...

    def delete(self, workspace_id: str, thing_id: str) -> None:
        """Raises NotFound."""
        ...


class IdempotencyKeys(Protocol):
    """Binds a caller's key to one id and one fingerprint, for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        """The id that the key is bound to, `new_id` if it was free. Raises IdempotencyMismatch."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """Where a file is sent to by POST, and the fields that go before it, which nobody can change."""

    url: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that has been looked into, cleaned and stored under the hash of its bytes. Sizes in bytes and pixels;
    notes: sentences for the owner on what was left out or changed."""

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
    """The bytes are not of the type that they should be, or nothing that we take. The text says why, for whoever
    brought them."""


class FileLimitExceeded(FileInvalid):
    """The file is beyond a limit of ours; the text names it and the file's own figure, for whoever brought it."""


class FileRefused(Exception):
    """Moderation does not let the file in; `words` say what it was taken for."""

    def __init__(self, category: str, words: str) -> None:
        super().__init__(category)
        self.category = category
        self.words = words


class Intake(Protocol):
    """Where files that people bring are looked into."""

    def keep(self, workspace_id: str, file_type: str, data: bytes) -> Kept:
        """Check, clean and store; the same bytes are stored once. Raises FileInvalid, FileLimitExceeded,
        FileRefused, Unavailable."""
        ...


class Uploads(Protocol[ThingT]):
    """Files that have been said and are not assets yet."""

    def create(self, upload: ThingT) -> None:
        """Raises ThingExists."""
        ...

    def get(self, workspace_id: str, asset_id: str) -> ThingT:
        """Consistent; raises NotFound. One that has expired may still be there."""
        ...


UploadT = TypeVar("UploadT", contravariant=True)


class UploadedFiles(Protocol[UploadT]):
    """Where the files are that people send."""

    def form(self, upload: UploadT, now: datetime) -> Form:
        """Good for a few minutes, for this upload's name, type and size alone."""
        ...

    def read(self, upload: UploadT, bytes_max: int) -> bytes:
        """What was sent last. Raises NotFound, or ValueError when there is more than `bytes_max`."""
        ...
