"""Rate limits in fixed windows: exact ones before a password is hashed, and a cheap, approximate one for every request.

Windows start at whole multiples of their length, so a caller can use two windows' limits around a boundary. Double the
limit is acceptable for what is protected: guesses of passwords, and the bill.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime

from atelier.dataclass import dataclass
from atelier.errors import RateLimited, Unavailable
from atelier.identity.ports import RateWindows

SIGN_IN_WINDOW_SECONDS = 300
SIGN_UP_WINDOW_SECONDS = 86_400
# The sign-up limit of a block of addresses, in multiples of the limit of one address. The addresses of a household or a
# company lie in one block, and so do addresses that an attacker rents.
BLOCK_SIGN_UP_FACTOR = 5
SIGN_UPS_PER_MAILBOX = 10
REQUEST_WINDOW_SECONDS = 60
# A worker adds to the shared counter after each 30th part of the limit: after 20 requests where the limit is 600.
SHARES_PER_LIMIT = 30
SUBJECTS_MAX = 10_000
IPV6_SUBSCRIBER_BITS = 64
IPV6_SITE_BITS = 48
IPV4_BLOCK_BITS = 24


def subscriber_network(address: str) -> str:
    """The network of one subscriber: an IPv4 address, or the /64 of an IPv6 address, within which the subscriber can
    choose any address. Text that is no address is returned unchanged."""
    if ":" not in address:
        return address
    import ipaddress  # Only here: most callers still have IPv4 addresses, and the import takes time.

    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, IPV6_SUBSCRIBER_BITS), strict=False))


def address_block(address: str) -> str:
    """The block around an address: the /24 of an IPv4 address, or the /48 of an IPv6 address, which one site gets."""
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
    """Exact limits: of attempts to sign up or log in, per address and per account, in 5 minutes; and of attempts to
    sign up, per address, block of addresses and mailbox, in a day. Each check is one conditional write."""

    windows: RateWindows
    per_account: int
    per_address: int
    sign_ups_per_address: int = 20

    def count_attempt(self, email: str, address: str, now: datetime) -> None:
        """Count one attempt to sign up or log in, before any password is hashed. Raises RateLimited."""
        # The e-mail is stored as a digest only: it may belong to a person who has no account here.
        account = hashlib.sha256(email.encode()).hexdigest()
        self._count(f"sign-in#address#{subscriber_network(address)}", self.per_address, SIGN_IN_WINDOW_SECONDS, now)
        self._count(f"sign-in#account#{account}", self.per_account, SIGN_IN_WINDOW_SECONDS, now)

    def count_start(self, address: str, now: datetime) -> None:
        """Count one visit to an identity provider that begins, since each stores a record. Raises RateLimited."""
        self._count(f"oauth#address#{subscriber_network(address)}", self.per_address, SIGN_IN_WINDOW_SECONDS, now)

    def count_passkey(self, address: str, now: datetime) -> None:
        """Count one attempt to sign in with a passkey, which names no account. Raises RateLimited."""
        subject = f"sign-in#address#{subscriber_network(address)}"
        self._count(subject, self.per_address, SIGN_IN_WINDOW_SECONDS, now)

    def count_sign_up(self, mailbox: str, address: str, now: datetime) -> None:
        """Count one attempt to sign up, also when it fails: even a failed attempt tells whether an e-mail has an
        account. Raises RateLimited. mailbox: the digest of the mailbox."""
        limit = self.sign_ups_per_address
        self._count(f"sign-up#address#{subscriber_network(address)}", limit, SIGN_UP_WINDOW_SECONDS, now)
        self._count(
            f"sign-up#block#{address_block(address)}", limit * BLOCK_SIGN_UP_FACTOR, SIGN_UP_WINDOW_SECONDS, now
        )
        self._count(f"sign-up#mailbox#{mailbox}", SIGN_UPS_PER_MAILBOX, SIGN_UP_WINDOW_SECONDS, now)

    def _count(self, subject: str, limit: int, window_seconds: int, now: datetime) -> None:
        if not self.windows.try_add_one(subject, limit, window_seconds, now):
            raise rate_limited(limit, window_seconds, now)


class SparseLimiter:
    """Limits the requests of a subject per minute with few writes: each warm worker counts in memory and adds to the
    shared counter after `share` requests, so that a request costs 1/share of a write.

    No request below the limit is refused. With W workers, at most limit + W · (share - 1) requests of a subject pass in
    one window: each worker has less than one share that it has not added, and gets the sum whenever it adds. When the
    shared counter does not answer, requests pass, since a limiter must not take the product down.
    """

    def __init__(self, windows: Callable[[], RateWindows], limit: int) -> None:
        self._windows = windows
        self.limit = limit
        self.share = max(1, limit // SHARES_PER_LIMIT)
        self._window = -1
        self._unwritten: dict[str, int] = {}
        self._sums: dict[str, int] = {}

    def __call__(self, subject: str, now: datetime) -> None:
        """Count one request of `subject` (`account#<user id>` or `address#<IP address>`); raises RateLimited above the
        limit. The addresses of one subscriber are one subject."""
        kind, _, name = subject.partition("#")
        subject = f"{kind}#{subscriber_network(name)}"
        window = int(now.timestamp()) // REQUEST_WINDOW_SECONDS
        if window != self._window or len(self._unwritten) >= SUBJECTS_MAX:
            self._window = window
            self._unwritten.clear()
            self._sums.clear()
        not_added = self._unwritten.get(subject, 0)
        if self._sums.get(subject, 0) + not_added >= self.limit:
            raise rate_limited(self.limit, REQUEST_WINDOW_SECONDS, now)
        self._unwritten[subject] = not_added + 1
        if not_added + 1 >= self.share:
            self._add_to_shared(subject, not_added + 1, now)

    def remaining(self, subject: str, now: datetime) -> int:
        """The number of requests that still pass in this window, as far as this worker knows."""
        if int(now.timestamp()) // REQUEST_WINDOW_SECONDS != self._window:
            return self.limit
        return max(self.limit - self._sums.get(subject, 0) - self._unwritten.get(subject, 0), 0)

    def reset_seconds(self, now: datetime) -> int:
        """Seconds until the next window."""
        return REQUEST_WINDOW_SECONDS - int(now.timestamp()) % REQUEST_WINDOW_SECONDS

    def _add_to_shared(self, subject: str, count: int, now: datetime) -> None:
        self._unwritten[subject] = 0
        try:
            self._sums[subject] = self._windows().add(subject, count, REQUEST_WINDOW_SECONDS, now)
        except Unavailable:
            return
        if self._sums[subject] > self.limit:
            raise rate_limited(self.limit, REQUEST_WINDOW_SECONDS, now)


def rate_limited(limit: int, window_seconds: int, now: datetime) -> RateLimited:
    """The error of a window that is full."""
    return RateLimited(limit=limit, retry_after_seconds=window_seconds - int(now.timestamp()) % window_seconds)
