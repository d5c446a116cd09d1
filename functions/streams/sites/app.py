"""Stream of the sites table, the outbox: people whom a comment mentions are told, and what a removed site, page or part
leaves behind is removed."""

from __future__ import annotations

from typing import Any

from atelier.events.relay import publish_all
from atelier.sites.remove_leftovers import remove_leftovers
from atelier.wiring import site_changes


def handler(event: dict[str, Any], _context: object) -> None:
    """Act on a DynamoDB stream batch. A failure repeats it: what was published or removed stays so."""
    publish_all(site_changes.mentions(event["Records"]), events=site_changes.publisher)
    remove_leftovers(site_changes.leftovers(event["Records"]), deps=site_changes.leftover_deps)
