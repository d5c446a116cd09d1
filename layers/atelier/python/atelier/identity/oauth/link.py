"""Link external logins to an account, list them, and unlink them.

A login whose e-mail address belongs to an account is linked only to who proves that account, too. An account whose own
address was never verified may have been made by somebody else, who waits for the owner of the address: so such an
account takes no other login than one that proves its address (docs/decisions/identity.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import Forbidden, NotFound
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import SignInResult, User, UserStatus
from atelier.identity.oauth.exchange import ExternalSignInDeps, Holder, login_event, proceed, taken_proof
from atelier.identity.oauth.model import ExternalLogin, LinkedLogin, LoginProof, other_browser, ticket_digest
from atelier.identity.pending_link import PendingLink
from atelier.identity.sign_in import audited_refusal

WRONG_PASSWORD = "The password is wrong."  # nosec B105 - a message


@dataclass(frozen=True, slots=True)
class Presented:
    """What the caller presents to link a login: a code, a ticket, or the token of a mail's link."""

    code: str | None = field(default=None, repr=False)
    ticket: str | None = field(default=None, repr=False)
    mail_token: str | None = field(default=None, repr=False)


def link_by_password(
    ticket: str, password: str, holder: Holder, *, deps: ExternalSignInDeps, now: datetime
) -> SignInResult:
    """Link the login of a ticket to the account that has its e-mail address, and sign in. An account with a second
    factor is signed in first, and linked by `link_to_account` then. Raises RateLimited (before the password is hashed),
    Unauthenticated for a wrong password or an ended ticket, LoginTaken and ProviderLinked."""
    proof = proof_of_ticket(ticket, deps, now)
    login, origin = proof.login, holder.origin
    email = login.verified_email()
    deps.limits.count_attempt(email, origin.address, now)
    credentials = deps.accounts.credentials(email)
    is_right = deps.passwords.verify(credentials.password_hash if credentials else None, password)
    if credentials is None or not is_right or credentials.user_id != proof.user_id:
        raise audited_refusal(proof.user_id, login.provider, origin, WRONG_PASSWORD, deps=deps.sign_in, now=now)
    user, _ = deps.accounts.user_with_workspace(credentials.user_id, credentials.workspace_id)
    if user.status is not UserStatus.ACTIVE:
        raise audited_refusal(user.id, login.provider, origin, WRONG_PASSWORD, deps=deps.sign_in, now=now)
    if not user.second_factors and user.deletion_due_at is None:
        if not deps.records.take_proof(proof):
            raise other_browser()
        link_login(user, login, origin.of_user(user.id), deps, now)
    return proceed(user.id, user.workspace_id, login, holder, deps, now)


def link_to_account(
    presented: Presented, holder: Holder, user_id: str, workspace_id: str, *, deps: ExternalSignInDeps, now: datetime
) -> LinkedLogin:
    """Link a login to the account of the caller: that of a code, which they began, or that of a ticket for their
    account. Linking it again changes nothing. Raises Unauthenticated, Forbidden for an account whose address is not
    verified, LoginTaken and ProviderLinked."""
    if presented.ticket is None:
        proof = taken_proof(presented.code or "", holder, user_id, records=deps.records, now=now)
    else:
        proof = proof_of_ticket(presented.ticket, deps, now)
        if proof.user_id != user_id or not deps.records.take_proof(proof):
            raise other_browser()
    user, _ = deps.accounts.user_with_workspace(user_id, workspace_id)
    return link_login(user, proof.login, holder.origin, deps, now)


def list_logins(user_id: str, *, deps: ExternalSignInDeps) -> Sequence[LinkedLogin]:
    """The external logins of an account, by provider."""
    return sorted(deps.logins.list(user_id), key=lambda link: link.provider)


def unlink(user_id: str, provider: str, origin: Origin, *, deps: ExternalSignInDeps, now: datetime) -> None:
    """Unlink the login of a provider from an account. Raises NotFound and LastWayIn."""
    linked = [link for link in deps.logins.list(user_id) if link.provider == provider]
    if not linked:
        raise NotFound("No account of this provider is linked.")
    event = login_event(user_id, "identity.unlinked", provider, linked[0].label, origin, now)
    deps.logins.unlink(user_id, provider, [event])


def link_login(
    user: User,
    login: ExternalLogin,
    origin: Origin,
    deps: ExternalSignInDeps,
    now: datetime,
    *,
    pending: PendingLink | None = None,
) -> LinkedLogin:
    """Link a login to an account, and verify the account's address if the login proves it. pending: see
    ExternalLogins. Raises Forbidden, LoginTaken, ProviderLinked and LinkRefused."""
    if not user.email_verified:
        if not login.email_verified or login.email != user.email:
            raise Forbidden("Verify your e-mail address first.", reason="email_not_verified")
        verified = audit_event(user.id, "email.verified", origin, now, email=user.email, provider=login.provider)
        deps.accounts.verify(user.id, mailbox_digest(user.email), now, events=(verified,))
    event = login_event(user.id, "identity.linked", login.provider, login.label, origin, now)
    return deps.logins.link(user, login, now, [event], pending=pending)


def proof_of_ticket(ticket: str, deps: ExternalSignInDeps, now: datetime) -> LoginProof:
    """What a ticket proves. Raises Unauthenticated."""
    proof = deps.records.proof(ticket_digest(ticket))
    if proof is None or now >= proof.expires_at:
        raise other_browser()
    return proof
