"""What identity needs from outside."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from atelier.identity.api_tokens import ApiToken, TokenPage
from atelier.identity.model import Credentials, Membership, Session, User, Workspace
from atelier.identity.permissions import Role


class Accounts(Protocol):
    """Users with their credentials, workspaces and memberships."""

    def create(self, credentials: Credentials, user: User, workspace: Workspace, session: Session) -> None:
        """Write the claim on the e-mail, the user, the workspace, its owner's membership, an empty wallet and the first
        session: all or nothing. Raises EmailTaken.

        The first account of a mailbox claims its daily credits, for ever: the claim outlives the account. The wallet of
        every later one has none."""
        ...

    def verify(self, user_id: str, mailbox: str, at: datetime) -> User:
        """Mark a user's e-mail address as verified, and give the mailbox's daily credits to the user's wallet, unless
        another verified account has them. Idempotent. Raises NotFound."""
        ...

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        """For an account from before mailboxes were kept: note its mailbox, and claim the daily credits of the mailbox
        unless another account has them. Its own wallet stays as it is. Raises nothing: the next log-in tries again."""
        ...

    def credentials(self, email: str) -> Credentials | None:
        """What is known of a normalised e-mail (consistent)."""
        ...

    def replace_password_hash(self, credentials: Credentials, password_hash: str) -> None:
        """Store a stronger hash of the same password; does nothing when the password was changed meanwhile."""
        ...

    def owner(self, user_id: str, workspace_id: str) -> tuple[User, Workspace]:
        """A user and their personal workspace (consistent); raises NotFound."""
        ...

    def account(self, user_id: str) -> tuple[User, list[Membership]]:
        """A user and all their workspaces, oldest first; raises NotFound."""
        ...

    def signed_in(self, user_id: str, at: datetime) -> None:
        """Note the last sign-in."""
        ...


class Sessions(Protocol):
    """Sessions with their refresh tokens' digests."""

    def add(self, session: Session) -> None: ...

    def session(self, user_id: str, session_id: str) -> Session | None:
        """Consistent."""
        ...

    def rotate(self, before: Session, after: Session) -> bool:
        """Store a rotation; False when the session was rotated or revoked since `before` was read."""
        ...

    def revoke(self, user_id: str, session_id: str, at: datetime) -> None:
        """End a session and its refresh tokens; ending it again, or one that is not there, changes nothing."""
        ...


class Standings(Protocol):
    """What the gate asks."""

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        """The user's role in a workspace; None for a stranger."""
        ...

    def standing(self, user_id: str, session_id: str, workspace_id: str) -> tuple[Session | None, Role | None]:
        """The session and the role, as they are now: one consistent read of both."""
        ...

    def bearing(self, user_id: str, workspace_id: str, token_id: str) -> tuple[ApiToken | None, Role | None]:
        """A workspace's API token and its user's role there, as they are now: one consistent read. Who is not active
        has no role."""
        ...


class ApiTokens(Protocol):
    """API tokens, kept below their workspace. A revoked one is remembered for a while, and listed no more."""

    def add_token(self, token: ApiToken) -> None:
        """Raises TokenExists when there is one with its id, revoked or not; TooManyTokens when the workspace has its
        share, however many are added at once."""
        ...

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        """Consistent; a revoked one too."""
        ...

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage: ...

    def note_use(self, token: ApiToken, at: datetime) -> None:
        """Say when it was used. A note that gets lost is no reason to refuse a request: raises nothing."""
        ...

    def revoke_token(self, workspace_id: str, token_id: str, at: datetime) -> bool:
        """End a token; False when there is none, or none any more."""
        ...


class IdempotencyKeys(Protocol):
    """Callers' own keys, each bound to one id for ever."""

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        """Bind a key to `new_id`, or answer what it is bound to. Raises IdempotencyMismatch for another request."""
        ...


class Passwords(Protocol):
    """Slow hashes of passwords."""

    def hash(self, password: str) -> str: ...

    def verify(self, password_hash: str | None, password: str) -> bool:
        """False, after the same work, when there is no hash to compare with."""
        ...

    def outdated(self, password_hash: str) -> bool:
        """Whether it was made with weaker parameters than today's."""
        ...


class KeySets(Protocol):
    """The signing keys (`signing.py` says what a key set is)."""

    def key_set(self, *, fresh: bool = False) -> Mapping[str, Any]:
        """The key set, which may be some minutes old. `fresh` asks for it as it is now, within what the source can
        bear: a stranger can cause that call."""
        ...


class RateWindows(Protocol):
    """Shared counters of fixed windows that start at whole multiples of their length since 1970."""

    def add(self, subject: str, count: int, window_seconds: int, now: datetime) -> int:
        """Add to the current window; the window's sum so far."""
        ...

    def take(self, subject: str, limit: int, window_seconds: int, now: datetime) -> bool:
        """Count one, exactly: False when the window already holds `limit`."""
        ...
