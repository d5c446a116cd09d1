"""What users do with their address and password, by links and codes in their mails, composed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from atelier.adapters.aws.dynamodb.identity.account_changes import DynamoAccountChanges
from atelier.adapters.aws.dynamodb.identity.external_logins import DynamoExternalLogins
from atelier.adapters.aws.dynamodb.identity.pending_links import DynamoPendingLinks
from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.identity import (
    change_email,
    change_password,
    forgot_password,
    reset_password,
    send_verification,
    undo_email_change,
    verify_mailbox,
)
from atelier.identity.mail_limits import MailLimits
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import User
from atelier.identity.oauth.model import LinkedLogin
from atelier.settings import CallerRateLimits, IdentityTable, MailSending, RequestsTable
from atelier.wiring import identity
from atelier.wiring.mails import link_key


def verify(token: str | None, code: str | None, access_token: str | None, origin: Origin, now: datetime) -> User:
    """Verify an e-mail address by the token of a link, or the caller's address by a code."""
    return verify_mailbox.verify(token, code, access_token, origin, mailbox_deps(), now)


def send_verification_again(caller: Caller, address: str, now: datetime) -> None:
    """Send the mail that verifies the caller's address again."""
    send_verification.send_verification(caller.user_id, address, mailbox_deps(), now)


def forgot(email: str, address: str, now: datetime) -> None:
    """Send a link that sets a new password, if the address has an account."""
    forgot_password.forgot_password(email, address, mailbox_deps(), now)


def reset(token: str, password: str, origin: Origin, now: datetime) -> Sequence[LinkedLogin]:
    """Set a new password by the token of a link; returns the external logins that stay."""
    return reset_password.reset_password(token, password, origin, mailbox_deps(), now)


def change_own_password(caller: Caller, current: str, new: str, origin: Origin, now: datetime) -> None:
    """Change the caller's password."""
    change_password.change_password(
        caller.user_id,
        caller.session_id,
        current,
        new,
        origin,
        limits=identity.sign_in_limits(),
        deps=mailbox_deps(),
        now=now,
    )


def change_own_email(caller: Caller, email: str, origin: Origin, now: datetime) -> None:
    """Send a link to the caller's new address."""
    change_email.change_email(caller.user_id, email, origin, mailbox_deps(), now)


def confirm_email(token: str | None, code: str | None, access_token: str | None, origin: Origin, now: datetime) -> User:
    """Move an account to its new address."""
    return change_email.confirm_email_change(token, code, access_token, origin, mailbox_deps(), now)


def undo_email(token: str, origin: Origin, now: datetime) -> User:
    """Give an account its old address back."""
    return undo_email_change.undo_email_change(token, origin, mailbox_deps(), now)


@cache
def mailbox_deps() -> MailboxDeps:
    """The dependencies of these use cases."""
    DynamoPendingLinks.bind(IdentityTable.read().name)
    DynamoRequestRates.bind(RequestsTable.read().name)
    identity.bind_wallets()
    return MailboxDeps(
        accounts=identity.accounts(),
        sessions=identity.sessions(),
        links=DynamoPendingLinks(),
        changes=DynamoAccountChanges(),
        passwords=identity.passwords(),
        key=link_key(),
        limits=MailLimits(DynamoRequestRates(), CallerRateLimits.read().mails_per_address),
        access_tokens=identity.access_tokens(),
        logins=DynamoExternalLogins().list,
        sends_mail=bool(MailSending.read().sender),
    )
