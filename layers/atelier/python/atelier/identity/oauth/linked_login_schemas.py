"""The response models of the external logins that an account has; apart from those of signing in by one."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from atelier.lazy_model import LazyModel

if TYPE_CHECKING:
    from atelier.identity.oauth.model import LinkedLogin


class LinkedLoginView(LazyModel):
    """A login that opens your account."""

    provider: Literal["google", "github"]
    label: str = Field(description="How you know it: its e-mail address, or its user name.")
    linked_at: datetime
    last_used_at: datetime | None


class PasswordResetView(LazyModel):
    """What still opens the account beside the new password: the logins that are linked to it, and stay so."""

    identities: list[LinkedLoginView] = Field(description="Unlink those that you do not know, after signing in.")


def linked_login_view(link: LinkedLogin) -> LinkedLoginView:
    """The response model of an external login."""
    return LinkedLoginView.model_validate(link, from_attributes=True)
