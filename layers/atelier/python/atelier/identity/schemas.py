"""The request and response models of sign-up, log-in, sessions, accounts and public keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from atelier.identity.credentials import (
    EMAIL_BYTES_MAX,
    PASSWORD_LENGTH_MAX,
    PASSWORD_LENGTH_MIN,
    normalize_email,
    normalize_password,
    require_unrelated,
    validate_password,
)
from atelier.identity.device import device_words, network_of
from atelier.identity.model import (
    TICKET_LIFETIME,
    DeletionPending,
    Membership,
    SecondFactorRequired,
    Session,
    SessionTokens,
    SignedIn,
    SignInResult,
    User,
    UserAccount,
)
from atelier.identity.permissions import Role
from atelier.lazy_model import LazyModel
from atelier.mails.links import CODE_DIGITS, TOKEN_LENGTH_MAX

REFRESH_TOKEN_LENGTH_MAX = 512

Email = Annotated[
    str,
    Field(max_length=EMAIL_BYTES_MAX, json_schema_extra={"format": "email"}, examples=["ada@example.com"]),
    AfterValidator(normalize_email),
]
UserName = Annotated[
    str, Field(max_length=100, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", examples=["Ada"])
]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), AfterValidator(normalize_password)]
Delivery = Annotated[
    Literal["cookie", "body"],
    Field(description="Where the refresh token goes: a `__Host-` cookie for browsers, the body for other clients."),
]


LinkTokenText = Annotated[str, Field(max_length=TOKEN_LENGTH_MAX)]
NewPassword = Annotated[
    str,
    Field(min_length=PASSWORD_LENGTH_MIN, max_length=PASSWORD_LENGTH_MAX, examples=["correct horse battery"]),
    AfterValidator(validate_password),
]


class SignUpRequest(LazyModel):
    """Make an account."""

    model_config = ConfigDict(extra="forbid")

    # E-mail and name stand before the password, whose validator compares it with both.
    email: Email
    name: UserName
    password: NewPassword = Field(repr=False)
    token_delivery: Delivery = "cookie"

    @field_validator("password")
    @classmethod
    def _require_unrelated(cls, password: str, info: ValidationInfo) -> str:
        require_unrelated(password, info.data.get("email", ""), info.data.get("name", ""))
        return password


class LogInRequest(LazyModel):
    """Open a session."""

    model_config = ConfigDict(extra="forbid")

    email: Email
    password: Password = Field(repr=False)
    token_delivery: Delivery = "cookie"


class ByLinkRequest(LazyModel):
    """What was sent by mail: the token of a link, or its code, which needs an access token."""

    model_config = ConfigDict(extra="forbid")

    token: LinkTokenText | None = Field(default=None, repr=False)
    code: str | None = Field(default=None, pattern=rf"^[0-9]{{{CODE_DIGITS}}}$", repr=False)

    @model_validator(mode="after")
    def _require_one(self) -> Self:
        if (self.token is None) == (self.code is None):
            raise ValueError("send either a token or a code")
        return self


class ForgotPasswordRequest(LazyModel):
    """Ask for a link that sets a new password."""

    model_config = ConfigDict(extra="forbid")

    email: Email


class ResetPasswordRequest(LazyModel):
    """Set a new password by the link of a mail."""

    model_config = ConfigDict(extra="forbid")

    token: LinkTokenText = Field(repr=False)
    password: NewPassword = Field(repr=False)


class ChangePasswordRequest(LazyModel):
    """Change the password."""

    model_config = ConfigDict(extra="forbid")

    current: Annotated[str, Field(min_length=1, max_length=PASSWORD_LENGTH_MAX), AfterValidator(normalize_password)] = (
        Field(repr=False)
    )
    new: NewPassword = Field(repr=False)


class ChangeEmailRequest(LazyModel):
    """Change the e-mail address."""

    model_config = ConfigDict(extra="forbid")

    email: Email


class UndoEmailChangeRequest(LazyModel):
    """Take a change of the address back."""

    model_config = ConfigDict(extra="forbid")

    token: LinkTokenText = Field(repr=False)


class VerifiedEmailView(LazyModel):
    """A verified address."""

    email: str
    email_verified: bool


class RefreshTokenRequest(LazyModel):
    """A refresh token for clients that keep it themselves; browsers send the cookie."""

    model_config = ConfigDict(extra="forbid")

    refresh_token: str | None = Field(default=None, max_length=REFRESH_TOKEN_LENGTH_MAX, repr=False)


class UserView(LazyModel):
    """A person, as they see themselves."""

    id: str
    email: str
    email_verified: bool
    name: str
    avatar_url: str | None
    persona: Literal["artist", "educator", "partner", "none"]
    platform_role: Literal["user", "admin"]
    created_at: datetime


class WorkspaceView(LazyModel):
    """A workspace, as one of its members sees it."""

    id: str
    name: str
    kind: Literal["personal", "organization"]
    role: Literal["owner", "admin", "editor", "member", "viewer"]


class TokensView(LazyModel):
    """A pair of tokens; the refresh token is here when it was asked for in the body."""

    access_token: str = Field(repr=False)
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(description="Life of the access token in seconds.")
    refresh_token: str | None = Field(default=None, repr=False, exclude_if=lambda token: token is None)


class SignedInView(TokensView):
    """An open session."""

    user: UserView
    workspace: WorkspaceView


class SecondFactorView(LazyModel):
    """The first factor was right; a second one is needed: `POST /api/auth/mfa/verify`, or a passkey."""

    mfa_required: Literal[True] = True
    mfa_ticket: str = Field(repr=False, description="Single use, five minutes.")
    factors: list[Literal["totp", "passkey"]]
    expires_in: int = Field(description="Life of the ticket in seconds.")


class DeletionPendingView(LazyModel):
    """The deletion of this account was requested: it can only be taken back, by `POST /api/users/me/restore`."""

    restore_required: Literal[True] = True
    restore_ticket: str = Field(repr=False, description="Single use, five minutes.")
    deletion_due_at: datetime
    expires_in: int = Field(description="Life of the ticket in seconds.")


SignInView = SignedInView | SecondFactorView | DeletionPendingView


class SessionView(LazyModel):
    """A signed-in device."""

    id: str
    device: str = Field(description="In words.", examples=["Firefox on Windows"])
    address: str = Field(description="The network of its address.", examples=["203.0.113.0/24"])
    way: Literal["password", "google", "github", "passkey", "mail_link"] = Field(description="How it signed in.")
    created_at: datetime
    last_used_at: datetime
    current: bool = Field(description="Whether it is the session of this request.")


class SessionList(LazyModel):
    """The sessions that have not ended, the one that was used last first."""

    items: list[SessionView]


class AccountView(LazyModel):
    """Who I am and where I work."""

    user: UserView
    workspaces: list[WorkspaceView]
    tier: str = Field(description="The tier of the personal workspace.")


class KeyView(LazyModel):
    """A public key (RFC 7517)."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    kid: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class KeySetView(LazyModel):
    """The public keys that verify access tokens, newest first."""

    keys: list[KeyView]


