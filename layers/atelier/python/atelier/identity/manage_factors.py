"""Add, list and remove the second factors of an account. Every change is told to the account's audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.dataclass import dataclass
from atelier.errors import NotFound, Unauthenticated
from atelier.identity.model import Session, User
from atelier.identity.notices import notice
from atelier.identity.passkeys import PasskeyRefused, registered_passkey, registration_options
from atelier.identity.prove_factor import WRONG_CODE, FactorDeps, count_try
from atelier.identity.recovery_codes import new_recovery_codes
from atelier.identity.second_factor import PASSKEY, TOTP, Factors, Passkey, Totp, TotpUse
from atelier.identity.totp import matching_step, new_secret, otpauth_url
from atelier.ids import new_id
from atelier.mails.mail import MailKind


@dataclass(frozen=True, slots=True)
class FactorOwner:
    """The verified caller whose factors a request is about, and where the request came from. workspace_id: the personal
    workspace, whichever the request acts in."""

    user_id: str
    session_id: str
    workspace_id: str
    origin: Origin

    def event(self, action: str, now: datetime, *, target: str | None = None, **facts: Any) -> AuditEvent:
        """An event for the caller's log."""
        return audit_event(self.user_id, action, self.origin, now, target=target, **facts)


@dataclass(frozen=True, slots=True)
class TotpSetup:
    """A new authenticator's secret, in base32 and as the address of its QR code. Shown once."""

    secret: str = field(repr=False)
    otpauth_url: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class AddedPasskey:
    """A new passkey; recovery_codes: of an account whose first factor it is, shown once."""

    passkey: Passkey
    recovery_codes: tuple[str, ...] | None = field(repr=False)


def begin_totp(owner: FactorOwner, *, deps: FactorDeps, now: datetime) -> TotpSetup:
    """Begin to set up an authenticator, in place of an earlier set-up that was not confirmed. Raises FactorsChanged
    when the account has one."""
    user = _user(owner, deps)
    factor_id, secret = new_id("fac", now), new_secret()
    totp = Totp(factor_id, deps.sealer.seal(secret, owner.user_id, factor_id), now)
    deps.second_factors.begin_totp(owner.user_id, totp)
    return TotpSetup(secret, otpauth_url(secret, user.email))


def confirm_totp(owner: FactorOwner, code: str, *, deps: FactorDeps, now: datetime) -> tuple[str, ...]:
    """Confirm an authenticator by its first code; returns new recovery codes, in place of earlier ones. Raises
    NotFound without a set-up, Unauthenticated for a wrong code, RateLimited."""
    count_try(owner.user_id, deps=deps, now=now)
    totp = deps.second_factors.factors(owner.user_id).totp
    if totp is None or totp.confirmed_at is not None:
        raise NotFound("There is no authenticator to confirm. Begin its set-up first.")
    step = matching_step(deps.sealer.open(totp.record, owner.user_id, totp.id), code, None, now)
    if step is None:
        raise Unauthenticated(WRONG_CODE)
    codes, texts = new_recovery_codes(now)
    events = owner.event("factor.added", now, target=totp.id, factor=TOTP), owner.event("recovery_codes.made", now)
    session = _proven(owner, deps, now)
    mail = notice(MailKind.FACTOR_ADDED, _user(owner, deps), owner.origin, now, factor=TOTP)
    deps.second_factors.confirm_totp(owner.user_id, TotpUse(totp.id, step), codes, session, events, mail)
    return texts


def remove_totp(owner: FactorOwner, *, deps: FactorDeps, now: datetime) -> None:
    """Remove the authenticator; recovery codes go with the last factor. Raises NotFound."""
    factors = deps.second_factors.factors(owner.user_id)
    totp = factors.confirmed_totp
    if totp is None:
        raise NotFound("There is no authenticator.")
    events = (owner.event("factor.removed", now, target=totp.id, factor=TOTP),)
    mail = notice(MailKind.FACTOR_REMOVED, _user(owner, deps), owner.origin, now, factor=TOTP)
    deps.second_factors.remove_totp(owner.user_id, totp, with_codes=not factors.passkeys, events=events, mail=mail)


