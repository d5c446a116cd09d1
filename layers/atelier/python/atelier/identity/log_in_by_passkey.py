"""Sign in with a passkey: alone, since it is two factors at once, or as the second factor after a password."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.identity.model import Device, PresentedTicket, SignInResult, TicketPurpose
from atelier.identity.passkeys import PASSKEY_REFUSED, PasskeyRefused, log_in_options, prove_passkey
from atelier.identity.prove_factor import FactorDeps
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.second_factor import PASSKEY
from atelier.identity.sign_in import NOBODY, sign_in


def log_in_by_passkey(
    credential: Mapping[str, Any],
    ticket_text: str | None,
    device: Device,
    origin: Origin,
    *,
    limits: SignInLimits,
    deps: FactorDeps,
    now: datetime,
) -> SignInResult:
    """Open a session for the account whose passkey answered a challenge. ticket_text: of a sign-in by password whose
    second factor this is; the passkey must then belong to its account. Raises RateLimited, PasskeyRefused,
    Unauthenticated."""
    limits.count_passkey(device.address, now)
    ticket = None
    if ticket_text is not None:
        presented = PresentedTicket.parse(ticket_text)
        stored = deps.sign_in.sign_ins.ticket(presented.user_id, presented.ticket_id)
        ticket = presented.require(stored, TicketPurpose.SECOND_FACTOR, now)
    try:
        proven = prove_passkey(
            credential,
            second_factors=deps.second_factors,
            relying_party=deps.relying_party,
            expected_user_id=ticket.user_id if ticket else None,
            now=now,
        )
    except PasskeyRefused as error:
        log = error.user_id or NOBODY[0]
        event = audit_event(log, "session.refused", origin, now, outcome="refused", way=PASSKEY, reason=error.reason)
        deps.sign_in.audit_log.append(event)
        raise
    user_id = proven.user_id
    return sign_in(
        user_id,
        proven.passkey.workspace_id,
        ticket.way if ticket else PASSKEY,
        device,
        origin,
        second_factor_done=True,
        ticket=ticket,
        use=proven.use,
        refusal=PASSKEY_REFUSED,
        deps=deps.sign_in,
        now=now,
    )


def passkey_log_in_options(address: str, *, limits: SignInLimits, deps: FactorDeps, now: datetime) -> dict[str, Any]:
    """The options with which a browser asks for a passkey. Raises RateLimited, since a challenge is stored for each."""
    limits.count_passkey(address, now)
    return log_in_options(second_factors=deps.second_factors, relying_party=deps.relying_party, now=now)
