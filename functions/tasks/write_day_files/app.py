"""State machine task: write the files for analysts of one day and one shard of the workspaces."""

from __future__ import annotations

from typing import Any

from atelier.exports.day_files import write_shard
from atelier.wiring import exports


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """event: {shard, started_at: of the execution, day?: `2026-11-29`}; returns the number of rows of each table."""
    return write_shard(event, deps=exports.day_file_deps())
