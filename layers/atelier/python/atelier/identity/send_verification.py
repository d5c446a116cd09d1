"""Send the mail that verifies an address again; its link and code replace the earlier ones."""

from __future__ import annotations

from datetime import datetime

from atelier.errors import Conflict, NotFound
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import User
from atelier.identity.pending_link import Purpose, new_link_mail


def send_verification(user_id: str, address: str, deps: MailboxDeps, now: datetime) -> None:
    """address: the caller's IP address. Raises RateLimited, and Conflict when the address is verified, or when this
    deployment sends no mail."""
    require_mail(deps)
    user = account_of(user_id, deps)
    if user.email_verified:
        raise Conflict("The e-mail address is verified.", reason="email_verified")
    deps.limits.count_mail(user.email, address, now)
    deps.links.replace(new_link_mail(Purpose.VERIFY_EMAIL, user.id, user.email, user.locale, now))


def require_mail(deps: MailboxDeps) -> None:
    """Raises Conflict where this deployment sends no mail."""
    if not deps.sends_mail:
        raise Conflict("This deployment sends no mail; its operator verifies addresses.", reason="no_mail")


def account_of(user_id: str, deps: MailboxDeps) -> User:
    """The user of a caller; raises NotFound when the account is gone."""
    user = deps.accounts.user(user_id)
    if user is None:
        raise NotFound("There is no such account.")
    return user
