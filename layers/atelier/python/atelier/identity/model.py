"""Types and rules of identity: users, workspaces, sessions and refresh tokens. Immutable values, no side effects.

A *session* is one signed-in device and one family of refresh tokens: each use of a refresh token replaces it by its
successor. A session stores hashes of tokens only. A successor is derived from the token that the client presented and
from a nonce of that rotation,

    successor = HMAC-SHA256(nonce, presented)

so that a second request with the same token (after a lost response, or from a second tab) gets the *same* successor
for REFRESH_GRACE, without a usable token ever being stored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

from atelier.dataclass import dataclass
from atelier.errors import Conflict, Unauthenticated
from atelier.identity.permissions import Role
from atelier.ids import is_id, new_id

ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
SESSION_IDLE_LIFETIME = timedelta(days=7)
SESSION_LIFETIME = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=10)
REFRESH_SECRET_BYTES = 32
# How long a person has to prove a second factor, or to take back a deletion, after the first factor was proven.
TICKET_LIFETIME = timedelta(minutes=5)
TICKET_SECRET_BYTES = 32
# No client makes more rotations than this within REFRESH_GRACE. The oldest is then removed, and a further use of its
# token counts as reuse of an old token.
ROTATIONS_KEPT_MAX = 8
FREE_TIER = "free"
PLATFORM_USER, PLATFORM_ADMIN = "user", "admin"
PASSWORD = "password"  # nosec B105 - the name of a way to sign in


class EmailTaken(Conflict):
    """An account with this e-mail exists."""

    def __init__(self) -> None:
        super().__init__("There is already an account with this e-mail.")


class UserStatus(StrEnum):
    """Only an active user can sign in."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    ERASED = "erased"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The e-mail address and the password hash of an account, stored apart from the user: a log-in then reads one item
    whether the account exists or not, so its duration does not tell which.

    email: in its normal form; each belongs to one account. signup_key: the SHA-256 of the idempotency key of the
    sign-up. password_hash: None for an account that is entered in other ways only. mailbox: the digest of the mailbox
    behind the address (see mailbox.py); None for an account older than stored mailboxes, until its next log-in."""

    email: str
    user_id: str
    workspace_id: str
    password_hash: str | None = field(repr=False)
    signup_key: str | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person; `workspace_id` is the personal workspace.

    second_factors: the kinds that a log-in by password must be followed by, one of them: `totp`, `passkey`. locale: of
    the person's mails, such as `de`; None = the deployment's. time_zone: a name of the IANA database.
    deletion_due_at: when the account will be erased; None = its deletion was not requested."""

    id: str
    email: str
    email_verified: bool
    name: str
    avatar_url: str | None
    persona: str
    platform_role: str
    status: UserStatus
    workspace_id: str
    created_at: datetime
    email_verified_at: datetime | None = None
    avatar_asset_id: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    second_factors: tuple[str, ...] = ()
    deletion_due_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Workspace:
    """The owner of work and credits. Every user has a personal workspace."""

    id: str
    name: str
    kind: str
    owner_id: str
    tier: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A workspace as one of its members sees it."""

    workspace: Workspace
    role: Role


@dataclass(frozen=True, slots=True)
class UserAccount:
    """A user and the memberships in all workspaces, oldest workspace first. `tier`: the name of the personal
    workspace's tier as of now, which its wallet says."""

    user: User
    memberships: tuple[Membership, ...]
    tier: str


