"""The files of assets, as the library removes them, and moves copy them."""

from __future__ import annotations

from typing import Protocol

from atelier.adapters.media.keys import media_key, thumbnail_key
from atelier.library.ports import RemovedFile


class DeletableObjects(Protocol):
    """A bucket that keeps what is deleted for some time."""

    def delete(self, key: str) -> str:
        """Returns the id of the deletion."""
        ...

    def undelete(self, key: str, deletion: str) -> None: ...

    def copy(self, source: str, target: str) -> None:
        """Does nothing when there never was an object under `source`."""
        ...


class MediaFiles:
    """Implements the library's port `StoredFiles`, and `MovableFiles` of moves."""

    def __init__(self, objects: DeletableObjects) -> None:
        self._objects = objects

    def copy(self, source_id: str, target_id: str, sha256: str, format: str) -> None:
        # The thumbnail goes first: a reader who finds the file also finds its thumbnail.
        self._objects.copy(thumbnail_key(source_id, sha256), thumbnail_key(target_id, sha256))
        self._objects.copy(media_key(source_id, sha256, format), media_key(target_id, sha256, format))

    def remove(self, workspace_id: str, sha256: str, format: str) -> RemovedFile:
        # The file goes first: a reader who finds it also finds its thumbnail.
        keys = (media_key(workspace_id, sha256, format), thumbnail_key(workspace_id, sha256))
        return RemovedFile(tuple((key, self._objects.delete(key)) for key in keys))

    def restore(self, removed: RemovedFile) -> None:
        for key, deletion in reversed(removed.deletions):
            self._objects.undelete(key, deletion)
