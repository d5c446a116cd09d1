"""The outbox of mails on DynamoDB, and the addresses to which nothing may be sent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Transaction, conditional
from atelier.adapters.aws.dynamodb.identity.items import IdentityItem, update_if
from atelier.clock import parse_rfc3339, rfc3339
from atelier.mails.feedback import SuppressionReason
from atelier.mails.links import Link
from atelier.mails.mail import MailKind, MailRequest
from atelier.mails.ports import MailOutcome, QueuedMail
from atelier.mails.send import MailAddress

# A mail is deleted this long after it was requested; whoever asks what became of it asks within days.
MAIL_RETENTION = timedelta(days=14)
PREFIX = "mail#"
SUPPRESSION = "suppression"


class MailItem(IdentityItem, discriminator="mail"):
    mail_kind = UnicodeAttribute()
    to = UnicodeAttribute()
    locale = UnicodeAttribute()
    facts = JSONAttribute()
    link_purpose = UnicodeAttribute(null=True)
    link_id = UnicodeAttribute(null=True)
    requested_at = UnicodeAttribute()
    outcome = UnicodeAttribute(null=True)
    done_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class SuppressionItem(IdentityItem, discriminator="suppression"):
    reason = UnicodeAttribute()
    at = UnicodeAttribute()


def save_mail(write: Transaction, mail: MailRequest) -> None:
    """Write a mail into the outbox within the transaction of what it reports. The table's stream sends it."""
    write.save(_mail_item(mail))


def mail_addresses(records: Sequence[Mapping[str, Any]]) -> Iterator[MailAddress]:
    """The mails that were written in a batch of the table's stream."""
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] == "INSERT" and keys["sk"]["S"].startswith(PREFIX):
            yield MailAddress(keys["pk"]["S"], keys["sk"]["S"].removeprefix(PREFIX))


class DynamoMails:
    """Mails, MailQueue and Suppressions on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def request(self, mail: MailRequest) -> None:
        conditional(lambda: _mail_item(mail).save(condition=MailItem.pk.does_not_exist()))

    def find(self, owner_id: str, mail_id: str) -> QueuedMail | None:
        try:
            item = MailItem.get(owner_id, PREFIX + mail_id, consistent_read=True)
        except DoesNotExist:
            return None
        outcome = MailOutcome(item.outcome) if item.outcome else None
        return QueuedMail(_decode(item), outcome, _is_suppressed(item.to))

    def record(self, mail: MailRequest, outcome: MailOutcome, at: datetime) -> None:
        update_if(
            MailItem(mail.owner_id, PREFIX + mail.id),
            [MailItem.outcome.set(outcome.value), MailItem.done_at.set(rfc3339(at))],
            MailItem.pk.exists(),
        )

    def suppress(self, address: str, reason: SuppressionReason, at: datetime) -> None:
        item = SuppressionItem(suppression_pk(address), SUPPRESSION, reason=reason.value, at=rfc3339(at))
        conditional(lambda: item.save(condition=SuppressionItem.pk.does_not_exist()))


def _mail_item(mail: MailRequest) -> MailItem:
    return MailItem(
        mail.owner_id,
        PREFIX + mail.id,
        mail_kind=mail.kind.value,
        to=mail.to,
        locale=mail.locale,
        facts=dict(mail.facts),
        link_purpose=str(mail.link.purpose) if mail.link else None,
        link_id=mail.link.id if mail.link else None,
        requested_at=rfc3339(mail.requested_at),
        expires_at_seconds=int((mail.requested_at + MAIL_RETENTION).timestamp()),
    )


def _decode(item: MailItem) -> MailRequest:
    has_link = item.link_purpose and item.link_id
    return MailRequest(
        id=item.sk.removeprefix(PREFIX),
        kind=MailKind(item.mail_kind),
        owner_id=item.pk,
        to=item.to,
        locale=item.locale,
        facts=item.facts,
        requested_at=parse_rfc3339(item.requested_at),
        link=Link(item.link_purpose, item.pk, item.link_id) if has_link else None,
    )


def _is_suppressed(address: str) -> bool:
    try:
        SuppressionItem.get(suppression_pk(address), SUPPRESSION)
    except DoesNotExist:
        return False
    return True


def suppression_pk(address: str) -> str:
    # A digest only: the address may belong to a person who has no account here, or none any more.
    return f"address#{hashlib.sha256(address.encode()).hexdigest()}"