@dataclass(frozen=True, slots=True)
class Device:
    """The client that opened a session: its User-Agent header and its IP address."""

    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token: the ids of its user and session, and a 256-bit secret. `str` gives the text for the client."""

    user_id: str
    session_id: str
    secret: bytes

    def __str__(self) -> str:
        return f"{self.user_id}.{self.session_id}.{base64.urlsafe_b64encode(self.secret).decode().rstrip('=')}"

    def __repr__(self) -> str:
        return f"RefreshToken({self.session_id})"

    @property
    def digest(self) -> str:
        """The SHA-256 of the secret in hex, which is stored in its place. 256 random bits cannot be found by trying, so
        a slow hash is not needed."""
        return hashlib.sha256(self.secret).hexdigest()

    @classmethod
    def parse(cls, text: str) -> RefreshToken:
        """The refresh token from its text, the inverse of `str`; raises Unauthenticated for any other text."""
        user_id, _, rest = text.partition(".")
        session_id, _, encoded = rest.partition(".")
        try:
            secret = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not (is_id(user_id, "usr") and is_id(session_id, "ses") and len(secret) == REFRESH_SECRET_BYTES):
            raise Unauthenticated("The refresh token is not valid.")
        return cls(user_id, session_id, secret)


@dataclass(frozen=True, slots=True)
class SessionTokens:
    """A new access token with its lifetime, and the refresh token for the next pair."""

    access_token: str = field(repr=False)
    expires_in_seconds: int
    refresh_token: RefreshToken


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The result of a sign-in: an open session. `replayed` when a sign-up repeats an earlier one."""

    user: User
    workspace: Workspace
    tokens: SessionTokens
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class SecondFactorRequired:
    """The result of a sign-in of an account with a second factor: a ticket, which opens a session together with one of
    `factors`. Recovery codes are accepted wherever `totp` is."""

    replayed: ClassVar[bool] = False
    ticket: SignInTicket
    factors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeletionPending:
    """The result of a sign-in of an account whose deletion was requested: a ticket that takes the deletion back. No
    session is opened before."""

    replayed: ClassVar[bool] = False
    ticket: SignInTicket
    due_at: datetime


SignInResult = SignedIn | SecondFactorRequired | DeletionPending


