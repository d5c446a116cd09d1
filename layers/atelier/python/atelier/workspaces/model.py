"""Workspaces and members as values, and their rules. Immutable, no side effects.

A *personal* workspace belongs to one person for ever. An *organisation* is a workspace with members, of whom at least
one is an owner at any time.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime, timedelta
from typing import Literal

from atelier.audit_log.model import Origin
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.identity.permissions import Role

# For how long a deleted organisation can be restored.
UNDO_TIME = timedelta(days=14)
# For how long an invitation can be accepted.
INVITATION_LIFETIME = timedelta(days=7)
# Of how many organisations one person may be a member, deleted ones included.
ORGANIZATIONS_PER_USER_MAX = 50
SLUG_LENGTH_MIN, SLUG_LENGTH_MAX = 3, 40
SLUG_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
WorkspaceKind = Literal["personal", "organization"]


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """Settings of an organisation.

    require_mfa: its members need a second factor. open_invitations: whoever holds the link of an invitation may accept
    it; otherwise only the invited e-mail address may."""

    require_mfa: bool = False
    open_invitations: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceProfile:
    """A workspace with what its members may change. `owner_id`: who created it, or to whom it was transferred last.
    `owners`, `members`: how many there are. `slug`: its unique short name; a personal workspace has none."""

    id: str
    kind: WorkspaceKind
    name: str
    owner_id: str
    created_at: datetime
    updated_at: datetime
    slug: str | None = None
    avatar_asset_id: str | None = None
    settings: WorkspaceSettings = WorkspaceSettings()
    owners: int = 1
    members: int = 1
    deleted_at: datetime | None = None

    @property
    def restorable_until(self) -> datetime | None:
        """Until when a deleted organisation can be restored; None when it is not deleted."""
        return self.deleted_at + UNDO_TIME if self.deleted_at else None


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an organisation."""

    workspace_id: str
    user_id: str
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class MemberDetails:
    """A member with what the other members see of the person."""

    member: Member
    name: str
    email: str
    avatar_url: str | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes members: a member with the role that the request was authorised by, and where the request came
    from."""

    user_id: str
    role: Role
    origin: Origin


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation of an e-mail address to an organisation. It is accepted once, until `expires_at`. locale: of its
    mail. request_key: a digest of the idempotency key of the request that made it."""

    id: str
    workspace_id: str
    email: str
    role: Role
    invited_by: str
    created_at: datetime
    sent_at: datetime
    expires_at: datetime
    locale: str | None = None
    request_key: str | None = None
    accepted_at: datetime | None = None
    accepted_by: str | None = None

    def is_open(self, now: datetime) -> bool:
        """Whether it can be accepted."""
        return self.accepted_at is None and now < self.expires_at


class LastOwner(Conflict):
    """The change would leave an organisation without an owner."""

    def __init__(self) -> None:
        super().__init__("An organisation needs an owner. Make somebody else an owner first.")


class LeavingMember(Conflict):
    """The change would make somebody an owner whose account is being deleted."""

    def __init__(self) -> None:
        super().__init__("The account of this person is being deleted.")


def slug_from_name(name: str) -> str:
    """The slug that a name suggests; "team" for a name without Latin letters and digits."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = "-".join(re.findall(r"[a-z0-9]+", plain))[:SLUG_LENGTH_MAX].strip("-")
    return slug if len(slug) >= SLUG_LENGTH_MIN else "team"