def new_codes(owner: FactorOwner, *, deps: FactorDeps, now: datetime) -> tuple[str, ...]:
    """New recovery codes in place of the old ones. Raises NotFound for an account without a second factor."""
    if not deps.second_factors.factors(owner.user_id).any:
        raise NotFound("Recovery codes stand in for a second factor. Add one first.")
    codes, texts = new_recovery_codes(now)
    event = owner.event("recovery_codes.made", now)
    deps.second_factors.replace_recovery_codes(owner.user_id, codes, (event,))
    return texts


def passkey_options(owner: FactorOwner, *, deps: FactorDeps, now: datetime) -> dict[str, Any]:
    """The options with which a browser makes a passkey."""
    factors = deps.second_factors.factors(owner.user_id)
    return registration_options(
        _user(owner, deps),
        factors,
        second_factors=deps.second_factors,
        relying_party=deps.relying_party,
        now=now,
    )


def add_passkey(
    owner: FactorOwner, credential: Mapping[str, Any], name: str, *, deps: FactorDeps, now: datetime
) -> AddedPasskey:
    """Store the passkey that a browser has made. Raises PasskeyRefused, TooManyPasskeys, FactorsChanged."""
    try:
        passkey = registered_passkey(
            credential,
            name,
            owner.user_id,
            owner.workspace_id,
            second_factors=deps.second_factors,
            relying_party=deps.relying_party,
            now=now,
        )
    except PasskeyRefused as error:
        event = audit_event(
            owner.user_id, "factor.added", owner.origin, now, outcome="refused", factor=PASSKEY, reason=error.reason
        )
        deps.sign_in.audit_log.append(event)
        raise
    events = [owner.event("factor.added", now, target=passkey.id, factor=PASSKEY, name=name)]
    codes = texts = None
    if not deps.second_factors.factors(owner.user_id).any:
        codes, texts = new_recovery_codes(now)
        events.append(owner.event("recovery_codes.made", now))
    mail = notice(MailKind.FACTOR_ADDED, _user(owner, deps), owner.origin, now, factor=PASSKEY, name=name)
    deps.second_factors.add_passkey(owner.user_id, passkey, codes, _proven(owner, deps, now), events, mail)
    return AddedPasskey(passkey, texts)


def remove_passkey(owner: FactorOwner, passkey_id: str, *, deps: FactorDeps, now: datetime) -> None:
    """Remove a passkey. Raises NotFound, LastWayIn."""
    factors = deps.second_factors.factors(owner.user_id)
    passkey = factors.passkey(passkey_id)
    events = (owner.event("factor.removed", now, target=passkey.id, factor=PASSKEY, name=passkey.name),)
    is_last = len(factors.passkeys) == 1 and factors.confirmed_totp is None
    mail = notice(MailKind.FACTOR_REMOVED, _user(owner, deps), owner.origin, now, factor=PASSKEY, name=passkey.name)
    deps.second_factors.remove_passkey(owner.user_id, passkey, with_codes=is_last, events=events, mail=mail)


def factors_of(user_id: str, *, deps: FactorDeps) -> Factors:
    """The second factors of a user."""
    return deps.second_factors.factors(user_id)


def _user(owner: FactorOwner, deps: FactorDeps) -> User:
    user, _ = deps.accounts.user_with_workspace(owner.user_id, owner.workspace_id)
    return user


def _proven(owner: FactorOwner, deps: FactorDeps, now: datetime) -> Session:
    session = deps.sessions.session(owner.user_id, owner.session_id)
    if session is None or not session.is_live(now):
        raise Unauthenticated("The session has ended. Log in again.")
    return replace(session, authenticated_at=now, mfa_at=now)
