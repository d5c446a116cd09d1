"""Comment on pages: threads about a page or one of its blocks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound, ValidationFailed
from atelier.idempotency import fingerprint
from atelier.ids import is_id, new_id
from atelier.retrying import retrying
from atelier.sites.deps import SiteDeps
from atelier.sites.model import Comment
from atelier.sites.ports import CommentExists, StaleComment

MENTIONS_MAX = 20
BUSY, TRIES_MAX = "The comment is changing quickly. Try again.", 20
Change = Callable[[Comment], Comment]
_MENTION = re.compile(r"@(usr_[0-7][0-9A-HJKMNP-TV-Z]{25})")


@dataclass(frozen=True, slots=True)
class NewComment:
    """What a verified caller says. block_id, reply_to, page_version as in Comment; page_version: None = the newest.
    mentions: members who are told, beside those whom the body names as `@usr_…`."""

    workspace_id: str
    site_id: str
    page_id: str
    user_id: str
    body: str
    block_id: str | None = None
    reply_to: str | None = None
    page_version: int | None = None
    mentions: tuple[str, ...] = ()
    idempotency_key: str | None = None


def add_comment(new: NewComment, *, deps: SiteDeps, now: datetime) -> tuple[Comment, bool]:
    """Store a comment. Returns it, and whether the same request stored it before. A reply is about what its thread is
    about. Raises NotFound, ValidationFailed, IdempotencyMismatch."""
    head = deps.pages.head(new.workspace_id, new.site_id, new.page_id)
    mentions = _mentions(new.workspace_id, new.body, new.mentions, deps)
    number, block_id = new.page_version or head.version, new.block_id
    if new.reply_to is not None:
        first = _first_of_thread(new, deps)
        number, block_id = first.page_version, first.block_id
    elif block_id is not None:
        _check_block(new, number, deps, now)

    comment_id = new_id("cmt", now)
    if new.idempotency_key is not None:
        key = f"comments {new.page_id} {new.user_id} {new.idempotency_key}"
        facts = fingerprint([new.body, new.block_id, new.reply_to, new.page_version, list(new.mentions)])
        comment_id = deps.keys.reserve(new.workspace_id, key, facts, comment_id)
    comment = Comment(
        comment_id,
        new.workspace_id,
        new.site_id,
        new.page_id,
        new.user_id,
        new.body,
        number,
        now,
        now,
        block_id,
        new.reply_to,
        mentions,
    )
    try:
        deps.comments.add(comment)
    except CommentExists:
        # The same request stored it earlier, or in parallel.
        return deps.comments.get(new.workspace_id, new.page_id, comment_id), True
    except StaleComment:
        raise NotFound from None
    return comment, False


def edit_comment(
    place: tuple[str, str, str], comment_id: str, user_id: str, body: str, *, deps: SiteDeps, now: datetime
) -> Comment:
    """Change one's own comment. place: workspace, site and page. Raises NotFound, Forbidden, Conflict."""

    def change(before: Comment) -> Comment:
        _require_author(before, user_id)
        if before.is_deleted:
            raise Conflict("This comment was deleted.")
        mentions = dict.fromkeys([*before.mentions, *_mentions(before.workspace_id, body, (), deps)])
        return replace(before, body=body, mentions=tuple(mentions))

    return _change(place, comment_id, change, deps, now)


def delete_comment(
    place: tuple[str, str, str], comment_id: str, user_id: str, *, deps: SiteDeps, now: datetime
) -> Comment:
    """Delete one's own comment. Its place in the thread stays, without its words. Raises NotFound, Forbidden."""

    def change(before: Comment) -> Comment:
        _require_author(before, user_id)
        return replace(before, body="", mentions=(), is_deleted=True)

    return _change(place, comment_id, change, deps, now)


def resolve_thread(
    place: tuple[str, str, str], comment_id: str, user_id: str, *, is_resolved: bool, deps: SiteDeps, now: datetime
) -> Comment:
    """Resolve a thread, or open it again, by its first comment. Doing it again changes nothing. Raises NotFound,
    ValidationFailed."""

    def change(before: Comment) -> Comment:
        if before.reply_to is not None:
            text = "is a reply: resolve the first comment of its thread"
            raise ValidationFailed([{"path": "comment_id", "message": text}])
        if (before.resolved_at is not None) == is_resolved:
            return before
        return replace(before, resolved_at=now if is_resolved else None, resolved_by=user_id if is_resolved else None)

    return _change(place, comment_id, change, deps, now)


def _change(place: tuple[str, str, str], comment_id: str, change: Change, deps: SiteDeps, now: datetime) -> Comment:
    workspace_id, site_id, page_id = place

    def attempt() -> Comment:
        before = deps.comments.get(workspace_id, page_id, comment_id)
        if before.site_id != site_id:
            raise NotFound
        after = change(before)
        if after == before:
            return before
        # The condition of the write compares these times.
        after = replace(after, updated_at=max(now, before.updated_at + timedelta(milliseconds=1)))
        deps.comments.replace(before, after)
        return after

    return retrying(attempt, on=StaleComment, busy=BUSY, tries_max=TRIES_MAX)


def _require_author(comment: Comment, user_id: str) -> None:
    if comment.user_id != user_id:
        raise Forbidden("Only its author may change or delete a comment.")


def _first_of_thread(new: NewComment, deps: SiteDeps) -> Comment:
    try:
        first = deps.comments.get(new.workspace_id, new.page_id, str(new.reply_to))
    except NotFound:
        raise ValidationFailed([{"path": "reply_to", "message": "is no comment of this page"}]) from None
    if first.reply_to is not None:
        raise ValidationFailed([{"path": "reply_to", "message": "is not the first comment of a thread"}])
    return first


def _check_block(new: NewComment, number: int, deps: SiteDeps, now: datetime) -> None:
    version = deps.pages.version(new.workspace_id, new.page_id, number, now)
    if version is None:
        raise ValidationFailed([{"path": "page_version", "message": "is no version of the page"}])
    if new.block_id not in {block.id for block in version.content.blocks}:
        raise ValidationFailed([{"path": "block_id", "message": "is no block of this version of the page"}])


def _mentions(workspace_id: str, body: str, named: tuple[str, ...], deps: SiteDeps) -> tuple[str, ...]:
    """The members who are told. Raises ValidationFailed for a person who is named and is no member; an id in the body
    that is no member's is only text."""
    wanted = tuple(dict.fromkeys([*named, *_MENTION.findall(body)]))
    if len(wanted) > MENTIONS_MAX:
        raise ValidationFailed([{"path": "mentions", "message": f"are more than {MENTIONS_MAX}"}])
    members = deps.members.members_among(workspace_id, wanted)
    fields = [
        {"path": f"mentions.{place}", "message": "is no member of the workspace"}
        for place, id in enumerate(named)
        if id not in members or not is_id(id, "usr")
    ]
    if fields:
        raise ValidationFailed(fields)
    return tuple(id for id in wanted if id in members)
