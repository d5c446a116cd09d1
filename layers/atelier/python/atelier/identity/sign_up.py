"""Sign up: create a user with a personal workspace, a wallet and a first session, all or nothing."""

from __future__ import annotations

import hashlib
from dataclasses import field, replace
from datetime import datetime

from atelier.audit_log.model import Origin
from atelier.dataclass import dataclass
from atelier.errors import IdempotencyMismatch
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import PASSWORD, Credentials, Device, EmailTaken, SignedIn, SignInResult, new_user
from atelier.identity.pending_link import Purpose, new_link_mail
from atelier.identity.ports import Accounts, Passwords
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.sign_in import SignInDeps, open_for, sign_in


@dataclass(frozen=True, slots=True)
class SignUp:
    """A request to sign up. `email` and `password` are in their normal form (see credentials.py)."""

    email: str
    password: str = field(repr=False)
    name: str
    device: Device
    idempotency_key: str | None = None
    origin: Origin = Origin()
    # Of the reader of the mail that verifies the address: a language tag.
    locale: str | None = None


def sign_up(
    command: SignUp,
    *,
    accounts: Accounts,
    passwords: Passwords,
    limits: SignInLimits,
    deps: SignInDeps,
    now: datetime,
) -> SignInResult:
    """Create an account and open its first session. Raises RateLimited, EmailTaken, or IdempotencyMismatch.

    A sign-up repeated with its idempotency key opens one more session of the same account. The tokens of the first
    response cannot be returned again, because they were never stored. Issuing a new pair is safe, because the key *and*
    the password must match; an account that has a second factor by then asks for it.
    """
    limits.count_attempt(command.email, command.device.address, now)
    mailbox = mailbox_digest(command.email)
    limits.count_sign_up(mailbox, command.device.address, now)

    key = hashlib.sha256(command.idempotency_key.encode()).hexdigest() if command.idempotency_key else None
    user, workspace = new_user(command.email, command.name, now, command.locale)
    password_hash = passwords.hash(command.password)
    credentials = Credentials(command.email, user.id, workspace.id, password_hash, key, mailbox)
    opening, token = open_for(user, workspace, PASSWORD, command.device, command.origin, now, known=True)
    verification = new_link_mail(Purpose.VERIFY_EMAIL, user.id, user.email, command.locale, now)

    try:
        accounts.create(credentials, user, workspace, opening, verification=verification)
    except EmailTaken:
        existing = accounts.credentials(command.email)
        if existing is None or key is None or existing.signup_key != key:
            raise
    else:
        return SignedIn(user, workspace, deps.access_tokens.issue(opening.session, token, now))

    user, workspace = accounts.user_with_workspace(existing.user_id, existing.workspace_id)
    if not passwords.verify(existing.password_hash, command.password) or user.name != command.name:
        raise IdempotencyMismatch("This Idempotency-Key was used for another sign-up.")
    result = sign_in(user.id, workspace.id, PASSWORD, command.device, command.origin, deps=deps, now=now)
    return replace(result, replayed=True) if isinstance(result, SignedIn) else result
