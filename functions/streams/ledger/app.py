"""Stream of the ledger table: seal new movements into their wallet's hash chain, compare the wallet's counters, and
publish what came in, what became low and how much is stored."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.events.relay import publish_all
from atelier.ledger.seal_batch import seal_batch
from atelier.wiring import outbox, quota_alerts, seals
from atelier.workspaces.quota_alerts import warn


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Act on a DynamoDB stream batch with both images. A failure repeats the batch; what is sealed already stays as it
    is, and publishing again is harmless."""
    seal_batch(seals.new_movements(event["Records"]), deps=seals.seal_deps(), now=clock())
    publish_all(outbox.credit_events(event["Records"]), events=outbox.publisher)
    warn(quota_alerts.counted(event["Records"]), deps=quota_alerts.alert_deps, now=clock())
