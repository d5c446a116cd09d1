"""What administrators of the platform see of a generation, and do about it, composed."""

from __future__ import annotations

from atelier.generations.admin_timeline import TimelineDeps
from atelier.wiring import audit_log, generations, workflow


def deps() -> TimelineDeps:
    """The dependencies of reading a generation's way, and of ending it."""
    return TimelineDeps(generations.close_deps(), workflow.workflow(), workflow.inbox(), audit_log.events())
