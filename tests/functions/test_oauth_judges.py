"""Our client of OpenID Connect against providers that other people wrote: `oidc-provider-mock` in Python, and, where
npm's packages are installed (npm ci --prefix tests/judges), `oauth2-mock-server`, which enforces PKCE."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
import urllib3
from oidc_provider_mock import User, run_server_in_thread

from atelier.adapters.oauth.google import Google
from atelier.clock import system_clock
from atelier.identity.oauth.model import ProviderRefused, new_secret, s256_challenge
from tests.functions.oauth_browser import query_of
from tests.lanes import need_node, not_run
from tests.polling import wait_until

SERVER = Path(__file__).parents[1] / "judges/node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs"
REDIRECT_URI = "https://media.example.com/api/auth/oauth/google/callback"
SUBJECT = "ada"
CLIENT = "atelier", "a secret of the client"


@dataclass(frozen=True)
class Visit:
    """A visit to a provider, with the secrets of its transaction."""

    state: str
    nonce: str
    verifier: str
    code: str


def visit(google: Google, *, sub: str = "") -> Visit:
    """Goes to the provider and comes back with a code. sub: who to be, where the provider asks."""
    state, nonce, verifier = new_secret(), new_secret(), new_secret()
    challenge = s256_challenge(verifier)
    url = google.authorization_url(redirect_uri=REDIRECT_URI, state=state, nonce=nonce, challenge=challenge)
    form, headers = urlencode({"sub": sub}), {"content-type": "application/x-www-form-urlencoded"}
    options = {"body": form, "headers": headers} if sub else {}
    answer = urllib3.request("POST" if sub else "GET", url, redirect=False, retries=False, **options)
    assert answer.status in (302, 303), answer.data
    found = query_of(answer.headers["location"])
    assert found["state"] == state
    google.check_issuer(found.get("iss"))
    return Visit(state, nonce, verifier, found["code"])


def test_an_id_token_of_oidc_provider_mock_is_understood() -> None:
    person = User(sub=SUBJECT, claims={"email": "Ada@Example.com", "email_verified": True, "name": "Ada Lovelace"})
    with run_server_in_thread(require_nonce=True, user_claims=[person]) as server:
        issuer = f"http://localhost:{server.server_port}"
        google = Google(*CLIENT, issuer, allows_http=True)
        made = visit(google, sub=SUBJECT)

        def identify(nonce: str) -> str:
            login = google.identify(
                made.code, redirect_uri=REDIRECT_URI, verifier=made.verifier, nonce=nonce, now=system_clock()
            )
            assert (login.issuer, login.email, login.email_verified) == (issuer, "ada@example.com", True)
            return login.subject

        assert identify(made.nonce) == SUBJECT
        with pytest.raises(ProviderRefused):
            identify(made.nonce)  # The provider takes a code once.
        other = visit(google, sub=SUBJECT)
        with pytest.raises(ProviderRefused, match="nonce"):
            google.identify(
                other.code, redirect_uri=REDIRECT_URI, verifier=other.verifier, nonce=made.nonce, now=system_clock()
            )


@pytest.fixture(scope="module")
def strict_issuer() -> Iterator[str]:
    node = need_node()
    if not SERVER.exists():
        not_run("oauth2-mock-server is not installed (npm ci --prefix tests/judges)")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([node, str(SERVER), "-a", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL)
    issuer = f"http://localhost:{port}"

    def is_ready() -> bool:
        try:
            return urllib3.request("GET", f"{issuer}/jwks", retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    try:
        wait_until(is_ready, 60)
        yield issuer
    finally:
        process.terminate()
        process.wait(30)


def test_a_provider_that_enforces_pkce_takes_our_verifier_and_no_other(strict_issuer: str) -> None:
    google = Google("dummy", CLIENT[1], strict_issuer, allows_http=True)
    right = visit(google)
    with pytest.raises(ProviderRefused, match="status 400"):
        google.identify(
            right.code, redirect_uri=REDIRECT_URI, verifier=new_secret(), nonce=right.nonce, now=system_clock()
        )
    right = visit(google)
    login = google.identify(
        right.code, redirect_uri=REDIRECT_URI, verifier=right.verifier, nonce=right.nonce, now=system_clock()
    )
    assert (login.issuer, login.subject, login.email) == (strict_issuer, "johndoe", None)
    assert json.dumps(login.label)
