"""The stored form of accounts, sessions and API tokens: the items, and their conversion from and to values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
    UnicodeSetAttribute,
)
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.clock import parse_rfc3339, rfc3339
from atelier.identity.api_tokens import ApiToken
from atelier.identity.model import (
    PASSWORD,
    Credentials,
    Device,
    Rotation,
    Session,
    User,
    UserStatus,
    Workspace,
)
from atelier.identity.second_factor import PASSKEY, TOTP

PROFILE = "profile"
CREDENTIALS = "credentials"
DAILY_CREDITS = "daily-credits"
DUE_ERASURES = "due-erasures"
# The first character of each partition of the index `directory` but the first one.
DIRECTORY_STARTS = "adgjmps"
TOKEN_COUNT = "tokens"  # nosec B105 - the name of an item


class IdentityItem(Item):
    """Base of this table's items; `kind` tells the class of an item that was read."""

    kind = DiscriminatorAttribute()


class CredentialsItem(IdentityItem, discriminator="credentials"):
    user_id = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    password_hash = UnicodeAttribute(null=True)
    signup_key = UnicodeAttribute(null=True)
    mailbox = UnicodeAttribute(null=True)


class MailboxItem(IdentityItem, discriminator="mailbox"):
    workspace_id = UnicodeAttribute()
    verified_at = UnicodeAttribute(null=True)


class UserItem(IdentityItem, discriminator="user"):
    email = UnicodeAttribute()
    email_verified = BooleanAttribute()
    email_verified_at = UnicodeAttribute(null=True)
    name = UnicodeAttribute()
    avatar_url = UnicodeAttribute(null=True)
    persona = UnicodeAttribute()
    platform_role = UnicodeAttribute()
    status = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    last_login_at = UnicodeAttribute()
    avatar_asset_id = UnicodeAttribute(null=True)
    locale = UnicodeAttribute(null=True)
    time_zone = UnicodeAttribute(null=True)
    # The confirmed authenticator (its factor's id), and the number of passkeys.
    totp = UnicodeAttribute(null=True)
    passkeys = NumberAttribute(null=True)
    # The number of ways to sign in: a password, passkeys, external logins. Missing = one, of an account from before.
    ways_in = NumberAttribute(null=True)
    deletion_due_at = UnicodeAttribute(null=True)
    # The organisations in whose counters of owners the user is left out until the account is restored.
    released = UnicodeSetAttribute(null=True)
    # How often the user became an owner of an organisation: a request for deletion sees each one.
    ownerships = NumberAttribute(null=True)
    # The number of organisations of which the user is a member.
    organizations = NumberAttribute(null=True)
    # The partition of the index by which administrators list users (`directory.py`). Missing in items from before,
    # until the next sign-in.
    directory = UnicodeAttribute(null=True)
    # Of a suspended account.
    suspended_at = UnicodeAttribute(null=True)
    suspension_reason = UnicodeAttribute(null=True)


class WorkspaceItem(IdentityItem, discriminator="workspace"):
    name = UnicodeAttribute()
    workspace_kind = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    tier = UnicodeAttribute()
    created_at = UnicodeAttribute()
    updated_at = UnicodeAttribute(null=True)
    avatar_asset_id = UnicodeAttribute(null=True)
    # Of organisations alone; their counters change in the transaction of what they count.
    slug = UnicodeAttribute(null=True)
    owners = NumberAttribute(null=True)
    members = NumberAttribute(null=True)
    require_mfa = BooleanAttribute(null=True)
    open_invitations = BooleanAttribute(null=True)
    deleted_at = UnicodeAttribute(null=True)


class DueErasureItem(IdentityItem, discriminator="due-erasure"):
    """When an account or an organisation will be erased; see `due_erasure`."""


class MembershipItem(IdentityItem, discriminator="membership"):
    role = UnicodeAttribute()
    created_at = UnicodeAttribute()


