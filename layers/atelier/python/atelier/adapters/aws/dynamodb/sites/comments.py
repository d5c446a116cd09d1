"""Comments on pages, on DynamoDB."""

from __future__ import annotations

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, write_transaction
from atelier.adapters.aws.dynamodb.sites.items import (
    COMMENT,
    PageItem,
    SiteCommentItem,
    bind,
    comment_item,
    comment_of,
    page_key,
)
from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.sites.model import Comment
from atelier.sites.ports import CommentExists, CommentPage, StaleComment

BUSY, TRIES_MAX = "The comments are busy. Try again.", 20


class DynamoComments:
    """Comments on DynamoDB."""

    def __init__(self, table_name: str) -> None:
        bind(table_name)

    def add(self, comment: Comment) -> None:
        workspace_id, prefix = comment.workspace_id, f"{COMMENT}{comment.page_id}#"

        def fill(write: Transaction) -> None:
            write.save(comment_item(comment), SiteCommentItem.pk.does_not_exist(), part="comment")
            key = page_key(comment.site_id, comment.page_id)
            write.check(PageItem, workspace_id, key, PageItem.pk.exists(), part="page")
            if comment.reply_to:
                is_first = SiteCommentItem.pk.exists() & SiteCommentItem.reply_to.does_not_exist()
                write.check(SiteCommentItem, workspace_id, prefix + comment.reply_to, is_first, part="thread")

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (CommentExists if "comment" in error.parts else StaleComment)() from error

    def get(self, workspace_id: str, page_id: str, comment_id: str) -> Comment:
        try:
            item = SiteCommentItem.get(workspace_id, f"{COMMENT}{page_id}#{comment_id}", consistent_read=True)
        except DoesNotExist as error:
            raise NotFound from error
        return comment_of(item)

    def list(self, workspace_id: str, page_id: str, after_id: str | None, limit: int) -> CommentPage:
        prefix = f"{COMMENT}{page_id}#"
        within = SiteCommentItem.sk.between(prefix + (after_id or ""), prefix + "~")
        found = SiteCommentItem.query(workspace_id, within, consistent_read=True, limit=limit + 2)
        comments = [comment for comment in map(comment_of, found) if comment.id != after_id]
        return CommentPage(tuple(comments[:limit]), comments[limit - 1].id if len(comments) > limit else None)

    def replace(self, before: Comment, after: Comment) -> None:
        unchanged = SiteCommentItem.updated_at == rfc3339(before.updated_at)

        def fill(write: Transaction) -> None:
            write.save(comment_item(after), unchanged, part="comment")

        try:
            write_transaction(fill, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise StaleComment from error
