"""The request and response models of API tokens. Only the response to its creation contains a token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field, StringConstraints

from atelier.identity.api_tokens import ApiToken
from atelier.identity.issue_token import IssuedToken, NewToken
from atelier.identity.permissions import Role
from atelier.identity.scopes import ALL, GROUPS, SCOPES
from atelier.lazy_model import LazyModel

CURSOR_CHARACTERS_MAX = 128
_ABOUT_SCOPES = "; ".join(f"`{group}`: {means}" for group, means in GROUPS.items())


def _valid_scope(scope: str) -> str:
    if scope not in SCOPES:
        raise ValueError("is no scope that a token can have")
    return scope


def _without_duplicates(scopes: list[str]) -> list[str]:
    return sorted(set(scopes))


Scope = Annotated[str, Field(max_length=64, json_schema_extra={"enum": list(SCOPES)}), AfterValidator(_valid_scope)]
TokenName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class IssueTokenRequest(LazyModel):
    """Make a token for a program. What it may do is what its scopes cover and your role holds at that moment."""

    model_config = ConfigDict(extra="forbid")

    name: TokenName = Field(description="What you call it.", examples=["n8n"])
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(SCOPES)), AfterValidator(_without_duplicates)] = (
        Field(description=f"Permissions, or groups of them. {_ABOUT_SCOPES}.", examples=[[ALL]])
    )
    expires_at: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        default=None, description="In the future, and within 366 days; in 366 days when it is not said."
    )

    def new_token(self, workspace_id: str, user_id: str, role: Role, idempotency_key: str | None) -> NewToken:
        """The order of this token by a verified caller."""
        scopes = tuple(self.scopes)
        return NewToken(workspace_id, user_id, role, self.name, scopes, self.expires_at, idempotency_key)


class TokenView(LazyModel):
    """A token as a list shows it: without the token."""

    id: str
    name: str
    scopes: list[str]
    user_id: str = Field(description="Whose token it is.")
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="Some minutes behind at most.")


class IssuedTokenView(TokenView):
    """A new token."""

    token: str | None = Field(
        repr=False,
        description="Shown this once; null when the request repeats an earlier one. Revoke a lost one, make another.",
    )


class TokenList(LazyModel):
    """Tokens that are not revoked, newest first; expired ones too."""

    items: list[TokenView]
    next_cursor: str | None


class TokenQuery(LazyModel):
    """How a list of tokens is paged."""

    limit: int = Field(default=25, ge=1, le=100)
    cursor: str | None = Field(default=None, max_length=CURSOR_CHARACTERS_MAX)


def token_view(token: ApiToken) -> TokenView:
    """The response model of a token in a list."""
    return TokenView.model_validate(token, from_attributes=True)


def issued_token_view(issued: IssuedToken) -> IssuedTokenView:
    """The response to the creation of a token."""
    return IssuedTokenView(**dict(token_view(issued.token)), token=issued.text)
