"""The records of links that were sent by mail, on DynamoDB."""

from __future__ import annotations

from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Transaction, write_transaction
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem, update_if
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.clock import parse_rfc3339, rfc3339
from atelier.identity.pending_link import CODE_TRIES_MAX, LinkMail, PendingLink
from atelier.mails.links import Link

TRIES_MAX = 5
# A used or expired link is still known for this long.
RETENTION = timedelta(days=1)


class PendingLinkItem(IdentityItem, discriminator="pending-link"):
    link_id = UnicodeAttribute()
    email = UnicodeAttribute()
    account_email = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    code_tries = NumberAttribute()
    used_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class DynamoPendingLinks:
    """PendingLinks on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def pending(self, user_id: str, purpose: str) -> PendingLink | None:
        try:
            item = PendingLinkItem.get(user_id, _sk(purpose), consistent_read=True)
        except DoesNotExist:
            return None
        return PendingLink(
            link=Link(purpose, user_id, item.link_id),
            email=item.email,
            account_email=item.account_email,
            expires_at=parse_rfc3339(item.ends_at),
            code_tries=int(item.code_tries),
            used_at=parse_rfc3339(item.used_at) if item.used_at else None,
        )

    def count_code_try(self, link: Link) -> bool:
        return update_if(
            PendingLinkItem(link.owner_id, _sk(link.purpose)),
            [PendingLinkItem.code_tries.add(1)],
            (PendingLinkItem.link_id == link.id)
            & (PendingLinkItem.code_tries < CODE_TRIES_MAX)
            & PendingLinkItem.used_at.does_not_exist(),
        )

    def replace(self, link_mail: LinkMail) -> None:
        def write_both(write: Transaction) -> None:
            save_link_mail(write, link_mail)

        write_transaction(write_both, busy="The account is busy just now. Try again.", tries_max=TRIES_MAX)


def save_link_mail(write: Transaction, link_mail: LinkMail) -> None:
    """Write a link and its mail within another store's transaction. An earlier link of the purpose is replaced."""
    pending = link_mail.pending
    write.save(
        PendingLinkItem(
            pending.link.owner_id,
            _sk(pending.link.purpose),
            link_id=pending.link.id,
            email=pending.email,
            account_email=pending.account_email,
            ends_at=rfc3339(pending.expires_at),
            code_tries=0,
            expires_at_seconds=int((pending.expires_at + RETENTION).timestamp()),
        )
    )
    save_mail(write, link_mail.mail)


def use_link(write: Transaction, pending: PendingLink, at: datetime, *, part: str) -> None:
    """Use up a link within the transaction of what it does. The part fails when it was used, replaced or expired."""
    write.update(
        PendingLinkItem(pending.link.owner_id, _sk(pending.link.purpose)),
        [PendingLinkItem.used_at.set(rfc3339(at))],
        (PendingLinkItem.link_id == pending.link.id)
        & PendingLinkItem.used_at.does_not_exist()
        & (PendingLinkItem.ends_at > rfc3339(at)),
        part=part,
    )


def end_links(write: Transaction, user_id: str, *purposes: str) -> None:
    """Let the pending links of these purposes do nothing any more, within the transaction of what ends them."""
    for purpose in purposes:
        write.delete(PendingLinkItem(user_id, _sk(purpose)))


def _sk(purpose: str) -> str:
    return f"link#{purpose}"
