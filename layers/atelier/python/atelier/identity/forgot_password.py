"""Send a link that sets a new password. The response, its duration and what is read and written for it do not tell
whether the address has an account."""

from __future__ import annotations

import hashlib
from datetime import datetime

from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import UserStatus
from atelier.identity.pending_link import Purpose, new_link_mail
from atelier.identity.sign_in import NOBODY


def forgot_password(email: str, address: str, deps: MailboxDeps, now: datetime) -> None:
    """email: in its normal form. address: the caller's IP address. Raises RateLimited."""
    deps.limits.count_mail(email, address, now)
    credentials = deps.accounts.credentials(email)
    user = deps.accounts.user(credentials.user_id if credentials else NOBODY[0])
    if user is None or user.status is not UserStatus.ACTIVE or user.email != email:
        deps.changes.write_decoy(hashlib.sha256(email.encode()).hexdigest(), now)
    else:
        deps.links.replace(new_link_mail(Purpose.RESET_PASSWORD, user.id, email, user.locale, now))
