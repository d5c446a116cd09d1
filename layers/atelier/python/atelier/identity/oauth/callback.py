"""The browser comes back from the identity provider: check that it is this browser's own visit, ask the provider over
the back channel who has signed in, and send the browser on with a code that can be exchanged once."""

from __future__ import annotations

from dataclasses import field
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.identity.oauth.model import (
    CODE_LIFETIME,
    LoginProof,
    OAuthTransaction,
    ProviderRefused,
    ProviderUnavailable,
    invalid_state,
    new_secret,
    nonce,
    pkce_verifier,
    secret_digest,
)
from atelier.identity.oauth.redirect_target import with_parameters
from atelier.identity.oauth.start import OAuthDeps
from atelier.telemetry import logger


@dataclass(frozen=True, slots=True)
class OAuthCallback:
    """A request to the callback of `provider`. code, error, issuer: the parameters that the provider sent.
    browser_secret: of the browser's cookie, None = it sent none."""

    provider: str
    state: str = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None
    issuer: str | None
    browser_secret: str | None = field(repr=False)


def receive_callback(callback: OAuthCallback, *, deps: OAuthDeps, now: datetime) -> str:
    """Where to send the browser: the page that the transaction names, with `code`, or with `error`: `access_denied`
    (the person said no), `expired` (too late, or a second time), `temporarily_unavailable` or `invalid_response` (of
    the provider).

    Raises NotFound for a provider that is not enabled, and BadRequest when the state is none of this browser's for this
    provider: then there is no page that could be trusted."""
    deps.provider(callback.provider)
    transaction = deps.records.transaction(secret_digest(callback.state))
    if (
        transaction is None
        or transaction.provider != callback.provider
        or not transaction.binding.is_browser(callback.browser_secret)
    ):
        raise invalid_state()
    if now >= transaction.expires_at or not deps.records.use_transaction(transaction, now):
        return with_parameters(transaction.redirect_to, error="expired")

    try:
        code = _confirm(callback, transaction, deps, now)
    except ProviderRefused as error:
        logger.warning("identity provider refused", provider=callback.provider, reason=str(error))
        return with_parameters(transaction.redirect_to, error="invalid_response")
    except ProviderUnavailable as error:
        logger.warning("identity provider unavailable", provider=callback.provider, reason=str(error))
        return with_parameters(transaction.redirect_to, error="temporarily_unavailable")
    if code is None:
        return with_parameters(transaction.redirect_to, error="access_denied")
    return with_parameters(transaction.redirect_to, code=code)


def _confirm(callback: OAuthCallback, transaction: OAuthTransaction, deps: OAuthDeps, now: datetime) -> str | None:
    """The code to send the browser on with; None when the person said no. Raises ProviderRefused or
    ProviderUnavailable."""
    provider = deps.provider(callback.provider)
    provider.check_issuer(callback.issuer)
    if callback.error == "access_denied":
        return None
    if callback.code is None:
        raise ProviderRefused("the callback has no code")
    browser_secret = callback.browser_secret or ""
    login = provider.identify(
        callback.code,
        redirect_uri=deps.redirect_uri(callback.provider),
        verifier=pkce_verifier(browser_secret, callback.state),
        nonce=nonce(browser_secret, callback.state),
        now=now,
    )
    code = new_secret()
    proof = LoginProof(secret_digest(code), login, transaction.binding, now + CODE_LIFETIME, transaction.user_id)
    deps.records.add_proof(proof)
    return code
