"""Sign up: create a user with a personal workspace, a wallet and a first session, all or nothing."""

from __future__ import annotations

import hashlib
from dataclasses import field
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import IdempotencyMismatch
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import (
    Credentials,
    Device,
    EmailTaken,
    SignedIn,
    new_user,
    open_session,
)
from atelier.identity.ports import Accounts, Passwords, Sessions
from atelier.identity.rate_limit import SignInLimits


@dataclass(frozen=True, slots=True)
class SignUp:
    """A request to sign up. `email` and `password` are in their normal form (see credentials.py)."""

    email: str
    password: str = field(repr=False)
    name: str
    device: Device
    idempotency_key: str | None = None


def sign_up(
    command: SignUp,
    *,
    accounts: Accounts,
    sessions: Sessions,
    passwords: Passwords,
    limits: SignInLimits,
    access_tokens: AccessTokens,
    now: datetime,
) -> SignedIn:
    """Create an account and open its first session. Raises RateLimited, EmailTaken, or IdempotencyMismatch.

    A sign-up repeated with its idempotency key opens one more session of the same account. The tokens of the first
    response cannot be returned again, because they were never stored. Issuing a new pair is safe, because the key *and*
    the password must match.
    """
    limits.count_attempt(command.email, command.device.address, now)
    mailbox = mailbox_digest(command.email)
    limits.count_sign_up(mailbox, command.device.address, now)

    key = hashlib.sha256(command.idempotency_key.encode()).hexdigest() if command.idempotency_key else None
    user, workspace = new_user(command.email, command.name, now)
    password_hash = passwords.hash(command.password)
    credentials = Credentials(command.email, user.id, workspace.id, password_hash, key, mailbox)
    session, token = open_session(user.id, workspace.id, command.device, now)

    try:
        accounts.create(credentials, user, workspace, session)
    except EmailTaken:
        existing = accounts.credentials(command.email)
        if existing is None or key is None or existing.signup_key != key:
            raise
    else:
        return SignedIn(user, workspace, access_tokens.issue(session, token, now))

    user, workspace = accounts.user_with_workspace(existing.user_id, existing.workspace_id)
    if not passwords.verify(existing.password_hash, command.password) or user.name != command.name:
        raise IdempotencyMismatch("This Idempotency-Key was used for another sign-up.")
    session, token = open_session(user.id, workspace.id, command.device, now)
    sessions.add(session)
    return SignedIn(user, workspace, access_tokens.issue(session, token, now), replayed=True)
