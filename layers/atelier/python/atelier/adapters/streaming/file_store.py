"""What the local streaming service keeps its files in."""

from __future__ import annotations

from typing import Protocol


class FileStore(Protocol):
    """Objects of the media bucket."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store bytes under a key."""
        ...

    def get(self, key: str, bytes_max: int) -> bytes:
        """The bytes under a key; raises NotFound."""
        ...

    def delete(self, key: str) -> object:
        """Delete an object, if it is there."""
        ...
