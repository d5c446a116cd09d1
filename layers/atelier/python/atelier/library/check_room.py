"""Check that a workspace may store more bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atelier.catalogue.quotas import Quota


class StoredBytes(Protocol):
    """The count of a workspace's stored bytes."""

    def count_stored_bytes(self, workspace_id: str) -> int:
        """The bytes of all stored files. The first call for a workspace may read all of its assets."""
        ...


def require_room(workspace_id: str, size_bytes: int, *, assets: StoredBytes, quota: Callable[[], Quota]) -> None:
    """Raises QuotaExceeded when the workspace's tier does not allow `size_bytes` more. quota: reads that of storage.
    Files that are stored at the same moment may cross the limit together."""
    limit, used = quota(), assets.count_stored_bytes(workspace_id)
    if used + size_bytes > limit.limit:
        raise limit.exceeded(used, added=size_bytes)