class SessionItem(IdentityItem, discriminator="session"):
    workspace_id = UnicodeAttribute()
    digest = UnicodeAttribute()
    rotations = JSONAttribute()
    user_agent = UnicodeAttribute()
    address = UnicodeAttribute()
    created_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute()
    revoked_at = UnicodeAttribute(null=True)
    # Missing in sessions from before: they were opened by password, and that was the last proof.
    authenticated_at = UnicodeAttribute(null=True)
    way = UnicodeAttribute(null=True)
    mfa_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class TokenItem(IdentityItem, discriminator="token"):
    user_id = UnicodeAttribute()
    name = UnicodeAttribute()
    scopes = UnicodeAttribute()
    digest = UnicodeAttribute()
    created_at = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute(null=True)
    revoked_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute(null=True)


class TokenCountItem(IdentityItem, discriminator="token-count"):
    living = NumberAttribute()


def due_erasure(subject: str, at: datetime) -> DueErasureItem:
    """The entry in the list of what will be erased, in the order of time: of a user or an organisation."""
    return DueErasureItem(DUE_ERASURES, f"{rfc3339(at)}#{subject}")


def mailbox_pk(digest: str | None) -> str:
    return f"mailbox#{digest}"


def member_sk(workspace_id: str) -> str:
    return f"member#{workspace_id}"


def session_sk(session_id: str) -> str:
    return f"session#{session_id}"


def token_sk(token_id: str) -> str:
    return f"token#{token_id}"


def token_item(token: ApiToken) -> TokenItem:
    return TokenItem(
        token.workspace_id,
        token_sk(token.id),
        user_id=token.user_id,
        name=token.name,
        scopes=" ".join(token.scopes),
        digest=token.digest,
        created_at=rfc3339(token.created_at),
        ends_at=rfc3339(token.expires_at),
    )


def decode_token(item: TokenItem) -> ApiToken:
    return ApiToken(
        id=item.sk.partition("#")[2],
        workspace_id=item.pk,
        user_id=item.user_id,
        name=item.name,
        scopes=tuple(item.scopes.split(" ")),
        digest=item.digest,
        created_at=parse_rfc3339(item.created_at),
        expires_at=parse_rfc3339(item.ends_at),
        last_used_at=parse_rfc3339(item.last_used_at) if item.last_used_at else None,
        revoked_at=parse_rfc3339(item.revoked_at) if item.revoked_at else None,
    )


def credentials_item(credentials: Credentials) -> CredentialsItem:
    return CredentialsItem(
        f"email#{credentials.email}",
        CREDENTIALS,
        user_id=credentials.user_id,
        workspace_id=credentials.workspace_id,
        password_hash=credentials.password_hash,
        signup_key=credentials.signup_key,
        mailbox=credentials.mailbox,
    )


def user_item(user: User) -> UserItem:
    return UserItem(
        user.id,
        PROFILE,
        email=user.email,
        email_verified=user.email_verified,
        name=user.name,
        avatar_url=user.avatar_url,
        persona=user.persona,
        platform_role=user.platform_role,
        status=user.status.value,
        workspace_id=user.workspace_id,
        created_at=rfc3339(user.created_at),
        last_login_at=rfc3339(user.created_at),
        email_verified_at=rfc3339(user.email_verified_at) if user.email_verified_at else None,
        avatar_asset_id=user.avatar_asset_id,
        locale=user.locale,
        time_zone=user.time_zone,
        directory=directory_of(user.email),
    )


def directory_of(email: str) -> str:
    """The partition of the index `directory` for an address: its first character says it. Each partition has a range of
    characters, so they are in the order of addresses, and a prefix is looked for in one."""
    return f"users#{sum(email[:1] >= first for first in DIRECTORY_STARTS)}"


