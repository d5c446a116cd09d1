"""The store of received webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from atelier.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """A stored webhook: its raw bytes and headers, and the time it arrived."""

    headers: dict[str, str]
    body: bytes
    received_at: datetime


class WebhookInbox(Protocol):
    """Webhooks as they were received, by source and subject."""

    def keep(
        self,
        source: str,
        subject: str,
        event_id: str,
        address: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
    ) -> bool:
        """Store one webhook; returns False when it is stored already. `address`: what its handler needs to find the
        subject."""
        ...

    def find(self, source: str, subject: str) -> list[StoredWebhook]:
        """All webhooks that are stored for a subject."""
        ...
