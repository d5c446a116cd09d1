"""GitHub as an identity provider: OAuth 2 with PKCE, then two calls of its API, since it sends no ID token."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast
from urllib.parse import urlencode, urlsplit

from atelier.adapters.oauth._http import OAuthHttp, as_object, error_code
from atelier.adapters.oauth.google import as_email, as_name
from atelier.identity.oauth.model import ExternalLogin, ProviderRefused

# Of its metadata (RFC 8414), and what the callback's `iss` says where it is sent.
ISSUER = "https://github.com/login/oauth"
PAGES, API = "https://github.com", "https://api.github.com"
API_VERSION = "2022-11-28"
# What it calls the address of a user who hides the own one: it proves no mailbox.
HIDDEN_DOMAIN = "@users.noreply.github.com"
SCOPE = "read:user user:email"
USER_ID_MAX = 2**63


class GitHub:
    """IdentityProvider. url: the base URL of a simulator, whose host is then the only one called; empty = GitHub."""

    name = "github"

    def __init__(self, client_id: str, client_secret: str, url: str = "", *, allows_http: bool = False) -> None:
        self._client_id = client_id
        self._client_secret = client_secret
        self._pages, self._api = url or PAGES, url or API
        self._issuer = f"{url}/login/oauth" if url else ISSUER
        hosts = {urlsplit(self._pages).netloc, urlsplit(self._api).netloc}
        self._http = OAuthHttp(hosts, allows_http=allows_http)

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """As the port says; OAuth 2 has no nonce."""
        query = {
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": SCOPE,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "select_account",
        }
        return f"{self._pages}/login/oauth/authorize?{urlencode(query)}"

    def check_issuer(self, issuer: str | None) -> None:
        if issuer not in (None, self._issuer):
            raise ProviderRefused("the callback is of another issuer")

    def identify(self, code: str, *, redirect_uri: str, verifier: str, nonce: str, now: datetime) -> ExternalLogin:
        fields = {
            "client_id": self._client_id,
            "client_secret": self._client_secret,
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        answer = as_object(self._http.post_form(f"{self._pages}/login/oauth/access_token", fields))
        token = answer.get("access_token")
        # GitHub answers 200 for errors too.
        if not isinstance(token, str) or str(answer.get("token_type", "")).lower() != "bearer":
            raise ProviderRefused(f"no access token: {error_code(answer)}")
        headers = {"authorization": f"Bearer {token}", "x-github-api-version": API_VERSION}
        user = as_object(self._http.get(f"{self._api}/user", headers))
        return self._login(user, self._http.get(f"{self._api}/user/emails?per_page=100", headers))

    def _login(self, user: dict[str, Any], emails: Any) -> ExternalLogin:
        user_id, user_name = user.get("id"), user.get("login")
        if type(user_id) is not int or not 0 < user_id < USER_ID_MAX or not isinstance(user_name, str):
            raise ProviderRefused("the user has no id")
        entries = [as_object(each) for each in cast("list[Any]", emails)] if isinstance(emails, list) else []
        [primary, *_] = [each for each in entries if each.get("primary") is True] or [{}]
        email = as_email(primary.get("email"))
        is_verified = email is not None and primary.get("verified") is True and not email.endswith(HIDDEN_DOMAIN)
        name = as_name(user.get("name") or user_name, email)
        return ExternalLogin(self.name, self._issuer, str(user_id), email, is_verified, name, as_name(user_name, email))
