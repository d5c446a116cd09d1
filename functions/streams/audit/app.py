"""Stream of the audit table: seal new events into their log's hash chain, and report events that were changed."""

from __future__ import annotations

from typing import Any

from atelier.audit_log.seal_events import report_changes, seal_batch
from atelier.clock import Clock, system_clock
from atelier.wiring import audit_log, erasures


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> None:
    """Seal a DynamoDB stream batch with both images. A failure repeats the batch; what is sealed stays as it is."""
    report_changes(audit_log.changed_events(event["Records"]), is_erased=erasures.is_erased)
    seal_batch(audit_log.new_events(event["Records"]), deps=audit_log.seal_deps(), now=clock())
