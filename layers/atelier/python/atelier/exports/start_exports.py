"""Start the jobs of the exports that the table's stream shows as new."""

from __future__ import annotations

from collections.abc import Iterable

from atelier.exports.ports import ExportJobs
from atelier.telemetry import logger


def start_exports(created: Iterable[tuple[str, str]], *, jobs: ExportJobs) -> None:
    """created: (workspace id, export id). Safe to repeat: a job has the name of its export."""
    for workspace_id, export_id in created:
        jobs.start(workspace_id, export_id)
        logger.info("export started", workspace_id=workspace_id, export_id=export_id)
