"""Second factors, composed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from atelier.adapters.aws.dynamodb.identity.second_factors import DynamoSecondFactors
from atelier.adapters.aws.factor_vault import VaultSealer
from atelier.adapters.aws.vault import vault_of
from atelier.audit_log.model import Origin
from atelier.identity import log_in_by_passkey as _log_in_by_passkey
from atelier.identity import manage_factors, prove_factor
from atelier.identity.device import device_of
from atelier.identity.manage_factors import AddedPasskey, FactorOwner, TotpSetup
from atelier.identity.model import SignInResult
from atelier.identity.passkeys import RelyingParty
from atelier.identity.prove_factor import FactorDeps, Proof
from atelier.identity.second_factor import Factors
from atelier.provider_settings import ProviderKeySecret
from atelier.settings import IdentityTable
from atelier.wiring import identity


def verify(ticket: str, proof: Proof, origin: Origin, now: datetime) -> SignInResult:
    """Continue a sign-in with its ticket and a code."""
    return prove_factor.verify_second_factor(ticket, proof, device_of(origin), origin, deps=_deps(), now=now)


def step_up(owner: FactorOwner, proof: Proof, now: datetime) -> None:
    """Prove a factor once more in an open session."""
    prove_factor.step_up(owner.user_id, owner.session_id, proof, owner.origin, deps=_deps(), now=now)


def begin_totp(owner: FactorOwner, now: datetime) -> TotpSetup:
    """Begin to set up an authenticator."""
    return manage_factors.begin_totp(owner, deps=_deps(), now=now)


def confirm_totp(owner: FactorOwner, code: str, now: datetime) -> tuple[str, ...]:
    """Confirm an authenticator; returns new recovery codes."""
    return manage_factors.confirm_totp(owner, code, deps=_deps(), now=now)


def remove_totp(owner: FactorOwner, now: datetime) -> None:
    """Remove the authenticator."""
    manage_factors.remove_totp(owner, deps=_deps(), now=now)


def new_recovery_codes(owner: FactorOwner, now: datetime) -> tuple[str, ...]:
    """New recovery codes in place of the old ones."""
    return manage_factors.new_codes(owner, deps=_deps(), now=now)


def factors_of(user_id: str) -> Factors:
    """The second factors of a user."""
    return manage_factors.factors_of(user_id, deps=_deps())


def passkey_options(owner: FactorOwner, now: datetime) -> dict[str, Any]:
    """The options with which a browser makes a passkey."""
    return manage_factors.passkey_options(owner, deps=_deps(), now=now)


def add_passkey(owner: FactorOwner, credential: Mapping[str, Any], name: str, now: datetime) -> AddedPasskey:
    """Store the passkey that a browser has made."""
    return manage_factors.add_passkey(owner, credential, name, deps=_deps(), now=now)


def remove_passkey(owner: FactorOwner, passkey_id: str, now: datetime) -> None:
    """Remove a passkey."""
    manage_factors.remove_passkey(owner, passkey_id, deps=_deps(), now=now)


def passkey_log_in_options(address: str, now: datetime) -> dict[str, Any]:
    """The options with which a browser asks for a passkey."""
    limits = identity.sign_in_limits()
    return _log_in_by_passkey.passkey_log_in_options(address, limits=limits, deps=_deps(), now=now)


def log_in_by_passkey(credential: Mapping[str, Any], ticket: str | None, origin: Origin, now: datetime) -> SignInResult:
    """Sign in with a passkey."""
    return _log_in_by_passkey.log_in_by_passkey(
        credential, ticket, device_of(origin), origin, limits=identity.sign_in_limits(), deps=_deps(), now=now
    )


@cache
def _deps() -> FactorDeps:
    DynamoSecondFactors.bind(IdentityTable.read().name)
    sealing = ProviderKeySecret.read()
    limits = identity.sign_in_limits()
    return FactorDeps(
        DynamoSecondFactors(),
        identity.sessions(),
        identity.accounts(),
        identity.passwords(),
        VaultSealer(vault_of(sealing.secret, sealing.kms_arn)),
        limits.windows,
        RelyingParty(identity.public_url(), identity.allows_origin),
        identity.sign_in_deps(),
    )
