"""The events of sites, which are part of the catalogue."""

from __future__ import annotations

from typing import Annotated, ClassVar

from atelier.dataclass import dataclass
from atelier.events.event import Instant, Workspace


@dataclass(frozen=True, slots=True)
class CommentMention:
    """A comment on a page mentions a member of the workspace: one event for each member and comment."""

    source: ClassVar[str] = "atelier.sites"
    version: ClassVar[int] = 1
    types: ClassVar[tuple[str, ...]] = ("comment.mentioned",)

    workspace_id: Workspace
    site_id: Annotated[str, "the site"]
    page_id: Annotated[str, "the page"]
    comment_id: Annotated[str, "the comment"]
    author_id: Annotated[str, "who has written it"]
    user_id: Annotated[str, "who is mentioned"]
    mentioned_at: Instant

    @property
    def type(self) -> str:
        return self.types[0]

    @property
    def id(self) -> str:
        return f"{self.comment_id}#{self.user_id}"

    @property
    def occurred_at(self) -> str:
        return self.mentioned_at
