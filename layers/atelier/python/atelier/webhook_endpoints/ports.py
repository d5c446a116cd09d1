"""Ports of outbound webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from atelier.audit_log.model import AuditEvent
from atelier.dataclass import dataclass
from atelier.webhook_endpoints.model import (
    DeliveryAttempt,
    DeliveryState,
    Endpoint,
    EndpointHealth,
    SealedText,
    SigningSecret,
    WebhookDelivery,
)


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """Deliveries, the newest event first. next_id: after which the next page begins, None at the end."""

    items: tuple[WebhookDelivery, ...]
    next_id: str | None


class Claim(StrEnum):
    """What became of a claim on an attempt."""

    CLAIMED = "claimed"
    # The delivery is not due any more, or another process makes an attempt.
    TAKEN = "taken"
    # As many requests to the endpoint run as may.
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Claimed:
    """The answer to a claim. slot: the number of the slot that the attempt has, if it was claimed. until: the end of
    the claim."""

    claim: Claim
    slot: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class DisabledNotice:
    """That an endpoint was disabled, which is to be published."""

    workspace_id: str
    endpoint_id: str
    reason: str
    failing_since: datetime | None
    disabled_at: datetime


@dataclass(frozen=True, slots=True)
class DueKey:
    """Something that the sweep has found: a delivery, or (delivery_id None) the notice of an endpoint. due_at: as it is
    stored."""

    workspace_id: str
    endpoint_id: str
    delivery_id: str | None
    due_at: str


class WebhookEndpoints(Protocol):
    """The endpoints of workspaces. Each change writes its audit events in its own transaction."""

    def create(self, endpoint: Endpoint, events: Sequence[AuditEvent]) -> None:
        """Store a new endpoint. Raises EndpointExists, TooManyEndpoints."""
        ...

    def get(self, workspace_id: str, endpoint_id: str) -> Endpoint:
        """An endpoint, by a consistent read. Raises NotFound."""
        ...

    def list(self, workspace_id: str) -> list[Endpoint]:
        """All endpoints of a workspace, the oldest first."""
        ...

    def replace(self, before: Endpoint, after: Endpoint, events: Sequence[AuditEvent]) -> None:
        """Store a changed endpoint; one that is enabled again counts no earlier failure. Raises EndpointChanged."""
        ...

    def remove(self, endpoint: Endpoint, events: Sequence[AuditEvent]) -> None:
        """Remove an endpoint with its secret. Raises EndpointChanged."""
        ...

    def workspace_secret(self, workspace_id: str) -> SigningSecret | None:
        """The secret for the addresses that requests for generations name, by a consistent read."""
        ...

    def replace_workspace_secret(
        self, workspace_id: str, before: SigningSecret | None, after: SigningSecret, events: Sequence[AuditEvent]
    ) -> None:
        """Store that secret; before: None = there is none. Raises EndpointChanged."""
        ...

    def health(self, workspace_id: str, endpoint_ids: Sequence[str]) -> Mapping[str, EndpointHealth]:
        """How these endpoints answered lately."""
        ...


class WebhookDeliveries(Protocol):
    """The deliveries to endpoints."""

    def add(self, delivery: WebhookDelivery) -> bool:
        """Store a delivery; False, and no change, if it is stored already."""
        ...

    def get(self, workspace_id: str, endpoint_id: str, delivery_id: str) -> WebhookDelivery | None:
        """A delivery, by a consistent read."""
        ...

    def find(self, workspace_id: str, endpoint_ids: Sequence[str], delivery_id: str) -> WebhookDelivery | None:
        """The delivery with this id to one of these endpoints."""
        ...

    def list(
        self, workspace_id: str, endpoint_id: str, state: DeliveryState | None, after_id: str | None, limit: int
    ) -> DeliveryPage:
        """A page of the deliveries to an endpoint."""
        ...

    def list_between(
        self, workspace_id: str, endpoint_id: str, first_id: str, last_id: str, limit: int
    ) -> Sequence[WebhookDelivery]:
        """Deliveries whose ids are from the first up to the last one, the oldest first."""
        ...

    def claim(self, delivery: WebhookDelivery, attempt_id: str, now: datetime) -> Claimed:
        """Take a slot of the endpoint and the delivery for one attempt, for LEASE."""
        ...

    def finish(
        self,
        before: WebhookDelivery,
        after: WebhookDelivery,
        attempt: DeliveryAttempt,
        claimed: Claimed,
        *,
        notice: DisabledNotice | None,
        events: Sequence[AuditEvent],
    ) -> bool:
        """Store what an attempt did, free its slot, and count success or failure of its endpoint; with a notice,
        disable the endpoint. False, and no change, when the claim has passed to another process."""
        ...

    def restart(self, delivery: WebhookDelivery, now: datetime) -> bool:
        """Begin another round, whose first attempt is due now. False, and no change, while an attempt runs."""
        ...

    def put_off(self, delivery: WebhookDelivery, until: datetime) -> bool:
        """Let the next attempt begin later. False, and no change, if the delivery was changed meanwhile."""
        ...

    def cancel(self, delivery: WebhookDelivery, now: datetime) -> None:
        """Mark a pending delivery that no attempt works on as cancelled."""
        ...

    def due(self, shard: int, now: datetime, limit: int) -> Sequence[DueKey]:
        """What the sweep has to continue, in one of SHARDS parts; the longest due first."""
        ...

    def postpone(self, key: DueKey, until: datetime) -> bool:
        """Let the sweep find something again only later. False when it was changed meanwhile."""
        ...

    def notice(self, key: DueKey) -> DisabledNotice | None:
        """The notice that the sweep has found."""
        ...

    def remove_notice(self, notice: DisabledNotice) -> None:
        """The notice is published. Safe to repeat."""
        ...


class WebhookQueue(Protocol):
    """Messages to whoever makes attempts; delivered at least once, in no order."""

    def deliver(self, workspace_id: str, endpoint_id: str, delivery_id: str, delay_seconds: int, busy: int = 0) -> None:
        """An attempt is due. busy: how often it was put off because the endpoint was busy."""
        ...

    def replay(self, workspace_id: str, endpoint_id: str, first_id: str, last_id: str, *, all_states: bool) -> None:
        """Deliveries of a range are to be resent."""
        ...

    def sweep(self) -> None:
        """What is due, and has no message, is to be found."""
        ...


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """What a request had for an answer: a status, or the error why there is none. body: its beginning."""

    status: int | None
    error: str | None = None
    body: str = ""
    retry_after_seconds: int | None = None


class WebhookSender(Protocol):
    """Requests to addresses that workspaces choose."""

    def check(self, url: str) -> str | None:
        """Why a URL may not be called; None = it may."""
        ...

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """POST a body; never raises for what the receiver or the network does."""
        ...


class WebhookSealer(Protocol):
    """Encrypts the secrets, bound to workspace and endpoint."""

    def seal(self, secret: str, workspace_id: str, endpoint_id: str) -> SealedText: ...

    def open(self, sealed: SealedText, workspace_id: str, endpoint_id: str) -> str:
        """Raises an exception for a record that was changed, or moved."""
        ...
