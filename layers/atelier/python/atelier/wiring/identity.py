"""Identity, composed: the use cases with their adapters, made when first used."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.identity import list_sessions as _list_sessions
from atelier.identity import log_in as _log_in
from atelier.identity import log_out as _log_out
from atelier.identity import platform_roles as _platform_roles
from atelier.identity import refresh as _refresh
from atelier.identity import sign_up as _sign_up
from atelier.identity import verify_email as _verify_email
from atelier.identity.access_tokens import AccessTokens
from atelier.identity.authenticate import authenticate as _authenticate
from atelier.identity.credentials import normalize_email
from atelier.identity.model import Session, SessionTokens, SignInResult, User, UserAccount
from atelier.identity.passwords import Argon2
from atelier.identity.ports import Passwords
from atelier.identity.rate_limit import SignInLimits
from atelier.identity.sign_in import SignInDeps
from atelier.identity.signing import public_key_set
from atelier.settings import (
    CallerRateLimits,
    Deployment,
    FrontendOrigins,
    IdentitySigning,
    IdentityTable,
    LedgerTable,
    RequestsTable,
)
from atelier.wiring import audit_log
from atelier.wiring.audit_log import bind_events

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts
    from atelier.adapters.aws.dynamodb.identity.api_tokens import DynamoApiTokens
    from atelier.adapters.aws.dynamodb.identity.platform_roles import DynamoPlatformRoles
    from atelier.adapters.aws.dynamodb.identity.profiles import DynamoProfiles
    from atelier.adapters.aws.dynamodb.identity.revocations import DynamoRevocations
    from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions
    from atelier.adapters.aws.secrets import Secret


def sign_up(command: _sign_up.SignUp, now: datetime) -> SignInResult:
    bind_wallets()
    return _sign_up.sign_up(
        command, accounts=accounts(), passwords=passwords(), limits=sign_in_limits(), deps=sign_in_deps(), now=now
    )


def verify_email(email: str, now: datetime) -> User:
    bind_wallets()
    return _verify_email.verify_email(normalize_email(email), accounts=accounts(), now=now)


def make_administrator(email: str, now: datetime) -> User:
    """Make the account of an address an administrator of the platform."""
    return _platform_roles.make_administrator(normalize_email(email), deps=platform_role_deps(), now=now)


def log_in(command: _log_in.LogIn, now: datetime) -> SignInResult:
    return _log_in.log_in(
        command, accounts=accounts(), passwords=passwords(), limits=sign_in_limits(), deps=sign_in_deps(), now=now
    )


def list_sessions(caller: Caller, now: datetime) -> tuple[Session, ...]:
    """The caller's live sessions."""
    return _list_sessions.live_sessions(caller.user_id, sessions=sessions(), now=now)


def revoke_session(caller: Caller, session_id: str, origin: Origin, now: datetime) -> None:
    """End one of the caller's sessions."""
    _list_sessions.revoke_session(caller.user_id, session_id, origin, sessions=sessions(), now=now)


def revoke_other_sessions(caller: Caller, origin: Origin, now: datetime) -> None:
    """End the caller's sessions but this one."""
    _list_sessions.revoke_other_sessions(caller.user_id, caller.session_id, origin, sessions=sessions(), now=now)


def refresh(refresh_token: str, origin: Origin, now: datetime) -> SessionTokens:
    return _refresh.refresh(refresh_token, origin, sessions=sessions(), access_tokens=access_tokens(), now=now)


def log_out(refresh_token: str | None, access_token: str | None, now: datetime) -> None:
    _log_out.log_out(refresh_token, access_token, sessions=sessions(), access_tokens=access_tokens(), now=now)


def account(user_id: str, now: datetime) -> UserAccount:
    return wallet_accounts().account(user_id, now)


def wallet_accounts() -> DynamoAccounts:
    """The accounts of this deployment, with what reads and writes their wallets along."""
    bind_wallets()
    return accounts()


