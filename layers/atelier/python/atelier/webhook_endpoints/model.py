"""Values and rules of outbound webhooks. Immutable, no side effects.

A *delivery* is one event for one endpoint; its *attempts* are the requests that were sent for it. A *round* is the
attempts since the delivery was created or last resent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum

from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.ids import CROCKFORD, floor_id

ENDPOINTS_MAX = 20
SECRET_BYTES, SECRET_PREFIX = 32, "whsec_"
# How long a replaced secret still signs beside its successor.
OLD_SECRET_LIFETIME = timedelta(hours=24)
DELIVERY_LIFETIME = timedelta(days=30)
# The pauses between the attempts of a round; after the last one the delivery has failed, some three days later.
RETRY_SECONDS = (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
JITTER_PERCENT = 10
# The longest pause that the header Retry-After of an answer may demand.
RETRY_AFTER_SECONDS_MAX = 86400
# An endpoint that has had no success for so long, since its first failure, is disabled.
FAILING_MAX = timedelta(days=5)
# How many requests to an endpoint run at the same time; an endpoint whose last attempt failed has one.
SLOTS, SLOTS_FAILING = 5, 1
# An attempt is over after this time, whatever became of its process: the request itself has SECONDS_MAX.
SECONDS_MAX = 15.0
LEASE = timedelta(seconds=60)
# A delivery that is due is looked for after this time by the sweep, should its message be lost.
MESSAGE_SLACK = timedelta(minutes=2)
# The index of what is due has so many partitions.
SHARDS = 4
ATTEMPTS_KEPT = 30
ANSWER_BYTES_KEPT = 1024
# SQS delays a message at most so long.
DELAY_SECONDS_MAX = 900
TEST_EVENT = "webhook.test"
EVERY_EVENT = "*"
# In place of an endpoint's id: the addresses that requests for generations name (`webhook_url`).
GENERATION_URLS = "generation-urls"


class EndpointExists(Exception):
    """An endpoint with this id is stored already."""


class EndpointChanged(Exception):
    """The endpoint was changed or removed since it was read."""


class TooManyEndpoints(Conflict):
    def __init__(self) -> None:
        super().__init__(f"A workspace has at most {ENDPOINTS_MAX} webhook endpoints.")


class DisabledReason(StrEnum):
    """Why Atelier has disabled an endpoint."""

    # It answered 410.
    GONE = "gone"
    # No attempt succeeded for FAILING_MAX.
    FAILING = "failing"


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    # All attempts of the round failed.
    FAILED = "failed"
    # The endpoint was removed or disabled before an attempt succeeded.
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class SealedText:
    """An encrypted secret. kid: the id of the key that sealed it, in hex."""

    record: str = field(repr=False)
    kid: str


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """The secret that signs, and the one before it, which still signs until `old_until`."""

    newest: SealedText
    old: SealedText | None = None
    old_until: datetime | None = None

    def rotated(self, newest: SealedText, now: datetime) -> SigningSecret:
        """With a new secret; the newest so far becomes the old one."""
        return SigningSecret(newest, self.newest, now + OLD_SECRET_LIFETIME)

    def valid(self, now: datetime) -> tuple[SealedText, ...]:
        """The secrets that sign now, the newest first."""
        is_old_valid = self.old is not None and self.old_until is not None and now < self.old_until
        return (self.newest, self.old) if is_old_valid and self.old is not None else (self.newest,)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL of a workspace that gets its events. events: types, `generation.*` or `*`. version: counts its changes."""

    id: str
    workspace_id: str
    user_id: str
    url: str
    events: tuple[str, ...]
    description: str
    secret: SigningSecret
    created_at: datetime
    updated_at: datetime
    is_enabled: bool = True
    disabled_reason: DisabledReason | None = None
    disabled_at: datetime | None = None
    version: int = 1

    def takes(self, event_type: str) -> bool:
        """Whether the endpoint gets events of this type."""
        return self.is_enabled and any(matches(pattern, event_type) for pattern in self.events)


