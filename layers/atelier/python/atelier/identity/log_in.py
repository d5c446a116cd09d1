"""Log in with e-mail and password. Neither the response nor its duration tells a stranger whether an account exists."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from atelier.audit_log.model import Origin
from atelier.dataclass import dataclass
from atelier.identity.device import device_digest
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import PASSWORD, Device, SignInResult
from atelier.identity.ports import Accounts, Passwords
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.sign_in import NOBODY, SignInDeps, audited_refusal, sign_in

WRONG_CREDENTIALS = "The e-mail or the password is wrong."


@dataclass(frozen=True, slots=True)
class LogIn:
    """A request to log in. `email` and `password` are in their normal form (see credentials.py)."""

    email: str
    password: str = field(repr=False)
    device: Device
    origin: Origin = Origin()


def log_in(
    command: LogIn,
    *,
    accounts: Accounts,
    passwords: Passwords,
    limits: SignInLimits,
    deps: SignInDeps,
    now: datetime,
) -> SignInResult:
    """Prove a password, and go on to sign in. Raises RateLimited (before the password is hashed) or Unauthenticated.

    An unknown address, a wrong password, an account without a password and a suspended one take the same reads, one
    hash and one write."""
    limits.count_attempt(command.email, command.device.address, now)
    credentials = accounts.credentials(command.email)
    known_hash = credentials.password_hash if credentials else None
    is_right = passwords.verify(known_hash, command.password)
    if not is_right or credentials is None or known_hash is None:
        who = (credentials.user_id, credentials.workspace_id) if credentials else NOBODY
        # Read and not used: a right password is followed by this read.
        deps.sign_ins.sign_in_account(*who, device_digest(command.device))
        user_id = credentials.user_id if credentials else None
        raise audited_refusal(user_id, PASSWORD, command.origin, WRONG_CREDENTIALS, deps=deps, now=now)

    result = sign_in(
        credentials.user_id,
        credentials.workspace_id,
        PASSWORD,
        command.device,
        command.origin,
        refusal=WRONG_CREDENTIALS,
        deps=deps,
        now=now,
    )
    if passwords.needs_rehash(known_hash):
        accounts.replace_password_hash(credentials, passwords.hash(command.password))
    if credentials.mailbox is None:
        accounts.claim_mailbox(credentials, mailbox_digest(credentials.email))
    return result
