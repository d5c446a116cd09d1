"""Log in with e-mail and password. Neither the response nor its duration tells a stranger whether an account exists."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import Device, SignedIn, UserStatus, open_session
from atelier.identity.ports import Accounts, Passwords, Sessions
from atelier.identity.rate_limit import SignInLimits


@dataclass(frozen=True, slots=True)
class LogIn:
    """A request to log in. `email` and `password` are in their normal form (see credentials.py)."""

    email: str
    password: str = field(repr=False)
    device: Device


def log_in(
    command: LogIn,
    *,
    accounts: Accounts,
    sessions: Sessions,
    passwords: Passwords,
    limits: SignInLimits,
    access_tokens: AccessTokens,
    now: datetime,
) -> SignedIn:
    """Open a session. Raises RateLimited (before the password is hashed) or Unauthenticated."""
    limits.count_attempt(command.email, command.device.address, now)
    credentials = accounts.credentials(command.email)
    if (
        not passwords.verify(credentials.password_hash if credentials else None, command.password)
        or credentials is None
    ):
        raise _wrong_credentials()
    user, workspace = accounts.user_with_workspace(credentials.user_id, credentials.workspace_id)
    if user.status is not UserStatus.ACTIVE:
        raise _wrong_credentials()

    if passwords.needs_rehash(credentials.password_hash):
        accounts.replace_password_hash(credentials, passwords.hash(command.password))
    if credentials.mailbox is None:
        accounts.claim_mailbox(credentials, mailbox_digest(credentials.email))

    session, token = open_session(user.id, workspace.id, command.device, now)
    sessions.add(session)
    accounts.record_sign_in(user.id, now)
    return SignedIn(user, workspace, access_tokens.issue(session, token, now))


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("The e-mail or the password is wrong.")
