"""Refuse what an account may not do before its e-mail address is verified: invite, buy, publish."""

from __future__ import annotations

from atelier.errors import Forbidden
from atelier.identity.model import User

REASON = "email_not_verified"


def require_verified(user: User) -> None:
    """Raises Forbidden with `reason: email_not_verified`."""
    if not user.email_verified:
        raise Forbidden("Verify your e-mail address first.", reason=REASON)
