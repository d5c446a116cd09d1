"""Issue and revoke API tokens. A request repeated with its Idempotency-Key issues no second token. Its response does
not show the text of the first token again, because the text is not stored."""

from __future__ import annotations

import hashlib
import json
from dataclasses import field
from datetime import datetime
from typing import Any

from atelier.audit_log.model import AuditEvent, Origin, audit_events
from atelier.clock import parse_rfc3339, rfc3339
from atelier.dataclass import dataclass
from atelier.errors import Conflict, Forbidden, NotFound, ValidationFailed
from atelier.idempotency import IdempotencyKeys
from atelier.identity.api_tokens import TOKEN_LIFETIME_MAX, ApiToken, TokenExists, new_token
from atelier.identity.permissions import Role, at_least, permits
from atelier.identity.ports import ApiTokens
from atelier.identity.scopes import GROUPS
from atelier.ids import new_id


@dataclass(frozen=True, slots=True)
class NewToken:
    """The request for a token. `role`: the caller's role in the workspace. `expires_at`: None = as late as possible.
    `idempotency_key`: chosen by the caller, or None."""

    workspace_id: str
    user_id: str
    role: Role
    name: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An issued token and its text. The text is None when the request repeats an earlier one."""

    token: ApiToken
    text: str | None = field(repr=False)


def issue_token(
    new: NewToken, *, tokens: ApiTokens, idempotency_keys: IdempotencyKeys, origin: Origin, now: datetime
) -> IssuedToken:
    """Issue one token.

    Raises ValidationFailed for an expiry date in the past or too late, Forbidden for a scope beyond the caller's role,
    TooManyTokens, IdempotencyMismatch when the key was used with another request, and Conflict when the token of a
    repeated request has been revoked."""
    latest = now + TOKEN_LIFETIME_MAX
    if not now < (new.expires_at or latest) <= latest:
        message = f"must be in the future, and within {TOKEN_LIFETIME_MAX.days} days"
        raise ValidationFailed([{"path": "expires_at", "message": message}])
    for scope in new.scopes:
        if scope not in GROUPS and not permits(new.role, scope):
            raise Forbidden(f"The role {new.role} does not allow this.", permission=scope)

    token_id = new_id("tok", now)
    if new.idempotency_key is not None:
        key = f"tokens {new.idempotency_key}"
        token_id = idempotency_keys.reserve(new.workspace_id, key, _fingerprint(new), token_id)
        existing = tokens.token(new.workspace_id, token_id)
        if existing is not None:
            return _repeated_token(existing)

    # Times are stored to the millisecond: the response must show the same time as a later read.
    expires_at = parse_rfc3339(rfc3339(new.expires_at or latest))
    token, text = new_token(token_id, new.workspace_id, new.user_id, new.name, new.scopes, expires_at, now)
    try:
        tokens.add_token(token, _events(token, "token.issued", origin, now, expires_at=rfc3339(expires_at)))
    except TokenExists:
        # A parallel request with the same Idempotency-Key has issued it.
        existing = tokens.token(new.workspace_id, token_id)
        if existing is None:
            raise
        return _repeated_token(existing)
    return IssuedToken(token, text)


def revoke_token(
    workspace_id: str, token_id: str, user_id: str, role: Role, *, tokens: ApiTokens, origin: Origin, now: datetime
) -> None:
    """Revoke a token for ever: the caller's own, or, for an admin of the workspace, any. Raises NotFound, Forbidden."""
    token = tokens.token(workspace_id, token_id)
    if token is None or token.revoked_at is not None:
        raise NotFound
    if token.user_id != user_id and not at_least(role, Role.ADMIN):
        raise Forbidden(f"The role {role} allows revoking one's own tokens only.")
    if not tokens.revoke_token(workspace_id, token_id, now, _events(token, "token.revoked", origin, now)):
        raise NotFound


def _events(token: ApiToken, action: str, origin: Origin, now: datetime, **facts: Any) -> tuple[AuditEvent, ...]:
    """A token gives access to a workspace in a user's name, so its events are in both logs."""
    facts = {"name": token.name, "scopes": list(token.scopes), "user_id": token.user_id, **facts}
    return audit_events((token.workspace_id, token.user_id), action, origin, now, target=token.id, **facts)


def _repeated_token(token: ApiToken) -> IssuedToken:
    if token.revoked_at is not None:
        raise Conflict("The token that this request made has been revoked.")
    return IssuedToken(token, None)


def _fingerprint(new: NewToken) -> str:
    expires_at = rfc3339(new.expires_at) if new.expires_at else None
    facts = [new.user_id, new.name, new.scopes, expires_at]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()
