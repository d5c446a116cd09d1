"""Identity's types and rules: users, workspaces, sessions and their refresh tokens. Frozen values, no effects.

A *session* is one signed-in device and one family of refresh tokens. Each use of a refresh token replaces it; what the
session keeps is hashes only. A successor is derived from the token that was presented and a nonce of that one rotation,

    successor = HMAC-SHA256(nonce, presented)

so that a second request with the same token (a lost answer, two tabs) gets the *same* successor during the grace,
without a usable token ever being stored.
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

from atelier.errors import Conflict, Unauthenticated
from atelier.frozen import dataclass
from atelier.identity.permissions import Role
from atelier.ids import is_id, new_id

ACCESS_LIFE = timedelta(minutes=10)
REFRESH_IDLE = timedelta(days=7)
SESSION_LIFE = timedelta(days=30)
REFRESH_GRACE = timedelta(seconds=10)
REFRESH_SECRET_BYTES = 32
# More rotations than this within the grace are no client's doing; the oldest is then forgotten and counts as reuse.
ROTATIONS_KEPT_MAX = 8
FREE_TIER = "free"


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
    """The claim on a normalised e-mail and what proves it, apart from the user: a log-in reads one item whether there
    is one or not, so its time does not tell. `signup_key` digests the idempotency key the account was made with,
    `mailbox` the mailbox behind the address (see mailbox.py; None: from before this was kept, until it logs in)."""

    email: str
    user_id: str
    workspace_id: str
    password_hash: str = field(repr=False)
    signup_key: str | None = None
    mailbox: str | None = None


@dataclass(frozen=True, slots=True)
class User:
    """A person; `workspace_id` is the personal workspace."""

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


@dataclass(frozen=True, slots=True)
class Workspace:
    """Where work and credits live. Every user has a personal one."""

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
class Device:
    """Where a session was opened from, as the device list will show it."""

    user_agent: str
    address: str


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """What a client presents: the session it belongs to and a 256-bit secret."""

    user_id: str
    session_id: str
    secret: bytes

    def __str__(self) -> str:
        return f"{self.user_id}.{self.session_id}.{base64.urlsafe_b64encode(self.secret).decode().rstrip('=')}"

    def __repr__(self) -> str:
        return f"RefreshToken({self.session_id})"

    @property
    def digest(self) -> str:
        """What is stored in place of the secret. It has 256 random bits, so a plain hash cannot be searched."""
        return hashlib.sha256(self.secret).hexdigest()

    @classmethod
    def parse(cls, text: str) -> RefreshToken:
        """The inverse of `str`; raises Unauthenticated."""
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
class Tokens:
    """What a client goes on with."""

    access_token: str = field(repr=False)
    expires_in_seconds: int
    refresh_token: RefreshToken


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The answer to a sign-up (`replayed` when it repeats an earlier one) or a log-in."""

    user: User
    workspace: Workspace
    tokens: Tokens
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Rotation:
    """A refresh token that was used: its digest, and the nonce from which its successor follows."""

    digest: str
    nonce: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One signed-in device. `digest` is the one unused refresh token's, `rotations` are those still in their grace."""

    id: str
    user_id: str
    workspace_id: str
    digest: str
    rotations: tuple[Rotation, ...]
    device: Device
    created_at: datetime
    last_used_at: datetime
    revoked_at: datetime | None = None

    @property
    def ends_at(self) -> datetime:
        """When it ends whatever happens."""
        return self.created_at + SESSION_LIFE

    @property
    def expires_at(self) -> datetime:
        """When it ends unless it is used before."""
        return min(self.last_used_at + REFRESH_IDLE, self.ends_at)

    def live(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and now < self.expires_at

    def awaits(self, token: RefreshToken) -> bool:
        """Whether `token` is the unused one."""
        return hmac.compare_digest(self.digest, token.digest)

    def successor(self, token: RefreshToken, now: datetime) -> RefreshToken | None:
        """The token that `token` was replaced by, while its grace lasts."""
        for rotation in self.rotations:
            if hmac.compare_digest(rotation.digest, token.digest) and now - rotation.at <= REFRESH_GRACE:
                return _successor(token, rotation.nonce)
        return None

    def rotated(self, token: RefreshToken, at: datetime) -> tuple[Session, RefreshToken]:
        """The session after `token` was used for the first time, and the successor."""
        nonce = secrets.token_hex(REFRESH_SECRET_BYTES)
        successor = _successor(token, nonce)
        in_grace = tuple(rotation for rotation in self.rotations if at - rotation.at <= REFRESH_GRACE)
        rotations = (*in_grace, Rotation(token.digest, nonce, at))[-ROTATIONS_KEPT_MAX:]
        return replace(self, digest=successor.digest, rotations=rotations, last_used_at=at), successor


def _successor(token: RefreshToken, nonce: str) -> RefreshToken:
    secret = hmac.digest(bytes.fromhex(nonce), token.secret, "sha256")
    return RefreshToken(token.user_id, token.session_id, secret)


def open_session(user_id: str, workspace_id: str, device: Device, now: datetime) -> tuple[Session, RefreshToken]:
    """A new session and its first refresh token."""
    token = RefreshToken(user_id, new_id("ses", now), secrets.token_bytes(REFRESH_SECRET_BYTES))
    return Session(token.session_id, user_id, workspace_id, token.digest, (), device, now, now), token


def new_user(email: str, name: str, now: datetime) -> tuple[User, Workspace]:
    """An active user whose e-mail is still unverified, and the personal workspace on the free tier."""
    user_id, workspace_id = new_id("usr", now), new_id("wsp", now)
    user = User(
        id=user_id,
        email=email,
        email_verified=False,
        name=name,
        avatar_url=None,
        persona="none",
        platform_role="user",
        status=UserStatus.ACTIVE,
        workspace_id=workspace_id,
        created_at=now,
    )
    return user, Workspace(workspace_id, f"{name}'s workspace", "personal", user_id, FREE_TIER, now)
