"""Stream of the ledger table: seal new movements into their wallet's hash chain, and compare the wallet's counters."""

from __future__ import annotations

from typing import Any

from atelier.clock import Clock, system_clock
from atelier.ledger.seal_batch import seal_batch
from atelier.wiring import seals


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Seal a DynamoDB stream batch of new items. A failure repeats the batch; what is sealed already stays as it is."""
    seal_batch(seals.new_movements(event["Records"]), deps=seals.seal_deps(), now=clock())
