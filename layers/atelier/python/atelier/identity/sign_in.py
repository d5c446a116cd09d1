"""Sign in: what follows once a first factor was proven, the same for every way (password, Google, GitHub, passkey, a
link in a mail). Nothing else opens a session, but a sign-up, which creates the account in the same transaction.

    active?  no → refused, and nothing tells why
    second factor?  needed and not proven → a ticket, single use, five minutes
    deletion requested?  → a ticket that takes it back
    otherwise, in one transaction: the session, the time of the sign-in, the device, the audit event, and a mail if the
    device is new
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.audit_log.ports import AuditLog
from atelier.dataclass import dataclass
from atelier.errors import Unauthenticated
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.device import device_digest, device_words, network_of
from atelier.identity.model import (
    DeletionPending,
    Device,
    RefreshToken,
    SecondFactorRequired,
    Session,
    SignedIn,
    SignInResult,
    SignInTicket,
    TicketPurpose,
    User,
    UserStatus,
    Workspace,
    new_ticket,
    open_session,
)
from atelier.identity.notices import notice
from atelier.identity.opening import Opening
from atelier.identity.ports import SignIns
from atelier.identity.second_factor import FactorUse
from atelier.mails.mail import MailKind

# Who signs in where no account is known: reading them finds nothing, and takes as long as reading an account.
NOBODY = "usr_00000000000000000000000000", "wsp_00000000000000000000000000"
REFUSED = "The sign-in was refused."


@dataclass(frozen=True, slots=True)
class SignInDeps:
    """What a sign-in needs."""

    sign_ins: SignIns
    audit_log: AuditLog
    access_tokens: AccessTokens


def sign_in(
    user_id: str,
    workspace_id: str,
    way: str,
    device: Device,
    origin: Origin,
    *,
    second_factor_done: bool = False,
    ticket: SignInTicket | None = None,
    use: FactorUse | None = None,
    refusal: str = REFUSED,
    deps: SignInDeps,
    now: datetime,
) -> SignInResult:
    """Continue a sign-in whose first factor was proven, of a user with this personal workspace.

    second_factor_done: a second factor, or a passkey, was proven too. ticket: the ticket that this request uses up.
    use: the factor that it uses up. Both are spent in the transaction that opens the session, or issues the next
    ticket. refusal: the message for an account that may not sign in; it must be the one for a wrong first factor.

    Raises Unauthenticated (FactorUsed among it), and Unavailable when the store is busy."""
    found = deps.sign_ins.sign_in_account(user_id, workspace_id, device_digest(device))
    if found is None or found.user.status is not UserStatus.ACTIVE:
        raise audited_refusal(user_id, way, origin, refusal, deps=deps, now=now)
    user = found.user

    if user.second_factors and not second_factor_done:
        purpose = TicketPurpose.SECOND_FACTOR
        new = new_ticket(purpose, user.id, workspace_id, way, now, second_factor_done=False)
        deps.sign_ins.issue_ticket(new, spent=ticket, use=use)
        return SecondFactorRequired(new, user.second_factors)

    if user.deletion_due_at is not None:
        purpose = TicketPurpose.RESTORE
        new = new_ticket(purpose, user.id, workspace_id, way, now, second_factor_done=second_factor_done)
        deps.sign_ins.issue_ticket(new, spent=ticket, use=use)
        return DeletionPending(new, user.deletion_due_at)

    opening, token = open_for(
        user, found.workspace, way, device, origin, now, second_factor_done=second_factor_done, known=found.device_known
    )
    deps.sign_ins.open(opening, spent=ticket, use=use)
    return SignedIn(user, found.workspace, deps.access_tokens.issue(opening.session, token, now))


def open_for(
    user: User,
    workspace: Workspace,
    way: str,
    device: Device,
    origin: Origin,
    now: datetime,
    *,
    second_factor_done: bool = False,
    known: bool,
) -> tuple[Opening, RefreshToken]:
    """Everything that is written when a session opens, and the session's first refresh token. known: the device was
    seen before, or the account is new."""
    session, token = open_session(user.id, workspace.id, device, now, way, second_factor_done=second_factor_done)
    facts = _facts(session)
    mine = origin.of_user(user.id)
    events = [audit_event(user.id, "session.opened", mine, now, target=session.id, **facts)]
    mail = None
    if not known:
        events.append(audit_event(user.id, "device.new", mine, now, target=session.id, **facts))
        mail = notice(MailKind.NEW_DEVICE, user, mine, now)
    return Opening(session, device_digest(device), tuple(events), mail, user.email), token


def audited_refusal(
    user_id: str | None, way: str, origin: Origin, message: str, *, deps: SignInDeps, now: datetime
) -> Unauthenticated:
    """The error for a refused sign-in, which was written into the audit log. user_id: whose account was tried; None =
    there is none, and the event is written to the log of nobody, so that both take the same time."""
    log = user_id or NOBODY[0]
    deps.audit_log.append(audit_event(log, "session.refused", origin, now, outcome="refused", way=way))
    return Unauthenticated(message)


def _facts(session: Session) -> dict[str, Any]:
    return {
        "way": session.way,
        "second_factor": session.mfa_at is not None,
        "device": device_words(session.device.user_agent),
        "network": network_of(session.device.address),
    }
