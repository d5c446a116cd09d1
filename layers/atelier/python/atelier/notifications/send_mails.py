"""Send the mails about notifications that are due: those of one person together, in one mail.

Writing the mail's request and deleting what it is about is one transaction, so each notification is in one mail,
however often and wherever this runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import Protocol

from atelier.clock import TimeLeft
from atelier.dataclass import dataclass
from atelier.mails.links import Link
from atelier.mails.mail import Fact, MailKind, MailRequest, mail_request
from atelier.notifications.kinds import is_on
from atelier.notifications.model import NO_PREFERENCES, Channel, Notification, Recipient
from atelier.notifications.ports import NotificationStore, People
from atelier.telemetry import logger

PURPOSE = "unsubscribe"
PAGE_SIZE = 80
# A mail shows this many; what is more is counted in it.
SHOWN_MAX = 20
TIME_MARGIN_MILLISECONDS = 10_000


@dataclass(frozen=True, slots=True)
class DueMail:
    """A mail about one notification that is due. key: its place among those that are due."""

    user_id: str
    notification_id: str
    key: str


class DueMails(Protocol):
    """The mails that are due."""

    @property
    def shards(self) -> int:
        """In how many parts they lie."""
        ...

    def due(self, shard: int, now: datetime, after: str | None, limit: int) -> Sequence[DueMail]:
        """The first ones of a shard that are due now, after a key, in the order of time."""
        ...

    def settle(self, user_id: str, due: Sequence[DueMail], mail: MailRequest | None) -> bool:
        """In one transaction delete these and request the mail about them; None = none is wanted. False, and no change,
        when one of them is there no more."""
        ...

    def notifications(self, due: Sequence[DueMail]) -> Sequence[Notification]:
        """The notifications of these, those that are left."""
        ...


@dataclass(frozen=True, slots=True)
class SendMailsDeps:
    """Dependencies. public_url: where the links lead."""

    mails: DueMails
    store: NotificationStore
    people: People
    public_url: str


def send_due_mails(deps: SendMailsDeps, now: datetime, context: TimeLeft | None) -> int:
    """Request the mails that are due, as many as there is time for; returns how many."""
    count = 0
    for shard in range(deps.mails.shards):
        after: str | None = None
        while due := deps.mails.due(shard, now, after, PAGE_SIZE):
            if context and context.get_remaining_time_in_millis() < TIME_MARGIN_MILLISECONDS:
                return count
            for user_id, theirs in groupby(sorted(due, key=lambda each: each.user_id), lambda each: each.user_id):
                count += _try_to_send(user_id, list(theirs), deps, now)
            after = due[-1].key
    return count


def _try_to_send(user_id: str, due: Sequence[DueMail], deps: SendMailsDeps, now: datetime) -> bool:
    """A mail that fails keeps no other one; the next run tries it again."""
    try:
        return _send(user_id, due, deps, now)
    except Exception:
        logger.exception("mail of notifications failed", user_id=user_id)
        return False


def _send(user_id: str, due: Sequence[DueMail], deps: SendMailsDeps, now: datetime) -> bool:
    recipient = deps.people.recipients([user_id]).get(user_id)
    mail = _mail(recipient, due, deps, now) if recipient and recipient.email and recipient.is_active else None
    is_settled = deps.mails.settle(user_id, due, mail)
    logger.info("mail of notifications", user_id=user_id, due=len(due), is_wanted=mail is not None, is_new=is_settled)
    return is_settled and mail is not None


def _mail(recipient: Recipient, due: Sequence[DueMail], deps: SendMailsDeps, now: datetime) -> MailRequest | None:
    """The mail, without what was read meanwhile, or is not wanted by mail any more."""
    chosen = deps.store.preferences([recipient.user_id]).get(recipient.user_id, NO_PREFERENCES)
    wanted = [
        each
        for each in deps.mails.notifications(due)
        if each.read_at is None and is_on(chosen, each.kind, Channel.EMAIL)
    ]
    if not wanted:
        return None
    items: Fact = [_item(each, deps.public_url) for each in wanted[:SHOWN_MAX]]
    return mail_request(
        MailKind.NOTIFICATIONS,
        recipient.user_id,
        str(recipient.email),
        recipient.locale,
        now,
        link=unsubscribe_link(recipient.user_id),
        items=items,
        more=len(wanted) - len(items),
    )


def _item(each: Notification, public_url: str) -> dict[str, str]:
    if each.action is None:
        return {"title": each.title, "body": each.body, "label": "", "url": ""}
    url = public_url + each.action.url if each.action.url.startswith("/") else each.action.url
    return {"title": each.title, "body": each.body, "label": each.action.label, "url": url}


def unsubscribe_link(user_id: str) -> Link:
    """The link by which a person ends the mails about notifications. It is always the same, and works for ever."""
    return Link(PURPOSE, user_id, f"lnk_{user_id[4:]}")