def authenticate(header: str, now: datetime) -> dict[str, str | int]:
    return _authenticate(header, access_tokens=access_tokens(), api_tokens=api_tokens, now=now)


def public_keys() -> dict[str, list[dict[str, Any]]]:
    return public_key_set(_key_sets().key_set())


def public_url() -> str:
    return Deployment.read().public_url


def allows_origin(origin: str) -> bool:
    """Whether pages of `origin` may use the browser's cookie: the origin is this deployment's own or a frontend's."""
    return FrontendOrigins.read().allow(origin, own=public_url())


@cache
def accounts() -> DynamoAccounts:
    """The accounts of this deployment."""
    from atelier.adapters.aws.dynamodb.identity.accounts import DynamoAccounts

    DynamoAccounts.bind(IdentityTable.read().name)
    bind_events()
    return DynamoAccounts()


@cache
def sessions() -> DynamoSessions:
    """The sessions of this deployment."""
    from atelier.adapters.aws.dynamodb.identity.sessions import DynamoSessions

    DynamoSessions.bind(IdentityTable.read().name)
    bind_events()
    return DynamoSessions()


@cache
def revocations() -> DynamoRevocations:
    """The users whose sessions were ended in the last minutes."""
    from atelier.adapters.aws.dynamodb.identity.revocations import DynamoRevocations

    DynamoRevocations.bind(IdentityTable.read().name)
    return DynamoRevocations()


@cache
def platform_roles() -> DynamoPlatformRoles:
    """The administrators of this deployment."""
    from atelier.adapters.aws.dynamodb.identity.platform_roles import DynamoPlatformRoles

    DynamoPlatformRoles.bind(IdentityTable.read().name)
    bind_events()
    return DynamoPlatformRoles()


def platform_role_deps() -> _platform_roles.PlatformRoleDeps:
    """What giving and taking the role of an administrator needs."""
    return _platform_roles.PlatformRoleDeps(accounts(), platform_roles())


@cache
def sign_in_deps() -> SignInDeps:
    """What the one path of sign-in needs, whatever the way."""
    from atelier.adapters.aws.dynamodb.identity.sign_ins import DynamoSignIns

    DynamoSignIns.bind(IdentityTable.read().name)
    return SignInDeps(DynamoSignIns(), audit_log.events(), access_tokens())


@cache
def profiles() -> DynamoProfiles:
    """The profiles of this deployment's users."""
    from atelier.adapters.aws.dynamodb.identity.profiles import DynamoProfiles

    DynamoProfiles.bind(IdentityTable.read().name)
    bind_events()
    return DynamoProfiles()


@cache
def api_tokens() -> DynamoApiTokens:
    """The API tokens of this deployment."""
    from atelier.adapters.aws.dynamodb.identity.api_tokens import DynamoApiTokens

    DynamoApiTokens.bind(IdentityTable.read().name)
    bind_events()
    return DynamoApiTokens()


@cache
def bind_wallets() -> None:
    """Set the table of the wallets, which some transactions of accounts write as well."""
    from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets

    DynamoWallets.bind(LedgerTable.read().name)


@cache
def _key_sets() -> Secret:
    from atelier.adapters.aws.secrets import Secret

    return Secret(IdentitySigning.read().secret)


@cache
def access_tokens() -> AccessTokens:
    """The access tokens of this deployment."""
    return AccessTokens(_key_sets(), public_url())


@cache
def passwords() -> Passwords:
    """The password hashes."""
    return Argon2()


@cache
def sign_in_limits() -> SignInLimits:
    """The limits of attempts to sign in and up."""
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates

    DynamoRequestRates.bind(RequestsTable.read().name)
    limits = CallerRateLimits.read()
    return SignInLimits(
        DynamoRequestRates(), limits.sign_ins_per_account, limits.sign_ins_per_address, limits.sign_ups_per_address
    )
