"""What the simulators of identity providers share: the page where a person chooses who they are, codes, and PKCE.

A person types any e-mail address, and is that person from then on: the subject is derived from the address, so nothing
has to be kept. The page also offers to misbehave (`faults_offered` of a simulator); a test posts the same field.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, ClassVar
from urllib.parse import urlencode

from infra.simulators.kit.html import button, field, form, form_of, page, paragraph, redirect
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import ConnectionLost, Route, Simulator

CLIENT_ID, CLIENT_SECRET = "atelier-local", "simulator"
EXAMPLE_EMAIL = "ada@example.com"
# How each of them can misbehave: name → what it does.
SHARED_FAULTS = {
    "unverified": "say that the address is not verified",
    "no_email": "name no address",
    "other_iss": "name another issuer in the callback",
    "foreign_code": "hand out a code of another client",
    "500": "fail with 500 when the code comes",
    "slow": "not answer when the code comes",
    "garbage": "answer without JSON when the code comes",
    "huge": "answer with megabytes when the code comes",
    "redirect": "redirect when the code comes",
}


@dataclass(frozen=True)
class Grant:
    """What a code stands for: the request of the client, who the person is, and how to misbehave."""

    parameters: Mapping[str, str]
    email: str
    fault: str


class IdentityProviderSimulator(Simulator):
    """A server in the place of an identity provider; see `Simulator`. `public_url`: where browsers and the product
    reach it, without a trailing slash; None = its own address. `redirect_uri`: the registered one, None = any.

    A subclass has a `title`, its `faults_offered` (SHARED_FAULTS and its own), and its own routes."""

    title: ClassVar[str]
    faults_offered: ClassVar[Mapping[str, str]]
    authorize_path: ClassVar[str]
    sends_issuer: ClassVar[bool]

    def __init__(
        self, port: int = 0, *, public_url: str | None = None, redirect_uri: str | None = None, **options: Any
    ) -> None:
        super().__init__(port, **options)
        self.public_url = public_url or self.url
        self.redirect_uri = redirect_uri
        self.grants: dict[str, Grant] = {}

    @property
    def access(self) -> dict[str, str]:
        """The registration of the product, as its secret holds it."""
        return {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}

    @property
    def issuer(self) -> str:
        """What the callback's `iss` says."""
        return self.public_url

    def routes(self) -> list[Route]:
        return [("GET", self.authorize_path, self._choose), ("POST", self.authorize_path, self._decide)]

    # ---- the person's page -------------------------------------------------------------------------------------------

    def _choose(self, request: Request) -> Response:
        """The page where a person says who they are."""
        refused = self._refused_client(request.query)
        if refused:
            return self._page("This request is not valid", paragraph(refused, "error"), status=400)
        options = "".join(
            f'<option value="{escape(name)}">{escape(text)}</option>' for name, text in self.faults_offered.items()
        )
        return self._page(
            f"Sign in with {self.title}",
            paragraph(f"This is a simulator: {self.title} is not asked, and any address will do."),
            form(
                f"{self.public_url}{self.authorize_path}?{urlencode(request.query)}",
                field("E-mail address", "email", EXAMPLE_EMAIL, "email"),
                f'<label>Then <select name="fault"><option value="">behave well</option>{options}</select></label>',
                button("Go on", "allow"),
                button("Cancel", "deny"),
            ),
        )

    def _decide(self, request: Request) -> Response:
        """Sends the person back to the client, with a code or an error."""
        query, fields = request.query, form_of(request)
        if refused := self._refused_client(query):
            return self._page("This request is not valid", paragraph(refused, "error"), status=400)
        fault = fields.get("fault", "")
        answer = {"state": query.get("state", "")}
        if fields.get("action") == "deny":
            answer["error"] = "access_denied"
        else:
            code = secrets.token_urlsafe(24)
            parameters = query | ({"client_id": "another-client"} if fault == "foreign_code" else {})
            self.grants[code] = Grant(parameters, fields.get("email", EXAMPLE_EMAIL), fault)
            answer["code"] = code
        if fault == "other_iss":
            answer["iss"] = "https://elsewhere.example"
        elif self.sends_issuer and fault != "no_iss":
            answer["iss"] = self.issuer
        return redirect(f"{query['redirect_uri']}?{urlencode(answer)}")

    def _refused_client(self, query: Mapping[str, str]) -> str:
        """Why a request to sign in is refused; empty for a valid one."""
        if query.get("client_id") != CLIENT_ID:
            return "The client is not known."
        if not query.get("redirect_uri") or self.redirect_uri not in (None, query["redirect_uri"]):
            return "The redirect address is not the registered one."
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            return "The PKCE challenge is missing."
        return ""

    def _page(self, title: str, *blocks: str, status: int = 200) -> Response:
        about = f"A simulator of {self.title}, on this machine alone."
        return page(title, *blocks, about=about, status=status)

    # ---- the back channel --------------------------------------------------------------------------------------------

    def take_grant(self, fields: Mapping[str, str]) -> Grant | None:
        """The grant of a code, once, for the client that it was issued to, with its redirect address and verifier."""
        grant = self.grants.pop(fields.get("code", ""), None)
        if grant is None or (fields.get("client_id"), fields.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return None
        digest = hashlib.sha256(fields.get("code_verifier", "").encode()).digest()
        expected = {
            "client_id": fields["client_id"],
            "redirect_uri": fields.get("redirect_uri"),
            "code_challenge": base64url(digest),
        }
        return grant if expected.items() <= dict(grant.parameters).items() else None

    def fault_of_server(self, fault: str) -> Response | None:
        """The answer of a server that fails, if that is the fault."""
        match fault:
            case "500":
                return Response(500, {"error": "server_error"})
            case "slow":
                self.stopping.wait(30)
                raise ConnectionLost
            case "garbage":
                return Response(200, b"<html>down for maintenance</html>", {"content-type": "text/html"})
            case "huge":
                return Response(200, pieces=(b" " * 65536 for _ in range(64)))
            case "redirect":
                return Response(307, b"", {"location": "http://169.254.169.254/"})
            case _:
                return None


def base64url(value: bytes) -> str:
    """Without padding, as JOSE and PKCE want it."""
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def number_of(text: str, digits: int) -> int:
    """A number of so many digits at most, always the same for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()) % 10**digits
