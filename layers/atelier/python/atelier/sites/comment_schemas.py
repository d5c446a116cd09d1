"""HTTP schemas of comments on pages."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from atelier import cursors
from atelier.lazy_model import LazyModel
from atelier.sites.comment import NewComment
from atelier.sites.model import Comment
from atelier.sites.ports import CommentPage
from atelier.sites.schemas import STRICT, BlockId, Version
from atelier.sites.version_schemas import NamesOf

Body = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=5000)]
UserId = Annotated[str, Field(pattern=r"^usr_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
CommentId = Annotated[str, Field(pattern=r"^cmt_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


class CommentRequest(LazyModel):
    """A comment. `block_id`: what it is about, null for the page; `reply_to`: the first comment of its thread.
    `mentions`: members who are notified, beside those whom the text names as `@usr_…`."""

    model_config = STRICT

    body: Body
    block_id: BlockId | None = None
    reply_to: CommentId | None = None
    page_version: Version | None = None
    mentions: Annotated[list[UserId], Field(max_length=20)] = []

    def new(self, place: tuple[str, str, str], user_id: str, idempotency_key: str | None) -> NewComment:
        """The comment to store. place: workspace, site and page."""
        return NewComment(
            *place,
            user_id,
            self.body,
            self.block_id,
            self.reply_to,
            self.page_version,
            tuple(self.mentions),
            idempotency_key,
        )


class EditCommentRequest(LazyModel):
    model_config = STRICT

    body: Body


class CommentView(LazyModel):
    """A comment. `user_name`: null when the person has no account any more. `resolved_at`: of the first comment of a
    thread, when the thread was resolved."""

    id: str
    page_id: str
    user_id: str
    user_name: str | None
    body: str
    block_id: str | None
    page_version: int
    reply_to: str | None
    mentions: list[str]
    resolved_at: datetime | None
    resolved_by: str | None
    deleted: bool
    created_at: datetime
    updated_at: datetime


class CommentEnvelope(LazyModel):
    comment: CommentView


class CommentList(LazyModel):
    items: list[CommentView]
    next_cursor: str | None


def comment_view(comment: Comment, names: Mapping[str, str]) -> CommentView:
    return CommentView(
        id=comment.id,
        page_id=comment.page_id,
        user_id=comment.user_id,
        user_name=names.get(comment.user_id),
        body=comment.body,
        block_id=comment.block_id,
        page_version=comment.page_version,
        reply_to=comment.reply_to,
        mentions=list(comment.mentions),
        resolved_at=comment.resolved_at,
        resolved_by=comment.resolved_by,
        deleted=comment.is_deleted,
        created_at=comment.created_at,
        updated_at=comment.updated_at,
    )


def comment_envelope(comment: Comment, names_of: NamesOf) -> CommentEnvelope:
    return CommentEnvelope(comment=comment_view(comment, names_of([comment.user_id])))


def comment_list(page: CommentPage, names_of: NamesOf) -> CommentList:
    names = names_of({comment.user_id for comment in page.items})
    items = [comment_view(each, names) for each in page.items]
    return CommentList(items=items, next_cursor=cursors.encode(page.next_id))
