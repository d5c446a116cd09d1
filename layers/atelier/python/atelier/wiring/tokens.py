"""API tokens, composed."""

from __future__ import annotations

from datetime import datetime

from atelier import cursors
from atelier.audit_log.model import Origin
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


def issue(new: issue_token.NewToken, origin: Origin, now: datetime) -> issue_token.IssuedToken:
    """Issue an API token to a verified caller."""
    return issue_token.issue_token(
        new, tokens=api_tokens(), idempotency_keys=idempotency_keys(), origin=origin, now=now
    )


def revoke(caller: Caller, token_id: str, origin: Origin, now: datetime) -> None:
    """Revoke an API token for good."""
    issue_token.revoke_token(
        caller.workspace_id,
        token_id,
        caller.user_id,
        Role(caller.role),
        tokens=api_tokens(),
        origin=origin,
        now=now,
    )
