"""Refuse what an account may not do before its e-mail address is verified: invite, buy, publish."""

from __future__ import annotations

from typing import Protocol

from atelier.errors import Forbidden

REASON = "email_not_verified"


class HasAddress(Protocol):
    """A user, or what is known of one."""

    @property
    def email_verified(self) -> bool: ...


def require_verified(user: HasAddress) -> None:
    """Raises Forbidden with `reason: email_not_verified`."""
    if not user.email_verified:
        raise Forbidden("Verify your e-mail address first.", reason=REASON)
