"""Exchange the code of a callback for a session: of the account that the login is linked to, of a new account, or, once
the person has proved it, of the account that has the login's e-mail address."""

from __future__ import annotations

from dataclasses import field, replace
from datetime import datetime

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.identity.mailbox import mailbox_digest
from atelier.identity.model import Credentials, Device, EmailTaken, SignInResult, new_user
from atelier.identity.oauth.model import (
    TICKET_LIFETIME,
    ExternalLogin,
    LinkedLogin,
    LoginProof,
    LoginTaken,
    new_secret,
    other_browser,
    secret_digest,
    ticket_digest,
)
from atelier.identity.oauth.ports import ExternalLogins, OAuthRecords
from atelier.identity.ports import Accounts, Passwords
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.sign_in import SignInDeps, sign_in
from atelier.retrying import retrying

TRIES_MAX = 3


@dataclass(frozen=True, slots=True)
class ExternalSignInDeps:
    """What a sign-in with an external login needs. sends_mail: whether this deployment sends mails."""

    records: OAuthRecords
    logins: ExternalLogins
    accounts: Accounts
    passwords: Passwords
    limits: SignInLimits
    sign_in: SignInDeps
    sends_mail: bool


@dataclass(frozen=True, slots=True)
class Holder:
    """Who presents a code or a ticket: the browser's secret (its cookie), the frontend's verifier, and where the
    request came from."""

    browser_secret: str | None = field(repr=False)
    verifier: str | None = field(repr=False)
    origin: Origin

    @property
    def device(self) -> Device:
        """The client, as a session stores it."""
        return Device(self.origin.user_agent, self.origin.address)


@dataclass(frozen=True, slots=True)
class LinkRequired:
    """There is an account with the login's e-mail address, and it is not linked yet: whoever holds the ticket may link
    it by the account's password, or, where mails are sent, by a link in one."""

    ticket: str = field(repr=False)
    provider: str
    email: str
    has_password: bool
    by_mail: bool


def exchange_code(code: str, holder: Holder, *, deps: ExternalSignInDeps, now: datetime) -> SignInResult | LinkRequired:
    """Open a session, or say what has to be proved first. Raises Unauthenticated for a code that is expired, was used,
    or belongs to another browser; EmailNotVerified; RateLimited; and what a sign-in raises."""
    proof = taken_proof(code, holder, None, records=deps.records, now=now)

    def attempt() -> SignInResult | LinkRequired:
        return _enter(proof, holder, deps, now)

    # A parallel request may create the account, or link the login, between the reads and the write.
    return retrying(
        attempt, on=(EmailTaken, LoginTaken), busy="The account is busy just now. Try again.", tries_max=TRIES_MAX
    )


def _enter(proof: LoginProof, holder: Holder, deps: ExternalSignInDeps, now: datetime) -> SignInResult | LinkRequired:
    login = proof.login
    linked = deps.logins.find(login)
    if linked is not None:
        return _enter_linked(linked, login, holder, deps, now)

    email = login.verified_email()
    credentials = deps.accounts.credentials(email)
    if credentials is None:
        return _enter_new(email, login, holder, deps, now)

    # A parallel sign-in may have created this account, with the login, after the login was looked for.
    linked = deps.logins.find(login)
    if linked is not None:
        return _enter_linked(linked, login, holder, deps, now)
    ticket = new_secret()
    deps.records.add_proof(
        LoginProof(ticket_digest(ticket), login, proof.binding, now + TICKET_LIFETIME, credentials.user_id)
    )
    return LinkRequired(ticket, login.provider, email, credentials.password_hash is not None, deps.sends_mail)


def _enter_linked(
    linked: LinkedLogin, login: ExternalLogin, holder: Holder, deps: ExternalSignInDeps, now: datetime
) -> SignInResult:
    result = proceed(linked.user_id, linked.workspace_id, login, holder, deps, now)
    deps.logins.record_use(linked, now)
    return result


def _enter_new(
    email: str, login: ExternalLogin, holder: Holder, deps: ExternalSignInDeps, now: datetime
) -> SignInResult:
    mailbox = mailbox_digest(email)
    deps.limits.count_sign_up(mailbox, holder.origin.address, now)
    user, workspace = new_user(email, login.name, now)
    user = replace(user, email_verified=True, email_verified_at=now)
    account = Credentials(email, user.id, workspace.id, None, None, mailbox)
    event = login_event(user.id, "identity.linked", login.provider, login.label, holder.origin.of_user(user.id), now)
    deps.logins.create_account(account, user, workspace, login, now, [event])
    return proceed(user.id, workspace.id, login, holder, deps, now)


def proceed(
    user_id: str, workspace_id: str, login: ExternalLogin, holder: Holder, deps: ExternalSignInDeps, now: datetime
) -> SignInResult:
    """Go on to sign in a user whom the login has identified."""
    way = login.provider
    return sign_in(user_id, workspace_id, way, holder.device, holder.origin, deps=deps.sign_in, now=now)


def taken_proof(code: str, holder: Holder, user_id: str | None, *, records: OAuthRecords, now: datetime) -> LoginProof:
    """The login that a code proves; the code is used up. user_id: who links the login, None = somebody signs in. Raises
    Unauthenticated."""
    proof = records.proof(secret_digest(code))
    if proof is None or now >= proof.expires_at or proof.user_id != user_id:
        raise other_browser()
    proof.binding.require(holder.browser_secret, holder.verifier)
    if not records.take_proof(proof):
        raise other_browser()
    return proof


def login_event(user_id: str, action: str, provider: str, label: str, origin: Origin, now: datetime) -> AuditEvent:
    """The event of a login that was linked to an account, or unlinked."""
    return audit_event(user_id, action, origin, now, provider=provider, login=label)
