"""State machine task: put the deployment's secrets into a backup, encrypted for the recovery key."""

from __future__ import annotations

from typing import Any

from atelier.backups.escrow_secrets import escrow_secrets
from atelier.clock import Clock, system_clock
from atelier.wiring import backups


def handler(event: dict[str, Any], _context: object, clock: Clock = system_clock) -> dict[str, bool]:
    """event: {backup_id}; returns {escrowed: whether there is a recovery key}. No secret is returned or logged."""
    return {"escrowed": escrow_secrets(event["backup_id"], deps=backups.escrow_deps(clock))}
