"""A simulator of GitHub's sign-in: OAuth 2 with PKCE, and the two calls of its API that say who the person is.

`python -m infra.simulators.oauth.github` serves it alone."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from infra.simulators.kit.html import form_of
from infra.simulators.kit.messages import Request, Response
from infra.simulators.kit.server import Route, main
from infra.simulators.oauth.identity_provider import SHARED_FAULTS, Grant, IdentityProviderSimulator, number_of

USER_ID_DIGITS = 9


class GitHubSimulator(IdentityProviderSimulator):
    """GitHub's sign-in, on loopback."""

    title: ClassVar[str] = "GitHub"
    authorize_path: ClassVar[str] = "/login/oauth/authorize"
    sends_issuer: ClassVar[bool] = False
    faults_offered: ClassVar[Mapping[str, str]] = SHARED_FAULTS | {
        "other_verified": "verify another address than the primary one",
        "hidden": "name only the hidden address",
        "no_user": "answer without a user",
    }

    def __init__(self, port: int = 0, **options: Any) -> None:
        self._grant_of_token: dict[str, Grant] = {}
        super().__init__(port, **options)

    @property
    def issuer(self) -> str:
        return f"{self.public_url}/login/oauth"

    def routes(self) -> list[Route]:
        return [
            *super().routes(),
            ("POST", "/login/oauth/access_token", self._token),
            ("GET", "/user", self._user),
            ("GET", "/user/emails", self._emails),
        ]

    def _token(self, request: Request) -> Response:
        grant = self.take_grant(form_of(request))
        if grant is None:
            # GitHub answers 200 here.
            return Response(200, {"error": "bad_verification_code"})
        failure = self.fault_of_server(grant.fault)
        if failure is not None:
            return failure
        token = f"gho_{secrets.token_hex(18)}"
        self._grant_of_token[token] = grant
        scope = grant.parameters.get("scope", "").replace(" ", ",")
        return Response(200, {"access_token": token, "token_type": "bearer", "scope": scope})

    def _user(self, request: Request) -> Response:
        grant = self._grant_of(request)
        if grant is None:
            return Response(401, {"message": "Bad credentials"})
        if grant.fault == "no_user":
            return Response(200, {})
        name = grant.email.partition("@")[0]
        number = 1 + number_of(f"github {grant.email.lower()}", USER_ID_DIGITS)
        return Response(200, {"id": number, "login": name.replace(".", "-"), "name": name.title(), "email": None})

    def _emails(self, request: Request) -> Response:
        grant = self._grant_of(request)
        if grant is None:
            return Response(401, {"message": "Bad credentials"})
        verified = grant.fault not in ("unverified", "other_verified")
        own = {"email": grant.email, "primary": True, "verified": verified, "visibility": "private"}
        hidden = {"email": "1+ada@users.noreply.github.com", "primary": True, "verified": True, "visibility": None}
        other = {"email": f"other.{grant.email}", "primary": False, "verified": True, "visibility": None}
        return Response(
            200, {"no_email": [], "hidden": [hidden], "other_verified": [other, own]}.get(grant.fault, [own])
        )

    def _grant_of(self, request: Request) -> Grant | None:
        return self._grant_of_token.get(request.headers.get("authorization", "").removeprefix("Bearer "))


if __name__ == "__main__":
    main(GitHubSimulator, "oauth.github")
