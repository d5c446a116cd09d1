"""A person's browser in front of `functions/api/oauth` and an identity provider: it keeps cookies and follows
redirects, and a test may stop it anywhere on the way."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import urllib3

from infra.simulators.oauth.identity_provider import IdentityProviderSimulator
from tests.functions.responses import Reply, invoke_app, success_data
from tests.invoke import EVENTS, complete_event, with_request

TARGET = "/oauth/callback"
EMAIL = "ada@example.com"


@dataclass
class Browser:
    """A browser in front of the function `app`. claims: the authorizer's, of the session in it."""

    app: ModuleType
    cookies: dict[str, str] = field(default_factory=dict[str, str])
    claims: dict[str, Any] | None = None
    address: str = "203.0.113.7"

    def call(self, request: str, body: Any = None, **headers: str) -> Reply:
        """One call of the API with the browser's cookies, which it then keeps."""
        path = urlsplit(request.partition(" ")[2]).path
        above = "/api/auth/oauth" if path.startswith("/api/auth/oauth") else "/api/auth/identities"
        route = f"ANY {above}" + ("" if path == above else "/{proxy+}")
        sent = {"atelier-viewer-address": self.address, **headers}
        event = with_request(complete_event(EVENTS / "api/oauth"), request, route, sent, body)
        event["cookies"] = [f"{name}={value}" for name, value in self.cookies.items()]
        if self.claims:
            event["requestContext"]["authorizer"] = {"lambda": self.claims}
        reply = invoke_app(self.app, event)
        for cookie in reply.get("cookies", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return reply

    def start(self, provider: str = "google", redirect_to: str = TARGET, **query: str) -> str:
        """Begins to sign in; returns the address at the provider."""
        asked = urlencode({"redirect_to": redirect_to, **query})
        reply = self.call(f"GET /api/auth/oauth/{provider}/start?{asked}")
        assert reply["statusCode"] == 302, reply
        return str(reply["headers"]["Location"])

    def consent(self, url: str, email: str = EMAIL, fault: str = "", action: str = "allow") -> str:
        """Presses a button of the provider's page; returns the address of the callback."""
        fields = urlencode({"email": email, "fault": fault, "action": action})
        form = {"content-type": "application/x-www-form-urlencoded"}
        answer = urllib3.request("POST", url, body=fields, headers=form, redirect=False, retries=False)
        assert answer.status == 303, answer.data
        return answer.headers["location"]

    def come_back(self, callback: str) -> dict[str, str]:
        """Opens the callback's address; returns the parameters that the page behind it gets."""
        return query_of(str(self.callback(callback)["headers"]["Location"]))

    def callback(self, callback: str) -> Reply:
        """Opens the callback's address."""
        parts = urlsplit(callback)
        return self.call(f"GET {parts.path}?{parts.query}")

    def code(self, provider: str = "google", email: str = EMAIL, fault: str = "") -> str:
        """The code of a whole visit to a provider."""
        return self.come_back(self.consent(self.start(provider), email, fault))["code"]

    def exchange(self, code: str, **more: Any) -> Reply:
        """Exchanges a code."""
        return self.call("POST /api/auth/oauth/exchange", {"code": code, "token_delivery": "body", **more})

    def sign_in(self, provider: str = "google", email: str = EMAIL) -> dict[str, Any]:
        """Signs in with a provider; returns the data of the exchange, and is signed in if it opened a session."""
        data = success_data(self.exchange(self.code(provider, email)))
        self.remember(data)
        return dict(data)

    def remember(self, data: dict[str, Any]) -> None:
        """Is signed in with a session that the API has opened."""
        if "access_token" in data:
            self.claims = claims_of(data)

    def begin_link(self, provider: str = "google", redirect_to: str = TARGET) -> str:
        """Begins to link a login to the account that is signed in; returns the address at the provider."""
        reply = self.call(f"POST /api/auth/identities/{provider}", {"redirect_to": redirect_to})
        return str(success_data(reply)["url"])

    def link(self, provider: str = "google", email: str = EMAIL, fault: str = "") -> Reply:
        """Links a login to the account that is signed in."""
        code = self.come_back(self.consent(self.begin_link(provider), email, fault))["code"]
        return self.call("POST /api/auth/identities", {"code": code})


def claims_of(data: dict[str, Any]) -> dict[str, Any]:
    """What the authorizer would say about the session that the API has opened."""
    payload = data["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return {
        "user_id": claims["sub"],
        "session_id": claims["sid"],
        "workspace_id": claims["wsp"],
        "expires_at": claims["exp"],
    }


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(url).query, keep_blank_values=True).items()}


def provider_urls(*simulators: IdentityProviderSimulator) -> str:
    """The setting that puts simulators in the place of the providers."""
    return ",".join(f"{each.title.lower()}={each.public_url}" for each in simulators)
