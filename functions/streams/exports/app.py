"""Stream of the exports table, the outbox: a new export starts its job."""

from __future__ import annotations

from typing import Any

from atelier.exports.start_exports import start_exports
from atelier.wiring import exports


def handler(event: dict[str, Any], _context: object) -> None:
    """Start the jobs of a DynamoDB stream batch. A failure repeats the batch; starting a job twice starts it once."""
    start_exports(exports.created_exports(event["Records"]), jobs=exports.jobs())
    start_exports(exports.created_whole_exports(event["Records"]), jobs=exports.whole_jobs())
