"""Sign-in with external logins, composed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from atelier.audit_log.model import Origin
from atelier.identity.mail_limits import MailLimits
from atelier.identity.model import SignInResult
from atelier.identity.oauth import callback as _callback
from atelier.identity.oauth import exchange as _exchange
from atelier.identity.oauth import link as _link
from atelier.identity.oauth import link_by_mail as _link_by_mail
from atelier.identity.oauth import start as _start
from atelier.identity.oauth.model import LinkedLogin
from atelier.settings import CallerRateLimits, IdentityTable, MailSending, OAuth, RequestsTable
from atelier.wiring import identity
from atelier.wiring.audit_log import bind_events

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.identity.oauth_records import DynamoOAuthRecords


def providers() -> list[tuple[str, str]]:
    """The enabled identity providers: (id, name)."""
    return _start.enabled_providers(_oauth_deps())


def start(command: _start.StartOAuth, now: datetime) -> _start.StartedOAuth:
    """Begin a visit to an identity provider."""
    return _start.start_oauth(command, deps=_oauth_deps(), now=now)


def receive_callback(callback: _callback.OAuthCallback, now: datetime) -> str:
    """Where to send the browser that comes back from an identity provider."""
    return _callback.receive_callback(callback, deps=_oauth_deps(), now=now)


def exchange(code: str, holder: _exchange.Holder, now: datetime) -> SignInResult | _exchange.LinkRequired:
    """Exchange a code for a session."""
    return _exchange.exchange_code(code, holder, deps=_sign_in_deps(), now=now)


def link_by_password(ticket: str, password: str, holder: _exchange.Holder, now: datetime) -> SignInResult:
    """Link a login by the account's password, and sign in."""
    return _link.link_by_password(ticket, password, holder, deps=_sign_in_deps(), now=now)


def link_to_account(
    presented: _link.Presented, holder: _exchange.Holder, user_id: str, workspace_id: str, now: datetime
) -> LinkedLogin:
    """Link a login to the account of a user, who has this personal workspace."""
    return _link_by_mail.complete_link(presented, holder, user_id, workspace_id, deps=_mail_link_deps(), now=now)


def send_link(ticket: str, holder: _exchange.Holder, now: datetime) -> None:
    """Send a mail with a link that links a login."""
    _link_by_mail.send_link(ticket, holder, deps=_mail_link_deps(), now=now)


def confirm_link(token: str, ticket: str | None, holder: _exchange.Holder, now: datetime) -> SignInResult:
    """Link a login by the token of a mail, and sign in."""
    return _link_by_mail.confirm_link(token, ticket, holder, deps=_mail_link_deps(), now=now)


def list_logins(user_id: str) -> Sequence[LinkedLogin]:
    """The external logins of an account."""
    return _link.list_logins(user_id, deps=_sign_in_deps())


def unlink(user_id: str, provider: str, origin: Origin, now: datetime) -> None:
    """Unlink a provider's login from an account."""
    _link.unlink(user_id, provider, origin, deps=_sign_in_deps(), now=now)


@cache
def _oauth_deps() -> _start.OAuthDeps:
    from atelier.adapters.aws.secrets import Secret
    from atelier.adapters.oauth.registry import ConfiguredProviders

    settings = OAuth.read()
    registrations = Secret(settings.secret).value
    enabled = ConfiguredProviders(registrations, settings.url_by_provider(), allows_http=settings.allows_http)
    return _start.OAuthDeps(
        enabled, _records(), identity.sign_in_limits(), identity.public_url(), identity.allows_origin
    )


@cache
def _sign_in_deps() -> _exchange.ExternalSignInDeps:
    from atelier.adapters.aws.dynamodb.identity.external_logins import DynamoExternalLogins

    DynamoExternalLogins.bind(IdentityTable.read().name)
    bind_events()
    identity.bind_wallets()
    return _exchange.ExternalSignInDeps(
        _records(),
        DynamoExternalLogins(),
        identity.accounts(),
        identity.passwords(),
        identity.sign_in_limits(),
        identity.sign_in_deps(),
        bool(MailSending.read().sender),
    )


@cache
def _mail_link_deps() -> _link_by_mail.MailLinkDeps:
    from atelier.adapters.aws.dynamodb.identity.pending_links import DynamoPendingLinks
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
    from atelier.wiring.mails import link_key

    DynamoPendingLinks.bind(IdentityTable.read().name)
    DynamoRequestRates.bind(RequestsTable.read().name)
    return _link_by_mail.MailLinkDeps(
        _sign_in_deps(),
        DynamoPendingLinks(),
        link_key(),
        MailLimits(DynamoRequestRates(), CallerRateLimits.read().mails_per_address),
        identity.sessions(),
        identity.api_tokens(),
    )


@cache
def _records() -> DynamoOAuthRecords:
    from atelier.adapters.aws.dynamodb.identity.oauth_records import DynamoOAuthRecords

    DynamoOAuthRecords.bind(IdentityTable.read().name)
    return DynamoOAuthRecords()