class TicketPurpose(StrEnum):
    """What a ticket of a sign-in still lacks."""

    SECOND_FACTOR = "second_factor"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class SignInTicket:
    """A sign-in that has begun: what was proven, and until when the rest must follow. Single use. `str` gives the text
    for the client, `digest` is the SHA-256 of its secret in hex; a stored ticket has no secret."""

    user_id: str
    id: str
    digest: str = field(repr=False)
    purpose: TicketPurpose
    workspace_id: str
    way: str
    second_factor_done: bool
    expires_at: datetime
    secret: bytes | None = field(default=None, repr=False)

    def __str__(self) -> str:
        assert self.secret is not None, "only a new ticket has a text"
        return f"{self.user_id}.{self.id}.{base64.urlsafe_b64encode(self.secret).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class PresentedTicket:
    """The parsed text of a ticket that a client sent."""

    user_id: str
    ticket_id: str
    digest: str = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PresentedTicket:
        """Raises Unauthenticated for a text without the form of a ticket."""
        user_id, _, rest = text.partition(".")
        ticket_id, _, encoded = rest.partition(".")
        try:
            secret = base64.b64decode(encoded + "=", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        if not (is_id(user_id, "usr") and is_id(ticket_id, "tkt") and len(secret) == TICKET_SECRET_BYTES):
            raise ticket_refused()
        return cls(user_id, ticket_id, hashlib.sha256(secret).hexdigest())

    def require(self, ticket: SignInTicket | None, purpose: TicketPurpose, now: datetime) -> SignInTicket:
        """The stored ticket, if this is its text and it is valid for `purpose` now. Raises Unauthenticated."""
        if (
            ticket is None
            or not hmac.compare_digest(self.digest, ticket.digest)
            or ticket.purpose is not purpose
            or now >= ticket.expires_at
        ):
            raise ticket_refused()
        return ticket


def ticket_refused() -> Unauthenticated:
    """The one error for every ticket that is unknown, used or expired."""
    return Unauthenticated("This sign-in has ended. Begin it again.")


@dataclass(frozen=True, slots=True)
class Rotation:
    """One use of a refresh token: the digest of the used token, and the nonce from which its successor is derived."""

    digest: str
    nonce: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in device. `digest` is that of its one unused refresh token; `rotations` are the latest rotations, of
    which those within REFRESH_GRACE count.

    way: how it was opened (`password`, `google`, `github`, `passkey`, `mail_link`). authenticated_at: when a factor was
    proven last; mfa_at: when a second factor, or a passkey, was proven last, None = never in this session."""

    id: str
    user_id: str
    workspace_id: str
    digest: str
    rotations: tuple[Rotation, ...]
    device: Device
    created_at: datetime
    last_used_at: datetime
    authenticated_at: datetime
    way: str = PASSWORD
    mfa_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        """The end of the session, however often it is used."""
        return self.created_at + SESSION_LIFETIME

    @property
    def expires_at(self) -> datetime:
        """The end of the session if it is not used any more."""
        return min(self.last_used_at + SESSION_IDLE_LIFETIME, self.ends_at)

    def is_live(self, now: datetime) -> bool:
        """Whether the session is neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at

    def is_unused_token(self, token: RefreshToken) -> bool:
        """Whether `token` is the session's unused refresh token."""
        return hmac.compare_digest(self.digest, token.digest)

    def successor(self, token: RefreshToken, now: datetime) -> RefreshToken | None:
        """The successor of a used token within REFRESH_GRACE of its use; None afterwards, and for other tokens."""
        for rotation in self.rotations:
            if hmac.compare_digest(rotation.digest, token.digest) and now - rotation.at <= REFRESH_GRACE:
                return _successor(token, rotation.nonce)
        return None

    def rotate(self, token: RefreshToken, at: datetime) -> tuple[Session, RefreshToken]:
        """The session after the first use of `token`, and the successor of `token`."""
        nonce = secrets.token_hex(REFRESH_SECRET_BYTES)
        successor = _successor(token, nonce)
        in_grace = tuple(rotation for rotation in self.rotations if at - rotation.at <= REFRESH_GRACE)
        rotations = (*in_grace, Rotation(token.digest, nonce, at))[-ROTATIONS_KEPT_MAX:]
        return replace(self, digest=successor.digest, rotations=rotations, last_used_at=at), successor


def _successor(token: RefreshToken, nonce: str) -> RefreshToken:
    secret = hmac.digest(bytes.fromhex(nonce), token.secret, "sha256")
    return RefreshToken(token.user_id, token.session_id, secret)


def open_session(
    user_id: str,
    workspace_id: str,
    device: Device,
    now: datetime,
    way: str = PASSWORD,
    *,
    second_factor_done: bool = False,
) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token."""
    token = RefreshToken(user_id, new_id("ses", now), secrets.token_bytes(REFRESH_SECRET_BYTES))
    mfa_at = now if second_factor_done else None
    session = Session(token.session_id, user_id, workspace_id, token.digest, (), device, now, now, now, way, mfa_at)
    return session, token


def new_ticket(
    purpose: TicketPurpose, user_id: str, workspace_id: str, way: str, now: datetime, *, second_factor_done: bool
) -> SignInTicket:
    """A new ticket with a random secret."""
    secret = secrets.token_bytes(TICKET_SECRET_BYTES)
    digest = hashlib.sha256(secret).hexdigest()
    expires_at = now + TICKET_LIFETIME
    return SignInTicket(
        user_id, new_id("tkt", now), digest, purpose, workspace_id, way, second_factor_done, expires_at, secret
    )


def new_user(email: str, name: str, now: datetime, locale: str | None = None) -> tuple[User, Workspace]:
    """A new active user whose e-mail is not verified, and the user's personal workspace on the free tier."""
    user_id, workspace_id = new_id("usr", now), new_id("wsp", now)
    user = User(
        id=user_id,
        email=email,
        email_verified=False,
        name=name,
        avatar_url=None,
        persona="none",
        platform_role=PLATFORM_USER,
        status=UserStatus.ACTIVE,
        workspace_id=workspace_id,
        created_at=now,
        locale=locale,
    )
    return user, Workspace(workspace_id, f"{name}'s workspace", "personal", user_id, FREE_TIER, now)
