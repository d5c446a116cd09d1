"""What users do by links and codes in their mails, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.identity.pending_links import DynamoPendingLinks
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.identity import verify_mailbox
from atelier.identity.mail_limits import MailLimits
from atelier.identity.model import User
from atelier.identity.verify_mailbox import MailboxDeps
from atelier.settings import IdentityTable, RequestsTable
from atelier.wiring import identity
from atelier.wiring.mails import link_key


def verify(token: str | None, code: str | None, access_token: str | None, address: str, now: datetime) -> User:
    """Verify an e-mail address by the token of a link, or the caller's address by a code."""
    return verify_mailbox.verify(token, code, access_token, address, mailbox_deps(), now)


@cache
def mailbox_deps() -> MailboxDeps:
    """The dependencies of the use cases that go by links and codes."""
    DynamoPendingLinks.bind(IdentityTable.read().name)
    DynamoRequestRates.bind(RequestsTable.read().name)
    identity.bind_wallets()
    return MailboxDeps(
        accounts=identity.accounts(),
        sessions=identity.sessions(),
        links=DynamoPendingLinks(),
        key=link_key(),
        limits=MailLimits(DynamoRequestRates()),
        access_tokens=identity.access_tokens(),
    )
