"""Step-up: some routes want a factor that was proven a short time ago, beside a live session."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from atelier.errors import AtelierError
from atelier.identity.model import PASSWORD, Session, User

STEP_UP_LIFETIME = timedelta(minutes=10)
# What a route wants. True: of accounts with a second factor, a fresh proof of it. "always": of the others a fresh
# password or sign-in.
StepUp = Literal["always"] | bool


class StepUpRequired(AtelierError):
    """The caller has to prove a factor first (`POST /api/auth/step-up`), then repeat the request. factor: `totp`,
    `passkey` or `password`; whoever has none of them signs in again."""

    code, status = "STEP_UP_REQUIRED", 403

    def __init__(self, factor: str) -> None:
        super().__init__("Confirm that it is you, then try again.", factor=factor)


def require_step_up(session: Session, user: User, step_up: StepUp, now: datetime) -> None:
    """Raises StepUpRequired when the session's last proof is older than STEP_UP_LIFETIME, or of another kind than the
    account has."""
    if user.second_factors:
        if session.mfa_at is None or now - session.mfa_at > STEP_UP_LIFETIME:
            raise StepUpRequired(user.second_factors[0])
    elif step_up == "always" and now - session.authenticated_at > STEP_UP_LIFETIME:
        raise StepUpRequired(PASSWORD)
