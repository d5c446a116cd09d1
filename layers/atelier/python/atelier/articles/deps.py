"""The dependencies of articles."""

from __future__ import annotations

from collections.abc import Callable

from atelier.articles.ports import ArticleStore
from atelier.dataclass import dataclass
from atelier.idempotency import IdempotencyKeys


@dataclass(frozen=True, slots=True)
class ArticleDeps:
    """has_assets(workspace_id, asset_ids): whether all of these are assets of the workspace. base_url: of the
    deployment, without a slash at its end."""

    store: ArticleStore
    keys: Callable[[], IdempotencyKeys]
    has_assets: Callable[[str, tuple[str, ...]], bool]
    base_url: str

    def file_url(self, asset_id: str) -> str:
        """Where the public reads an asset of a published article; the address stays the same."""
        return f"{self.base_url}/api/articles/files/{asset_id}"
