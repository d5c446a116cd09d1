"""What the library needs from outside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from atelier.library.model import Asset


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

    def list(
        self,
        workspace_id: str,
        asset_type: str | None,
        after_id: str | None,
        limit: int,
        *,
        project_id: str | None = None,
    ) -> AssetPage: ...
