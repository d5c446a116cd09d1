"""The ports of external logins: identity providers, records of transactions, and links to accounts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.identity.model import Credentials, User, Workspace
from atelier.identity.oauth.model import ExternalLogin, LinkedLogin, LoginProof, OAuthTransaction
from atelier.identity.pending_link import PendingLink


class IdentityProvider(Protocol):
    """An identity provider, as one deployment is registered there."""

    def authorization_url(self, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Where the browser is sent. challenge: PKCE, S256. Raises ProviderUnavailable."""
        ...

    def check_issuer(self, issuer: str | None) -> None:
        """Check the callback's parameter `iss` (RFC 9207). Raises ProviderRefused when it names another issuer, or is
        missing though the provider always sends it."""
        ...

    def identify(self, code: str, *, redirect_uri: str, verifier: str, nonce: str, now: datetime) -> ExternalLogin:
        """Exchange an authorization code over the back channel, and say who has signed in. Raises ProviderRefused or
        ProviderUnavailable."""
        ...


class IdentityProviders(Protocol):
    """The identity providers of a deployment."""

    def get(self, name: str) -> IdentityProvider | None:
        """A provider by its id; None when it is not enabled."""
        ...


class OAuthRecords(Protocol):
    """Transactions, codes and tickets; each ends by itself and is used once."""

    def add_transaction(self, transaction: OAuthTransaction) -> None:
        """Store a new transaction."""
        ...

    def transaction(self, state_digest: str) -> OAuthTransaction | None:
        """A transaction by a consistent read, also when it is used or expired."""
        ...

    def use_transaction(self, transaction: OAuthTransaction, at: datetime) -> bool:
        """Mark a transaction as used; False when it was used before."""
        ...

    def add_proof(self, proof: LoginProof) -> None:
        """Store a new code or ticket."""
        ...

    def proof(self, digest: str) -> LoginProof | None:
        """A code or ticket by a consistent read, also when it is expired; None when it was taken."""
        ...

    def take_proof(self, proof: LoginProof) -> bool:
        """Remove a code or ticket; False when it was taken before."""
        ...


class ExternalLogins(Protocol):
    """The links between external logins and accounts. A login is linked to one account at most, and an account has one
    login of each provider at most."""

    def find(self, login: ExternalLogin) -> LinkedLogin | None:
        """The link of a login, by a consistent read."""
        ...

    def list(self, user_id: str) -> Sequence[LinkedLogin]:
        """The logins of an account, by a consistent read."""
        ...

    def create_account(
        self,
        credentials: Credentials,
        user: User,
        workspace: Workspace,
        login: ExternalLogin,
        now: datetime,
        events: Sequence[AuditEvent] = (),
    ) -> None:
        """Store a new account with a verified e-mail address, its wallet, and the login by which its owner signs in:
        all or nothing. The mailbox's daily credits are the account's, unless a verified account has them. Raises
        EmailTaken or LoginTaken."""
        ...

    def link(
        self,
        user: User,
        login: ExternalLogin,
        now: datetime,
        events: Sequence[AuditEvent] = (),
        *,
        pending: PendingLink | None = None,
    ) -> LinkedLogin:
        """Link a login to an account. Linking it again changes nothing and writes no event. Raises LoginTaken or
        ProviderLinked. pending: a link of a mail that is used up with it; raises LinkRefused when it was before."""
        ...

    def remove_ways_in(self, user: User, pending: PendingLink, now: datetime) -> None:
        """Remove the password of an unverified account, its factors, logins and begun sign-ins, so that nobody can sign
        in to it. pending: the link of a mail that asks for it, which is used up first, so that of two requests one does
        it. Raises LinkRefused."""
        ...

    def unlink(self, user_id: str, provider: str, events: Sequence[AuditEvent] = ()) -> None:
        """Remove the link to a provider. Raises NotFound, and LastWayIn when nothing else opens the account."""
        ...

    def record_use(self, link: LinkedLogin, at: datetime) -> None:
        """Store when a login was last used."""
        ...