def user_view(user: User) -> UserView:
    """The response model of a user."""
    return UserView.model_validate(user, from_attributes=True)


def verified_email_view(user: User) -> VerifiedEmailView:
    """The response model of a verified address."""
    return VerifiedEmailView.model_validate(user, from_attributes=True)


def workspace_view(membership: Membership) -> WorkspaceView:
    """The response model of a workspace."""
    workspace = membership.workspace
    return WorkspaceView.model_validate(
        {"id": workspace.id, "name": workspace.name, "kind": workspace.kind, "role": membership.role.value}
    )


def tokens_view(tokens: SessionTokens, delivery: str) -> TokensView:
    """The response model of tokens, without the refresh token when a cookie carries it."""
    return TokensView(
        access_token=tokens.access_token,
        expires_in=tokens.expires_in_seconds,
        refresh_token=str(tokens.refresh_token) if delivery == "body" else None,
    )


def signed_in_view(signed_in: SignedIn, delivery: str) -> SignedInView:
    """The response to a sign-up or a log-in."""
    return SignedInView(
        **dict(tokens_view(signed_in.tokens, delivery)),
        user=user_view(signed_in.user),
        workspace=workspace_view(Membership(signed_in.workspace, Role.OWNER)),
    )


def sign_in_view(result: SignInResult, delivery: str) -> SignInView:
    """The response to a sign-in, whatever the way."""
    ticket_seconds = int(TICKET_LIFETIME.total_seconds())
    if isinstance(result, SecondFactorRequired):
        return SecondFactorView.model_validate(
            {"mfa_ticket": str(result.ticket), "factors": list(result.factors), "expires_in": ticket_seconds}
        )
    if isinstance(result, DeletionPending):
        return DeletionPendingView(
            restore_ticket=str(result.ticket), deletion_due_at=result.due_at, expires_in=ticket_seconds
        )
    return signed_in_view(result, delivery)


def session_list(sessions: Iterable[Session], current_id: str | None) -> SessionList:
    """The response model of a user's sessions."""
    items = [
        {
            "id": session.id,
            "device": device_words(session.device.user_agent),
            "address": network_of(session.device.address),
            "way": session.way,
            "created_at": session.created_at,
            "last_used_at": session.last_used_at,
            "current": session.id == current_id,
        }
        for session in sessions
    ]
    return SessionList.model_validate({"items": items})


def account_view(account: UserAccount) -> AccountView:
    """The response of `GET /api/auth/me`: the account of the caller."""
    return AccountView(
        user=user_view(account.user),
        workspaces=[workspace_view(membership) for membership in account.memberships],
        tier=account.tier,
    )
