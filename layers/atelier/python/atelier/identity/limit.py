"""How often: exact limits before a password is hashed, and a cheap one over every request.

Windows are fixed and start at whole multiples of their length, so a caller may spend two windows' allowances around a
boundary; what is guarded (password guesses, the bill) bears a factor of two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from atelier.errors import RateLimited, Unavailable
from atelier.frozen import dataclass
from atelier.identity.ports import RateWindows

SIGN_IN_WINDOW_SECONDS = 300
SIGN_UP_WINDOW_SECONDS = 86_400
# Sign-ups from the surroundings of an address, in multiples of what one address may: a household's and a company's
# addresses lie together, and so do those that somebody rents by the block.
SURROUNDINGS = 5
SIGN_UPS_PER_MAILBOX = 10
REQUEST_WINDOW_SECONDS = 60
# A worker tells the shared counter of every 30th part of the allowance: 20 requests of 600.
SHARES = 30
SUBJECTS_MAX = 10_000
IPV6_SUBSCRIBER_BITS = 64
IPV6_SITE_BITS = 48
IPV4_BLOCK_BITS = 24


def network(address: str) -> str:
    """What one subscriber holds: an IPv4 address, or the /64 within which an IPv6 address can be changed at will."""
    if ":" not in address:
        return address
    import ipaddress  # most callers still come without a colon

    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, IPV6_SUBSCRIBER_BITS), strict=False))


def surroundings(address: str) -> str:
    """The block that a subscriber's address lies in: an IPv4 /24, or the /48 that a site is given."""
    import ipaddress

    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    bits = IPV4_BLOCK_BITS if parsed.version == 4 else IPV6_SITE_BITS
    return str(ipaddress.ip_network((parsed, bits), strict=False))


@dataclass(frozen=True, slots=True)
class SignInLimits:
    """Attempts to sign up or log in, per address and per account, in 5 minutes; and to sign up, per address, block of
    addresses and mailbox, in a day. One conditional write each."""

    windows: RateWindows
    per_account: int
    per_address: int
    sign_ups_per_address: int = 20

    def take(self, email: str, address: str, now: datetime) -> None:
        """Count one attempt; raises RateLimited, before any work was done for it."""
        # The e-mail of someone who may have no account is not ours to keep in the clear.
        account = hashlib.sha256(email.encode()).hexdigest()
        self._take(f"sign-in#address#{network(address)}", self.per_address, SIGN_IN_WINDOW_SECONDS, now)
        self._take(f"sign-in#account#{account}", self.per_account, SIGN_IN_WINDOW_SECONDS, now)

    def take_sign_up(self, mailbox: str, address: str, now: datetime) -> None:
        """Count one attempt to make an account, whatever becomes of it: an attempt tells whether an address has one.
        Raises RateLimited. mailbox: its digest."""
        limit = self.sign_ups_per_address
        self._take(f"sign-up#address#{network(address)}", limit, SIGN_UP_WINDOW_SECONDS, now)
        self._take(f"sign-up#block#{surroundings(address)}", limit * SURROUNDINGS, SIGN_UP_WINDOW_SECONDS, now)
        self._take(f"sign-up#mailbox#{mailbox}", SIGN_UPS_PER_MAILBOX, SIGN_UP_WINDOW_SECONDS, now)

    def _take(self, subject: str, limit: int, window_seconds: int, now: datetime) -> None:
        if not self.windows.take(subject, limit, window_seconds, now):
            raise _refused(limit, window_seconds, now)


class SparseLimiter:
    """Requests of one subject per minute, counted sparsely: a warm worker counts by itself and adds to the shared
    counter once in `share` requests, so a request costs 1/share of a write.

    Nobody is refused below the limit. With W workers at most limit + W · (share - 1) requests of a subject pass in one
    window: each worker can hold back less than one share, and learns the sum when it tells its own. When the shared
    counter does not answer, requests pass: a limiter must not be what takes the product down.
    """

    def __init__(self, windows: Callable[[], RateWindows], limit: int) -> None:
        self._windows = windows
        self.limit = limit
        self.share = max(1, limit // SHARES)
        self._window = -1
        self._untold: dict[str, int] = {}
        self._sums: dict[str, int] = {}

    def __call__(self, subject: str, now: datetime) -> None:
        """Count one request of `subject`; raises RateLimited beyond the limit."""
        window = int(now.timestamp()) // REQUEST_WINDOW_SECONDS
        if window != self._window or len(self._untold) >= SUBJECTS_MAX:
            self._window = window
            self._untold.clear()
            self._sums.clear()
        untold = self._untold.get(subject, 0)
        if self._sums.get(subject, 0) + untold >= self.limit:
            raise _refused(self.limit, REQUEST_WINDOW_SECONDS, now)
        self._untold[subject] = untold + 1
        if untold + 1 >= self.share:
            self._tell(subject, untold + 1, now)

    def left(self, subject: str, now: datetime) -> int:
        """How many more requests pass in this window, as far as this worker knows."""
        if int(now.timestamp()) // REQUEST_WINDOW_SECONDS != self._window:
            return self.limit
        return max(self.limit - self._sums.get(subject, 0) - self._untold.get(subject, 0), 0)

    def reset_seconds(self, now: datetime) -> int:
        """Until the next window."""
        return REQUEST_WINDOW_SECONDS - int(now.timestamp()) % REQUEST_WINDOW_SECONDS

    def _tell(self, subject: str, count: int, now: datetime) -> None:
        self._untold[subject] = 0
        try:
            self._sums[subject] = self._windows().add(subject, count, REQUEST_WINDOW_SECONDS, now)
        except Unavailable:
            return
        if self._sums[subject] > self.limit:
            raise _refused(self.limit, REQUEST_WINDOW_SECONDS, now)


def _refused(limit: int, window_seconds: int, now: datetime) -> RateLimited:
    return RateLimited(limit=limit, retry_after_seconds=window_seconds - int(now.timestamp()) % window_seconds)
