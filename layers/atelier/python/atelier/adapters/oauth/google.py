"""Google as an identity provider: OpenID Connect Core 1.0, by its discovery document.

Any provider of OpenID Connect works alike; Google's are the addresses, and the second form of its issuer.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from atelier.adapters.oauth._http import OAuthHttp, as_object
from atelier.adapters.oauth.id_tokens import IdTokens, unverified_key_id
from atelier.dataclass import dataclass
from atelier.identity.credentials import normalize_email
from atelier.identity.oauth.model import ExternalLogin, ProviderRefused

ISSUER = "https://accounts.google.com"
# Where its endpoints are, as its discovery document of 2026 names them.
HOSTS = ("accounts.google.com", "oauth2.googleapis.com", "www.googleapis.com")
SCOPE = "openid email profile"
NAME_CHARACTERS_MAX = 100
SUBJECT_CHARACTERS_MAX = 255
CACHE_SECONDS = 3600.0
# The least time between two reads of the keys. Without it anyone could cause a read per request, by an unknown key id.
FRESH_CACHE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class _Endpoints:
    authorization: str
    token: str
    keys: str
    sends_issuer: bool


class Google:
    """IdentityProvider. url: the issuer of a simulator, whose host is then the only one called; empty = Google.
    seconds: a monotonic clock."""

    name = "google"

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        url: str = "",
        *,
        allows_http: bool = False,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._issuer = issuer = url or ISSUER
        # Google's ID tokens may name their issuer without the scheme.
        issuers = (issuer, issuer.removeprefix("https://")) if issuer == ISSUER else (issuer,)
        self._id_tokens = IdTokens(issuers, client_id)
        self._hosts = HOSTS if issuer == ISSUER else (urlsplit(issuer).netloc,)
        self._http = OAuthHttp(self._hosts, allows_http=allows_http)
        self._seconds = seconds
        self._found_endpoints: _Endpoints | None = None
        self._endpoints_at = 0.0
        self._keys: list[dict[str, Any]] = []
        self._keys_at: float | None = None

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "select_account",
        }
        return f"{self._endpoints().authorization}?{urlencode(query)}"

    def check_issuer(self, issuer: str | None) -> None:
        if issuer != self._issuer and (issuer is not None or self._endpoints().sends_issuer):
            raise ProviderRefused("the callback is of another issuer")

    def identify(self, code: str, *, redirect_uri: str, verifier: str, nonce: str, now: datetime) -> ExternalLogin:
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code_verifier": verifier,
        }
        answer = as_object(self._http.post_form(self._endpoints().token, fields))
        id_token = answer.get("id_token")
        if not isinstance(id_token, str):
            raise ProviderRefused("there is no ID token")
        claims = self._id_tokens.verify(id_token, self._key_of(id_token), now)
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise ProviderRefused("the ID token has another nonce")
        return self._login(claims)

    def _login(self, claims: dict[str, Any]) -> ExternalLogin:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_CHARACTERS_MAX:
            raise ProviderRefused("the ID token has no subject")
        email = as_email(claims.get("email"))
        # Only the boolean counts: some providers send the text "false".
        is_verified = email is not None and claims.get("email_verified") is True
        name = as_name(claims.get("name"), email)
        return ExternalLogin(self.name, self._issuer, subject, email, is_verified, name, email or name)

    def _endpoints(self) -> _Endpoints:
        if self._found_endpoints is None or self._seconds() - self._endpoints_at > CACHE_SECONDS:
            found = as_object(self._http.get(f"{self._issuer}/.well-known/openid-configuration"))
            if found.get("issuer") != self._issuer:
                raise ProviderRefused("the discovery document is of another issuer")
            addresses = (found.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"))
            authorization, token, keys = (self._http.check(str(address)) for address in addresses)
            sends_issuer = found.get("authorization_response_iss_parameter_supported") is True
            self._found_endpoints = _Endpoints(authorization, token, keys, sends_issuer)
            self._endpoints_at = self._seconds()
        return self._found_endpoints

    def _key_of(self, id_token: str) -> dict[str, Any]:
        """The public key that a token names. An unknown one may be newer than our copy of the set, so the set is read
        once more, but not often. Raises ProviderRefused."""
        key_id = unverified_key_id(id_token)
        found = self._known_key(key_id)
        age = None if self._keys_at is None else self._seconds() - self._keys_at
        if age is None or age > (FRESH_CACHE_SECONDS if found is None else CACHE_SECONDS):
            self._keys_at = self._seconds()
            keys: Any = as_object(self._http.get(self._endpoints().keys)).get("keys")
            self._keys = [as_object(key) for key in cast("list[Any]", keys)] if isinstance(keys, list) else []
            found = self._known_key(key_id)
        if found is None:
            raise ProviderRefused("the ID token is signed by an unknown key")
        return found

    def _known_key(self, key_id: str | None) -> dict[str, Any] | None:
        """The key of this id; without an id the only key there is (OpenID Connect Core 1.0, §10.1)."""
        if key_id is None:
            return self._keys[0] if len(self._keys) == 1 else None
        return next((key for key in self._keys if key.get("kid") == key_id), None)


def as_email(value: Any) -> str | None:
    """An address in its normal form; None for what is no address."""
    try:
        return normalize_email(value) if isinstance(value, str) else None
    except ValueError:
        return None


def as_name(value: Any, email: str | None) -> str:
    """A name for a new account: what the provider says, without control characters, else the local part of the
    address."""
    text = "".join(filter(str.isprintable, value)).strip() if isinstance(value, str) else ""
    return text[:NAME_CHARACTERS_MAX].strip() or (email or "").partition("@")[0] or "Somebody"
