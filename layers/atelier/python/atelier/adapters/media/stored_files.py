"""The files of assets, as the library removes them."""

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


class MediaFiles:
    """Implements the library's port `StoredFiles`."""

    def __init__(self, objects: DeletableObjects) -> None:
        self._objects = objects

    def remove(self, workspace_id: str, sha256: str, format: str) -> RemovedFile:
        # The file goes first: a reader who finds it also finds its thumbnail.
        keys = (media_key(workspace_id, sha256, format), thumbnail_key(workspace_id, sha256))
        return RemovedFile(tuple((key, self._objects.delete(key)) for key in keys))

    def restore(self, removed: RemovedFile) -> None:
        for key, deletion in reversed(removed.deletions):
            self._objects.undelete(key, deletion)
