"""Verify an e-mail address by the link or the code that was sent to it."""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.errors import Unauthenticated
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.mailbox_deps import MailboxDeps
from atelier.identity.model import User
from atelier.identity.pending_link import PendingLink, Purpose, open_by_code, open_by_token


def verify(
    token: str | None, code: str | None, access_token: str | None, origin: Origin, deps: MailboxDeps, now: datetime
) -> User:
    """Verify an address by a token, or, where there is none, by a code. Raises what these two raise."""
    if token is not None:
        return verify_by_token(token, origin, deps, now)
    return verify_by_code(code or "", access_token, origin, deps, now)


def verify_by_token(token: str, origin: Origin, deps: MailboxDeps, now: datetime) -> User:
    """Verify the address that the link was sent to; nobody has to be signed in. Raises RateLimited or
    LinkRefused."""
    deps.limits.count_link(origin.address, now)
    pending = open_by_token(token, Purpose.VERIFY_EMAIL, links=deps.links, key=deps.key, now=now)
    return _verify(pending, origin, deps, now)


def verify_by_code(code: str, access_token: str | None, origin: Origin, deps: MailboxDeps, now: datetime) -> User:
    """Verify the address of the account that is signed in. Raises Unauthenticated, RateLimited or LinkRefused."""
    deps.limits.count_link(origin.address, now)
    user_id = signed_in_user(access_token, deps, now)
    pending = open_by_code(user_id, code, Purpose.VERIFY_EMAIL, links=deps.links, key=deps.key, now=now)
    return _verify(pending, origin, deps, now)


def signed_in_user(access_token: str | None, deps: MailboxDeps, now: datetime) -> str:
    """The id of the user of an access token whose session is live; raises Unauthenticated."""
    if access_token is None:
        raise Unauthenticated("This call needs an access token.")
    claims = deps.access_tokens.verify(access_token, now)
    session = deps.sessions.session(claims.user_id, claims.session_id)
    if session is None or not session.is_live(now):
        raise Unauthenticated("The session has ended. Log in again.")
    return claims.user_id


def _verify(pending: PendingLink, origin: Origin, deps: MailboxDeps, now: datetime) -> User:
    user_id = pending.link.owner_id
    verified = audit_event(user_id, "email.verified", origin.of_user(user_id), now, email=pending.email)
    return deps.accounts.verify(user_id, mailbox_digest(pending.email), now, link=pending, events=(verified,))