def decode_user(item: UserItem) -> User:
    return User(
        id=item.pk,
        email=item.email,
        email_verified=item.email_verified,
        name=item.name,
        avatar_url=item.avatar_url,
        persona=item.persona,
        platform_role=item.platform_role,
        status=UserStatus(item.status),
        workspace_id=item.workspace_id,
        created_at=parse_rfc3339(item.created_at),
        email_verified_at=parse_rfc3339(item.email_verified_at) if item.email_verified_at else None,
        avatar_asset_id=item.avatar_asset_id,
        locale=item.locale,
        time_zone=item.time_zone,
        second_factors=(*((TOTP,) if item.totp else ()), *((PASSKEY,) if item.passkeys else ())),
        deletion_due_at=parse_rfc3339(item.deletion_due_at) if item.deletion_due_at else None,
    )


def workspace_item(workspace: Workspace) -> WorkspaceItem:
    return WorkspaceItem(
        workspace.id,
        PROFILE,
        name=workspace.name,
        workspace_kind=workspace.kind,
        owner_id=workspace.owner_id,
        tier=workspace.tier,
        created_at=rfc3339(workspace.created_at),
    )


def decode_workspace(item: WorkspaceItem) -> Workspace:
    return Workspace(item.pk, item.name, item.workspace_kind, item.owner_id, item.tier, parse_rfc3339(item.created_at))


def session_item(session: Session) -> SessionItem:
    return SessionItem(
        session.user_id,
        session_sk(session.id),
        workspace_id=session.workspace_id,
        digest=session.digest,
        rotations=rotations_data(session),
        user_agent=session.device.user_agent,
        address=session.device.address,
        created_at=rfc3339(session.created_at),
        last_used_at=rfc3339(session.last_used_at),
        revoked_at=rfc3339(session.revoked_at) if session.revoked_at else None,
        authenticated_at=rfc3339(session.authenticated_at),
        way=session.way,
        mfa_at=rfc3339(session.mfa_at) if session.mfa_at else None,
        expires_at_seconds=int(session.expires_at.timestamp()),
    )


def decode_session(item: SessionItem) -> Session:
    rotations: list[dict[str, str]] = item.rotations
    return Session(
        id=item.sk.partition("#")[2],
        user_id=item.pk,
        workspace_id=item.workspace_id,
        digest=item.digest,
        rotations=tuple(
            Rotation(rotation["digest"], rotation["nonce"], parse_rfc3339(rotation["at"])) for rotation in rotations
        ),
        device=Device(item.user_agent, item.address),
        created_at=parse_rfc3339(item.created_at),
        last_used_at=parse_rfc3339(item.last_used_at),
        authenticated_at=parse_rfc3339(item.authenticated_at or item.created_at),
        way=item.way or PASSWORD,
        mfa_at=parse_rfc3339(item.mfa_at) if item.mfa_at else None,
        revoked_at=parse_rfc3339(item.revoked_at) if item.revoked_at else None,
    )


def rotations_data(session: Session) -> list[dict[str, str]]:
    return [
        {"digest": rotation.digest, "nonce": rotation.nonce, "at": rfc3339(rotation.at)}
        for rotation in session.rotations
    ]


def set_or_remove(attribute: Attribute[Any], value: Any) -> Any:
    """The action that stores a value, or removes the attribute for None."""
    return attribute.remove() if value is None else attribute.set(value)


def is_value(attribute: Attribute[Any], value: Any) -> Condition:
    """The condition that an attribute still has the value that was read; None = it is missing."""
    return attribute.does_not_exist() if value is None else attribute == value


def read_items(keys: list[tuple[str, str]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    """Those of these items that exist, by (pk, sk), in one batch."""
    found: Iterable[IdentityItem] = IdentityItem.batch_get(keys, consistent_read=consistent)
    return {(item.pk, item.sk): item for item in found}


def update_if(item: IdentityItem, actions: list[Any], condition: Any) -> bool:
    """Update an item; returns whether the condition held."""
    return conditional(lambda: item.update(actions, condition=condition))
