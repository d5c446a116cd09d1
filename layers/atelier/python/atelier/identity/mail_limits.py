"""Exact limits of what causes mails, and of tries with links and codes. Each check is one conditional write, made
before any other work."""

from __future__ import annotations

import hashlib
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.identity.ports import RateWindows
from atelier.identity.rate_limit import rate_limited, subscriber_network

LINK_WINDOW_SECONDS = 300
LINKS_PER_ADDRESS = 30
HOUR_SECONDS, DAY_SECONDS = 3600, 86_400
MAILS_PER_EMAIL_HOURLY, MAILS_PER_EMAIL_DAILY = 5, 12


@dataclass(frozen=True, slots=True)
class MailLimits:
    """The limits. mails_per_address: of mails in an hour that requests from one IP address cause."""

    windows: RateWindows
    mails_per_address: int = 20

    def count_link(self, address: str, now: datetime) -> None:
        """Count one try with a link or code from an IP address. Raises RateLimited."""
        self._count(f"link#{subscriber_network(address)}", LINKS_PER_ADDRESS, LINK_WINDOW_SECONDS, now)

    def count_mail(self, email: str, address: str, now: datetime) -> None:
        """Count one request for a mail to `email`, whether it has an account or not. Raises RateLimited."""
        # A digest only: the address may belong to a person who has no account here.
        digest = hashlib.sha256(email.encode()).hexdigest()
        self._count(f"mail#{subscriber_network(address)}", self.mails_per_address, HOUR_SECONDS, now)
        self._count(f"mail#hour#{digest}", MAILS_PER_EMAIL_HOURLY, HOUR_SECONDS, now)
        self._count(f"mail#day#{digest}", MAILS_PER_EMAIL_DAILY, DAY_SECONDS, now)

    def _count(self, subject: str, limit: int, window_seconds: int, now: datetime) -> None:
        if not self.windows.try_add_one(subject, limit, window_seconds, now):
            raise rate_limited(limit, window_seconds, now)
