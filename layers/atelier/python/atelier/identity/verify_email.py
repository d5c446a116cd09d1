"""Verify an e-mail address: its owner has shown that the mailbox is theirs, or an operator says so."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import NotFound
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import User
from atelier.identity.ports import Accounts


def verify_email(email: str, *, accounts: Accounts, now: datetime) -> User:
    """The verified user. From now on the daily credits of the mailbox are this account's, unless another account has
    been verified for it before. Safe to repeat. `email` is in its normal form; raises NotFound."""
    known = accounts.credentials(email)
    if known is None:
        raise NotFound("There is no account with this e-mail.")
    return accounts.verify(known.user_id, known.mailbox or mailbox_digest(email), now)
