"""Mark an e-mail address as verified: its owner has proved control of the mailbox, or an operator confirms it."""

from __future__ import annotations

from datetime import datetime

from atelier.clock import rfc3339
from atelier.errors import NotFound
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import User
from atelier.identity.ports import Accounts


def verify_email(email: str, *, accounts: Accounts, now: datetime) -> User:
    """Verify the account of an e-mail address and return its user. From then on this account gets the daily credits of
    the mailbox, unless another account of the mailbox was verified before. Idempotent. `email` is in its normal form.
    Raises NotFound."""
    credentials = accounts.credentials(email)
    if credentials is None:
        raise NotFound("There is no account with this e-mail.")
    return accounts.verify(credentials.user_id, credentials.mailbox or mailbox_digest(email), now)


def verification_report(user: User) -> dict[str, str | None]:
    """The report to the operator: {user_id, email_verified_at}, the time in RFC 3339."""
    verified_at = rfc3339(user.email_verified_at) if user.email_verified_at else None
    return {"user_id": user.id, "email_verified_at": verified_at}
