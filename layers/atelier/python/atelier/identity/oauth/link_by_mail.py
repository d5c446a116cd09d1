"""Link an external login to the account that has its e-mail address, by a link in a mail to that address.

The link works in the browser that began alone: otherwise somebody could let the account's owner link a login of theirs.

An account whose address was never verified may be somebody else's, who registered it before its owner. It is taken over
by whoever now proves the mailbox, but only after nobody else can come in: its password, factors, logins, sessions and
API tokens end first.
"""

from __future__ import annotations

from datetime import datetime

from atelier.audit_log.model import Origin, audit_events
from atelier.dataclass import dataclass
from atelier.errors import Unauthenticated
from atelier.identity.api_tokens import TOKENS_PER_WORKSPACE_MAX
from atelier.identity.list_sessions import revoke_other_sessions
from atelier.identity.mail_limits import MailLimits
from atelier.identity.model import SignInResult, User, UserStatus
from atelier.identity.oauth.exchange import ExternalSignInDeps, Holder, proceed
from atelier.identity.oauth.link import Presented, link_login, link_to_account, proof_of_ticket
from atelier.identity.oauth.model import PROVIDER_NAMES, LinkedLogin, LoginProof, link_digest, other_browser
from atelier.identity.pending_link import LinkRefused, PendingLink, Purpose, new_link_mail, open_by_token
from atelier.identity.ports import ApiTokens, PendingLinks, Sessions
from atelier.mails.links import LinkKey


@dataclass(frozen=True, slots=True)
class MailLinkDeps:
    """The dependencies of links in mails. login: of the sign-in that goes on behind them."""

    login: ExternalSignInDeps
    links: PendingLinks
    key: LinkKey
    limits: MailLimits
    sessions: Sessions
    api_tokens: ApiTokens


def send_link(ticket: str, holder: Holder, *, deps: MailLinkDeps, now: datetime) -> None:
    """Send the mail. Raises Unauthenticated for an ended ticket, and RateLimited."""
    proof = proof_of_ticket(ticket, deps.login, now)
    login, email = proof.login, proof.login.verified_email()
    deps.limits.count_mail(email, holder.origin.address, now)
    user = deps.login.accounts.user(proof.user_id or "")
    if user is None or user.email != email:
        raise other_browser()
    name = PROVIDER_NAMES[login.provider]
    link_mail = new_link_mail(Purpose.LINK_LOGIN, user.id, email, user.locale, now, provider=name, login=login.label)
    pending = link_mail.pending
    deps.login.records.add_proof(
        LoginProof(link_digest(pending.link.id), login, proof.binding, pending.expires_at, proof.user_id)
    )
    deps.links.replace(link_mail)


def confirm_link(token: str, ticket: str | None, holder: Holder, *, deps: MailLinkDeps, now: datetime) -> SignInResult:
    """Link the login by the token of the mail, and sign in. ticket: shows, where there is no cookie, that this is the
    browser that began. A verified account with a second factor is signed in first, and linked by `complete_link` then.

    Raises RateLimited, LinkRefused, Unauthenticated for another browser, LoginTaken and ProviderLinked."""
    deps.limits.count_link(holder.origin.address, now)
    pending = open_by_token(token, Purpose.LINK_LOGIN, links=deps.links, key=deps.key, now=now)
    proof = deps.login.records.proof(link_digest(pending.link.id))
    user = deps.login.accounts.user(pending.link.owner_id)
    if proof is None or user is None or user.status is not UserStatus.ACTIVE or user.email != pending.email:
        raise LinkRefused("token")
    if not _has_begun(proof, ticket, holder, deps, now):
        raise other_browser()
    login, mine = proof.login, holder.origin.of_user(user.id)
    if user.email_verified and (user.second_factors or user.deletion_due_at is not None):
        return proceed(user.id, user.workspace_id, login, holder, deps.login, now)

    if user.email_verified:
        link_login(user, login, mine, deps.login, now, pending=pending)
    else:
        _end_access(user, pending, mine, deps, now)
        link_login(user, login, mine, deps.login, now)
        # What was opened meanwhile, by a request that had begun before.
        revoke_other_sessions(user.id, None, mine, sessions=deps.sessions, now=now)
    return proceed(user.id, user.workspace_id, login, holder, deps.login, now)


def complete_link(
    presented: Presented, holder: Holder, user_id: str, workspace_id: str, *, deps: MailLinkDeps, now: datetime
) -> LinkedLogin:
    """Link a login to the account of the caller, who has this personal workspace: as `link_to_account`, or by the token
    of a mail to the account's address, in the browser that began. Raises also RateLimited and LinkRefused."""
    if presented.mail_token is None:
        return link_to_account(presented, holder, user_id, workspace_id, deps=deps.login, now=now)
    deps.limits.count_link(holder.origin.address, now)
    pending = open_by_token(presented.mail_token, Purpose.LINK_LOGIN, links=deps.links, key=deps.key, now=now)
    proof = deps.login.records.proof(link_digest(pending.link.id))
    user = deps.login.accounts.user(user_id)
    if proof is None or user is None or pending.link.owner_id != user_id or user.email != pending.email:
        raise LinkRefused("token")
    if not proof.binding.is_browser(holder.browser_secret):
        raise other_browser()
    return link_login(user, proof.login, holder.origin, deps.login, now, pending=pending)


def _has_begun(proof: LoginProof, ticket: str | None, holder: Holder, deps: MailLinkDeps, now: datetime) -> bool:
    """Whether the request comes from the browser that began: by its cookie, or by the ticket that it was given."""
    if ticket is None:
        return proof.binding.is_browser(holder.browser_secret)
    try:
        first = proof_of_ticket(ticket, deps.login, now)
    except Unauthenticated:
        return False
    return (first.login, first.user_id, first.binding) == (proof.login, proof.user_id, proof.binding)


def _end_access(user: User, pending: PendingLink, origin: Origin, deps: MailLinkDeps, now: datetime) -> None:
    """End everything by which somebody could come into an account. After a crash the owner asks for another link, which
    does the rest."""
    deps.login.logins.remove_ways_in(user, pending, now)
    revoke_other_sessions(user.id, None, origin, sessions=deps.sessions, now=now)
    for membership in deps.login.accounts.account(user.id, now).memberships:
        workspace_id = membership.workspace.id
        for token in deps.api_tokens.tokens(workspace_id, None, TOKENS_PER_WORKSPACE_MAX).tokens:
            if token.user_id == user.id:
                logs = (workspace_id, user.id)
                events = audit_events(logs, "token.revoked", origin, now, target=token.id, name=token.name)
                deps.api_tokens.revoke_token(workspace_id, token.id, now, events)
