"""Prove a second factor: after a password (`verify_second_factor`), or once more in an open session (`step_up`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import RateLimited, Unauthenticated
from atelier.identity.model import Device, PresentedTicket, SignInResult, TicketPurpose
from atelier.identity.passkeys import RelyingParty, prove_passkey
from atelier.identity.ports import Accounts, Passwords, RateWindows, SecondFactors, SecretSealer, Sessions
from atelier.identity.recovery_codes import recovery_digest
from atelier.identity.second_factor import (
    TRIES_PER_WINDOW,
    WINDOW_SECONDS,
    Factors,
    FactorUse,
    FactorUsed,
    RecoveryCodeUse,
    TotpUse,
)
from atelier.identity.sign_in import SignInDeps, audited_refusal, sign_in
from atelier.identity.totp import matching_step

WRONG_CODE = "The code is wrong."


@dataclass(frozen=True, slots=True)
class Proof:
    """What a request proves a factor with; exactly one is given. credential: the JSON of a passkey's assertion."""

    code: str | None = field(default=None, repr=False)
    recovery_code: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    credential: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class FactorDeps:
    """What the use cases of second factors need."""

    second_factors: SecondFactors
    sessions: Sessions
    accounts: Accounts
    passwords: Passwords
    sealer: SecretSealer
    windows: RateWindows
    relying_party: RelyingParty
    sign_in: SignInDeps


def verify_second_factor(
    ticket_text: str, proof: Proof, device: Device, origin: Origin, *, deps: FactorDeps, now: datetime
) -> SignInResult:
    """Continue a sign-in with its ticket and a code. The ticket survives a wrong code, of which five are answered in
    five minutes. Of requests at the same time with one ticket, one opens a session. Raises Unauthenticated,
    RateLimited."""
    presented = PresentedTicket.parse(ticket_text)
    stored = deps.sign_in.sign_ins.ticket(presented.user_id, presented.ticket_id)
    ticket = presented.require(stored, TicketPurpose.SECOND_FACTOR, now)
    count_try(ticket.user_id, deps=deps, now=now)
    try:
        use = prove_code(ticket.user_id, deps.second_factors.factors(ticket.user_id), proof, deps.sealer, now)
    except FactorUsed as error:
        refusal = audited_refusal(ticket.user_id, ticket.way, origin, WRONG_CODE, deps=deps.sign_in, now=now)
        raise refusal from error
    return sign_in(
        ticket.user_id,
        ticket.workspace_id,
        ticket.way,
        device,
        origin,
        second_factor_done=True,
        ticket=ticket,
        use=use,
        deps=deps.sign_in,
        now=now,
    )


def step_up(user_id: str, session_id: str, proof: Proof, origin: Origin, *, deps: FactorDeps, now: datetime) -> None:
    """Prove a factor once more in an open session, for the routes that want a fresh one. A password is enough only for
    accounts without a second factor. Raises Unauthenticated, RateLimited."""
    session = deps.sessions.session(user_id, session_id)
    if session is None or not session.is_live(now):
        raise Unauthenticated("The session has ended. Log in again.")
    count_try(user_id, deps=deps, now=now)
    try:
        use = _prove(user_id, session.workspace_id, proof, deps, now)
    except Unauthenticated:
        event = audit_event(user_id, "factor.proven", origin, now, target=session_id, outcome="refused")
        deps.sign_in.audit_log.append(event)
        raise
    mfa_at = now if use is not None else session.mfa_at
    event = audit_event(user_id, "factor.proven", origin, now, target=session_id, factor=_kind(use))
    proven = replace(session, authenticated_at=now, mfa_at=mfa_at)
    deps.sessions.prove(proven, use=use, events=(event,))


def count_try(user_id: str, *, deps: FactorDeps, now: datetime) -> None:
    """Count one try to prove a factor of an account, right or wrong. Raises RateLimited."""
    if not deps.windows.try_add_one(f"second-factor#{user_id}", TRIES_PER_WINDOW, WINDOW_SECONDS, now):
        wait = WINDOW_SECONDS - int(now.timestamp()) % WINDOW_SECONDS
        raise RateLimited(limit=TRIES_PER_WINDOW, retry_after_seconds=wait)


def prove_code(user_id: str, factors: Factors, proof: Proof, sealer: SecretSealer, now: datetime) -> FactorUse:
    """The use of an authenticator's code or of a recovery code, still to be spent. Raises FactorUsed for a wrong or
    used one."""
    totp, codes = factors.confirmed_totp, factors.recovery_codes
    if proof.code is not None and totp is not None:
        step = matching_step(sealer.open(totp.record, user_id, totp.id), proof.code, totp.last_step, now)
        if step is not None:
            return TotpUse(totp.id, step)
    if proof.recovery_code is not None and codes is not None:
        digest = recovery_digest(codes.set_id, proof.recovery_code)
        if digest in codes.digests:
            return RecoveryCodeUse(codes.set_id, digest)
    raise FactorUsed


def _prove(user_id: str, workspace_id: str, proof: Proof, deps: FactorDeps, now: datetime) -> FactorUse | None:
    if proof.credential is not None:
        proven = prove_passkey(
            proof.credential,
            second_factors=deps.second_factors,
            relying_party=deps.relying_party,
            expected_user_id=user_id,
            now=now,
        )
        return proven.use
    if proof.password is not None:
        _prove_password(user_id, workspace_id, proof.password, deps)
        return None
    return prove_code(user_id, deps.second_factors.factors(user_id), proof, deps.sealer, now)


def _prove_password(user_id: str, workspace_id: str, password: str, deps: FactorDeps) -> None:
    user, _ = deps.accounts.user_with_workspace(user_id, workspace_id)
    credentials = deps.accounts.credentials(user.email)
    mine = credentials if credentials is not None and credentials.user_id == user_id else None
    if not deps.passwords.verify(mine.password_hash if mine else None, password):
        raise Unauthenticated("The password is wrong.")


def _kind(use: FactorUse | None) -> str:
    if use is None:
        return "password"
    return {"TotpUse": "totp", "RecoveryCodeUse": "recovery_code", "PasskeyUse": "passkey"}[type(use).__name__]
