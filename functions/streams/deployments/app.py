"""Stream of the sites table, the outbox of deployments: the one that may run is started, and changes are told."""

from __future__ import annotations

from typing import Any

from atelier.clock import system_clock
from atelier.deployments.relay import start_deployments, tell_changes
from atelier.wiring import deployments


def handler(event: dict[str, Any], _context: object) -> None:
    """Start and tell what a DynamoDB stream batch changes. A failure repeats the batch: a job is started once, and an
    event has the same id each time."""
    start_deployments(deployments.active_deployments(event["Records"]), jobs=deployments.jobs())
    tell_changes(deployments.changed_deployments(event["Records"]), events=deployments.events(system_clock))
