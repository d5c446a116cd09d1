"""API tokens, composed."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.caller import Caller
from atelier.identity import issue_token
from atelier.identity.permissions import Role
from atelier.identity.token_schemas import TokenList, token_view
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.identity import api_tokens


def list_tokens(workspace_id: str, cursor: str | None, limit: int) -> TokenList:
    """A page of a workspace's tokens."""
    page = api_tokens().tokens(workspace_id, cursors.decode(cursor, "token#"), limit)
    return TokenList(items=[token_view(token) for token in page.tokens], next_cursor=cursors.encode(page.next_key))


def issue(
    caller: Caller,
    name: str,
    scopes: tuple[str, ...],
    expires_at: datetime | None,
    idempotency_key: str | None,
    now: datetime,
) -> issue_token.IssuedToken:
    """Issue an API token to a verified caller."""
    new = issue_token.NewToken(
        caller.workspace_id, caller.user_id, Role(caller.role), name, scopes, expires_at, idempotency_key
    )
    return issue_token.issue_token(new, tokens=api_tokens(), idempotency_keys=idempotency_keys(), now=now)


def revoke(caller: Caller, token_id: str, now: datetime) -> None:
    """Revoke an API token for good."""
    role = Role(caller.role)
    issue_token.revoke_token(caller.workspace_id, token_id, caller.user_id, role, tokens=api_tokens(), now=now)
