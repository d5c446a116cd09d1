"""How many bytes a workspace stores, and whether it may store more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from atelier.catalogue.quotas import Quota
from atelier.ledger.ports import WalletStore


class CountedBytes(Protocol):
    """The library's count of bytes."""

    def count_bytes(self, workspace_id: str) -> int:
        """What the library counts of a workspace's stored bytes. The first call may read all of its assets."""
        ...


def stored_bytes(workspace_id: str, *, assets: CountedBytes, wallets: WalletStore) -> int:
    """The bytes of all stored files of a workspace."""
    return wallets.wallet(workspace_id).stored_bytes(assets.count_bytes(workspace_id))


def require_room(
    workspace_id: str, size_bytes: int, *, assets: CountedBytes, wallets: WalletStore, quota: Callable[[], Quota]
) -> None:
    """Raises QuotaExceeded when the workspace's tier does not allow `size_bytes` more. quota: reads that of storage.
    Files that are stored at the same moment may cross the limit together."""
    limit, used = quota(), stored_bytes(workspace_id, assets=assets, wallets=wallets)
    if used + size_bytes > limit.limit:
        raise limit.exceeded(used, added=size_bytes)
