"""Delete an account, and take that back: for DELETION_DELAY it can be restored, by signing in; then it is erased.

From the request on the account cannot be used: its sessions end, its API tokens are refused, and a sign-in leads to
nothing but the restoration. An organisation keeps a remaining owner: whoever is the only owner of an organisation with
other members has to hand it over first. That the deletion was requested or taken back is published from what is stored
(`relay.py` of workspaces).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from atelier.audit_log.model import Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.identity.model import Device, PresentedTicket, SignInResult, TicketPurpose
from atelier.identity.notices import notice, time_words
from atelier.identity.ports import Profiles, Sessions
from atelier.identity.sign_in import SignInDeps, sign_in
from atelier.mails.mail import MailKind

DELETION_DELAY = timedelta(days=14)


class SoleOwner(Conflict):
    """The account is the only owner of organisations that have other members."""

    def __init__(self, workspace_ids: tuple[str, ...]) -> None:
        super().__init__(
            "You are the only owner of an organisation with other members. Hand it over or delete it first.",
            workspaces=list(workspace_ids),
        )


@dataclass(frozen=True, slots=True)
class DeleteAccountDeps:
    """What deleting and restoring need."""

    profiles: Profiles
    sessions: Sessions
    sign_in: SignInDeps


def request_deletion(user_id: str, origin: Origin, *, deps: DeleteAccountDeps, now: datetime) -> datetime:
    """Request the deletion of an account; returns when it is due. Repeating it changes nothing. Raises SoleOwner."""
    user = deps.profiles.user(user_id)
    due_at = user.deletion_due_at or now + DELETION_DELAY
    if user.deletion_due_at is None:
        event = audit_event(user_id, "account.deletion_requested", origin, now, due_at=rfc3339(due_at))
        mail = notice(MailKind.ACCOUNT_DELETION, user, origin, now, due_at=time_words(due_at))
        deps.profiles.request_deletion(user, due_at, events=(event,), mail=mail)
    for session in deps.sessions.sessions_of(user_id):
        deps.sessions.revoke(user_id, session.id, now)
    return due_at


def restore_account(
    ticket_text: str, device: Device, origin: Origin, *, deps: DeleteAccountDeps, now: datetime
) -> SignInResult:
    """Take back the deletion by the ticket of a sign-in, and open the session. Raises Unauthenticated."""
    presented = PresentedTicket.parse(ticket_text)
    stored = deps.sign_in.sign_ins.ticket(presented.user_id, presented.ticket_id)
    ticket = presented.require(stored, TicketPurpose.RESTORE, now)
    user = deps.profiles.user(ticket.user_id)
    if user.deletion_due_at is not None:
        event = audit_event(user.id, "account.restored", origin.of_user(user.id), now)
        deps.profiles.restore(user, events=(event,))
    return sign_in(
        ticket.user_id,
        ticket.workspace_id,
        ticket.way,
        device,
        origin,
        second_factor_done=ticket.second_factor_done,
        ticket=ticket,
        deps=deps.sign_in,
        now=now,
    )