@dataclass(frozen=True, slots=True)
class EndpointHealth:
    """How an endpoint answered lately. failing_since: the first failure after the last success. slots: until when
    each slot is taken, and by which attempt (`<time> <attempt id>`); None = it is free."""

    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    slots: tuple[str | None, ...] = (None,) * SLOTS

    def free_slot(self, now: str, *, bound: int = SLOTS_FAILING) -> int | None:
        """The number of a free slot. now: RFC 3339. bound: how many requests to a failing endpoint may run."""
        most = bound if self.failing_since else SLOTS
        free = [number for number, taken in enumerate(self.slots) if taken is None or taken < now]
        return free[0] if SLOTS - len(free) < most else None


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One request. status: of the answer, None without one. error: why there was none, or why it did not count.
    answer: its first ANSWER_BYTES_KEPT bytes as text."""

    id: str
    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    answer: str

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """An event for an endpoint. body: the bytes that are signed and sent, as text. url: None = the endpoint's.
    failures: of this round. next_attempt_at: None when no attempt follows."""

    id: str
    workspace_id: str
    endpoint_id: str
    event_id: str
    event_type: str
    body: str
    created_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: tuple[DeliveryAttempt, ...] = ()
    attempt_count: int = 0
    failures: int = 0
    next_attempt_at: datetime | None = None
    url: str | None = None

    @property
    def sweep_at(self) -> datetime | None:
        """When the sweep looks for it: a message brings what is due soon, and the sweep what is due later than a queue
        can delay it."""
        if self.next_attempt_at is None:
            return None
        last = self.attempts[-1].at if self.attempts else self.created_at
        is_brought = self.next_attempt_at - last <= timedelta(seconds=DELAY_SECONDS_MAX)
        return self.next_attempt_at + MESSAGE_SLACK if is_brought else self.next_attempt_at

    def is_due(self, now: datetime) -> bool:
        """Whether an attempt may begin."""
        return self.state is DeliveryState.PENDING and self.next_attempt_at is not None and self.next_attempt_at <= now


def matches(pattern: str, event_type: str) -> bool:
    """Whether an event's type is one that `*`, `generation.*` or the type itself names."""
    if pattern == EVERY_EVENT:
        return True
    return event_type.startswith(pattern[:-1]) if pattern.endswith(".*") else event_type == pattern


def unknown_events(patterns: Iterable[str], known: Sequence[str]) -> list[str]:
    """Those of the patterns that match none of the known types."""
    return [pattern for pattern in patterns if not any(matches(pattern, each) for each in known)]


def delivery_id(endpoint_id: str, event_id: str, occurred_at: datetime) -> str:
    """The id of an event's delivery to an endpoint: the same whenever the event comes, sorted by the event's time."""
    digest = int.from_bytes(hashlib.sha256(f"{endpoint_id}\0{event_id}".encode()).digest()[:10])
    characters = (CROCKFORD[digest >> shift & 31] for shift in range(75, -5, -5))
    return floor_id("whd", occurred_at)[:14] + "".join(characters)


def retry_at(failures: int, retry_after_seconds: int | None, jitter: float, now: datetime) -> datetime | None:
    """When the next attempt of a round begins; None after the last one. failures: so far, at least 1. jitter: in
    [0, 1). A demand of the receiver makes the pause longer, never shorter."""
    if failures > len(RETRY_SECONDS):
        return None
    seconds = RETRY_SECONDS[failures - 1] * (1 + (2 * jitter - 1) * JITTER_PERCENT / 100)
    demanded = min(retry_after_seconds or 0, RETRY_AFTER_SECONDS_MAX)
    return now + timedelta(seconds=max(seconds, demanded))


def has_failed_too_long(health: EndpointHealth, now: datetime) -> bool:
    """Whether an endpoint that has just failed again is to be disabled."""
    return health.failing_since is not None and now - health.failing_since >= FAILING_MAX
