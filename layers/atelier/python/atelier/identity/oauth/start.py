"""Begin a visit to an identity provider: to sign in, or to link a login to the account of a person who is signed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import NotFound, Unavailable
from atelier.identity.oauth.model import (
    PROVIDER_NAMES,
    Binding,
    OAuthTransaction,
    ProviderUnavailable,
    is_secret,
    new_secret,
    nonce,
    pkce_verifier,
    s256_challenge,
    secret_digest,
)
from atelier.identity.oauth.ports import IdentityProvider, IdentityProviders, OAuthRecords
from atelier.identity.oauth.redirect_target import redirect_target
from atelier.identity.rate_limit import SignInLimits
from atelier.telemetry import logger

CALLBACK_PATH = "/api/auth/oauth/{provider}/callback"


@dataclass(frozen=True, slots=True)
class OAuthDeps:
    """What a visit to an identity provider needs. public_url: of the deployment, without a
    trailing slash. allows_origin: whether pages of an origin may act for the user."""

    providers: IdentityProviders
    records: OAuthRecords
    limits: SignInLimits
    public_url: str
    allows_origin: Callable[[str], bool]

    def provider(self, name: str) -> IdentityProvider:
        """An enabled provider. Raises NotFound."""
        found = self.providers.get(name)
        if found is None:
            raise NotFound("There is no such identity provider here.")
        return found

    def redirect_uri(self, provider: str) -> str:
        """The exact address that is registered at the provider; each provider has its own (RFC 9700, mix-up)."""
        return self.public_url + CALLBACK_PATH.format(provider=provider)


@dataclass(frozen=True, slots=True)
class StartOAuth:
    """A request to begin. browser_secret: of the browser's cookie, if it has one. challenge: S256 of a verifier that
    the frontend keeps, or None. user_id: who links a login; None = somebody signs in."""

    provider: str
    redirect_to: str
    address: str
    browser_secret: str | None = field(default=None, repr=False)
    challenge: str | None = None
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class StartedOAuth:
    """Where to send the browser, and the secret that its cookie has to hold from now on."""

    url: str
    browser_secret: str = field(repr=False)


def enabled_providers(deps: OAuthDeps) -> list[tuple[str, str]]:
    """The enabled identity providers: (id, name for people), always in the same order."""
    return [(provider, name) for provider, name in PROVIDER_NAMES.items() if deps.providers.get(provider)]


def start_oauth(command: StartOAuth, *, deps: OAuthDeps, now: datetime) -> StartedOAuth:
    """Store a transaction, and say where it continues. Raises NotFound for a provider that is not enabled,
    ValidationFailed for an address that is not ours, RateLimited, and Unavailable."""
    provider = deps.provider(command.provider)
    target = redirect_target(command.redirect_to, own=deps.public_url, is_allowed=deps.allows_origin)
    deps.limits.count_start(command.address, now)

    # A browser keeps its secret, so that two of its tabs can sign in at the same time.
    kept = command.browser_secret
    browser_secret = kept if kept is not None and is_secret(kept) else new_secret()
    state = new_secret()
    binding = Binding(secret_digest(browser_secret), command.challenge)
    transaction = OAuthTransaction(
        secret_digest(state), command.provider, target, binding, created_at=now, user_id=command.user_id
    )
    try:
        url = provider.authorization_url(
            redirect_uri=deps.redirect_uri(command.provider),
            state=state,
            nonce=nonce(browser_secret, state),
            challenge=s256_challenge(pkce_verifier(browser_secret, state)),
        )
    except ProviderUnavailable as error:
        logger.warning("identity provider unavailable", provider=command.provider, reason=str(error))
        raise Unavailable(f"{PROVIDER_NAMES[command.provider]} does not answer just now. Try again.") from error
    deps.records.add_transaction(transaction)
    return StartedOAuth(url, browser_secret)
