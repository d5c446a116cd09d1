"""What administrators of the platform see of a generation, and do about it, composed."""

from __future__ import annotations

from atelier.adapters.aws.generation_places import KnownPlaces
from atelier.generations.admin_timeline import TimelineDeps
from atelier.settings import FunctionLog
from atelier.wiring import audit_log, executions, generations


def deps() -> TimelineDeps:
    """The dependencies of reading a generation's way, and of ending it."""
    places = KnownPlaces(executions.workflow(), FunctionLog.read().group)
    return TimelineDeps(generations.close_deps(), places, executions.inbox(), audit_log.events())
