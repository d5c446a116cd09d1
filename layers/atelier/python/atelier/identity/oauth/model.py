"""Types and rules of external logins. Immutable values, no side effects.

One sign-in is one *transaction*. Its secrets are not stored but derived from two random values that only the browser
holds together, the secret in its cookie and the state in the address of the callback:

    PKCE verifier = HMAC-SHA256(browser secret, "verifier " + state)
    nonce         = HMAC-SHA256(browser secret, "nonce " + state)

So a stolen table is worth nothing, and a callback in another browser cannot even ask for the tokens. Transactions,
codes and tickets are stored under the SHA-256 of what their holder presents: 256 random bits cannot be found by trying.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import field
from datetime import datetime, timedelta

from atelier.dataclass import dataclass
from atelier.errors import BadRequest, Conflict, Forbidden, Unauthenticated

TRANSACTION_LIFETIME = timedelta(minutes=10)
CODE_LIFETIME = timedelta(seconds=60)
TICKET_LIFETIME = timedelta(minutes=30)
SECRET_BYTES = 32
# 32 bytes in base64url, as are states, browser secrets, codes, tickets and S256 challenges.
SECRET_PATTERN = r"[A-Za-z0-9_-]{43}"  # nosec B105 - the form of every secret
_SECRET = re.compile(SECRET_PATTERN)
# The identity providers that this code knows, with the names that people read. The names are their own.
PROVIDER_NAMES = {"google": "Google", "github": "GitHub"}


class LoginTaken(Conflict):
    """The external login is linked to another account, or a parallel request has just linked it."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"This {PROVIDER_NAMES[provider]} account is linked to another account here.")


class ProviderLinked(Conflict):
    """The account has another login of this provider."""

    def __init__(self, provider: str) -> None:
        super().__init__(f"Another {PROVIDER_NAMES[provider]} account is linked already. Unlink it first.")


class EmailNotVerified(Forbidden):
    """The identity provider does not vouch for an e-mail address of the login."""

    def __init__(self, provider: str) -> None:
        name = PROVIDER_NAMES[provider]
        super().__init__(
            f"{name} does not say that your e-mail address is verified. Verify it at {name}, and try again.",
            reason="provider_email_not_verified",
        )


class ProviderRefused(Exception):
    """The identity provider, or what it sent, cannot be trusted with this sign-in. The text is for the log, and
    contains no secret."""


class ProviderUnavailable(Exception):
    """The identity provider did not answer, or answered with an error that may pass. The text is for the log."""


def new_secret() -> str:
    """256 random bits in base64url."""
    return _base64url(secrets.token_bytes(SECRET_BYTES))


def is_secret(text: str) -> bool:
    """Whether a text has the form of `new_secret`."""
    return _SECRET.fullmatch(text) is not None


def secret_digest(secret: str) -> str:
    """What is stored in place of a secret: its SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def ticket_digest(ticket: str) -> str:
    """The same for a ticket; no code is a ticket, and no ticket a code."""
    return secret_digest(f"ticket {ticket}")


def link_digest(link_id: str) -> str:
    """The same for the id of a link in a mail."""
    return secret_digest(f"link {link_id}")


def pkce_verifier(browser_secret: str, state: str) -> str:
    """The PKCE verifier of a transaction (RFC 7636)."""
    return _derive(browser_secret, f"verifier {state}")


def nonce(browser_secret: str, state: str) -> str:
    """The nonce of a transaction, which the ID token must repeat."""
    return _derive(browser_secret, f"nonce {state}")


def s256_challenge(verifier: str) -> str:
    """The S256 challenge of a PKCE verifier."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _derive(browser_secret: str, purpose: str) -> str:
    return _base64url(hmac.digest(browser_secret.encode(), purpose.encode(), "sha256"))


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class ExternalLogin:
    """A person at an identity provider. `issuer` and `subject` identify the person for ever; the rest may change.
    email: in its normal form, None when the provider names none; it proves a mailbox only if it is verified. label: how
    the person recognises the login (the address, or the user name)."""

    provider: str
    issuer: str
    subject: str
    email: str | None
    email_verified: bool
    name: str
    label: str

    @property
    def digest(self) -> str:
        """The SHA-256 over issuer and subject in hex: the key of the login's claim."""
        return hashlib.sha256(f"{self.issuer}\n{self.subject}".encode()).hexdigest()

    def verified_email(self) -> str:
        """The address whose mailbox the login proves. Raises EmailNotVerified."""
        if self.email is None or not self.email_verified:
            raise EmailNotVerified(self.provider)
        return self.email


@dataclass(frozen=True, slots=True)
class LinkedLogin:
    """The link of an external login to the account that it signs in to. last_used_at: of the last sign-in with it."""

    provider: str
    digest: str
    label: str
    user_id: str
    workspace_id: str
    linked_at: datetime
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Binding:
    """Who may finish what was begun: the browser with this secret (its digest), and, where `challenge` is set, only
    whoever has its verifier. The second is for frontends of another site, which do not send the cookie."""

    browser: str
    challenge: str | None = None

    def require(self, browser_secret: str | None, verifier: str | None) -> None:
        """Raises Unauthenticated for another browser, or another frontend."""
        if self.challenge is not None:
            presented = s256_challenge(verifier or "")
            if not hmac.compare_digest(presented, self.challenge):
                raise other_browser()
        elif not self.is_browser(browser_secret):
            raise other_browser()

    def is_browser(self, browser_secret: str | None) -> bool:
        """Whether the secret is that of the browser that began."""
        return hmac.compare_digest(secret_digest(browser_secret or ""), self.browser)


@dataclass(frozen=True, slots=True)
class OAuthTransaction:
    """One visit to an identity provider. `state_digest`: its key. user_id: who links a login to their account; None for
    a sign-in."""

    state_digest: str
    provider: str
    redirect_to: str
    binding: Binding
    created_at: datetime
    user_id: str | None = None
    used_at: datetime | None = None

    @property
    def expires_at(self) -> datetime:
        """After this time the callback is refused."""
        return self.created_at + TRANSACTION_LIFETIME


@dataclass(frozen=True, slots=True)
class LoginProof:
    """A login that the identity provider has just confirmed, and what may be done with it once: exchanged for a session
    by a code, or linked to an account by a ticket. `digest`: of the code or ticket. user_id: of a code, who links it
    (None: it signs in); of a ticket or a link in a mail, the account that has the login's e-mail address."""

    digest: str
    login: ExternalLogin = field(repr=False)
    binding: Binding
    expires_at: datetime
    user_id: str | None = None


def other_browser() -> Unauthenticated:
    """The one error for a code, ticket or state in the wrong hands, and for one that does not exist."""
    return Unauthenticated("This sign-in was begun elsewhere, or has ended. Begin again.")


def invalid_state() -> BadRequest:
    """The one error for a callback that belongs to no transaction of this browser."""
    return BadRequest("This sign-in was begun in another browser, or has ended. Begin again.")
