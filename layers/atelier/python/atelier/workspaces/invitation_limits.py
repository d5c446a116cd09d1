"""Exact limits of invitations: they are mails to people who have asked for none."""

from __future__ import annotations

import hashlib
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.identity.ports import RateWindows
from atelier.identity.rate_limit import rate_limited

DAY_SECONDS = 86_400
INVITATIONS_PER_EMAIL_DAILY = 5
INVITATIONS_PER_WORKSPACE_DAILY = 100


@dataclass(frozen=True, slots=True)
class InvitationLimits:
    """The limits, each one conditional write before any other work."""

    windows: RateWindows

    def count(self, email: str, workspace_id: str, now: datetime) -> None:
        """Count one mail to `email`, from whichever organisation. Raises RateLimited."""
        # A digest only: the address may belong to a person who has no account here.
        digest = hashlib.sha256(email.encode()).hexdigest()
        for subject, limit in (
            (f"invitation#workspace#{workspace_id}", INVITATIONS_PER_WORKSPACE_DAILY),
            (f"invitation#email#{digest}", INVITATIONS_PER_EMAIL_DAILY),
        ):
            if not self.windows.try_add_one(subject, limit, DAY_SECONDS, now):
                raise rate_limited(limit, DAY_SECONDS, now)
