"""What a drill has found: as JSON and as a text in the bucket, as an event, and as it is shown to administrators."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from atelier.backups.drill import Drill, DrillState
from atelier.clock import rfc3339
from atelier.events.catalogue import DrillEnded

JSON_TYPE, TEXT_TYPE = "application/json", "text/plain; charset=utf-8"


def drill_view(drill: Drill) -> dict[str, Any]:
    """A drill as it is shown."""
    return {
        "id": drill.id,
        "backup_id": drill.backup_id,
        "state": drill.state.value,
        "stage": drill.stage.value,
        "started_at": rfc3339(drill.started_at),
        "finished_at": rfc3339(drill.finished_at) if drill.finished_at else None,
        **asdict(drill.figures),
        "problems": list(drill.problems),
        "problems_more": drill.problems_more,
        "scratch_removed": drill.is_cleared,
    }


def report_files(drill: Drill) -> Mapping[str, tuple[bytes, str]]:
    """The report's files: name → (bytes, content type)."""
    data = json.dumps(drill_view(drill), indent=1, ensure_ascii=False).encode() + b"\n"
    return {"report.json": (data, JSON_TYPE), "report.txt": (_text(drill).encode(), TEXT_TYPE)}


def drill_ended(drill: Drill) -> DrillEnded:
    """The event that an ended drill publishes."""
    return DrillEnded(
        drill_id=drill.id,
        backup_id=drill.backup_id,
        result=drill.state.value,
        problems=len(drill.problems) + drill.problems_more,
        items=drill.figures.items,
        wallets=drill.figures.wallets,
        logs=drill.figures.logs,
        finished_at=rfc3339(drill.finished_at or drill.started_at),
    )


def _text(drill: Drill) -> str:
    figures, ended = drill.figures, drill.finished_at or drill.started_at
    result = "can be restored" if drill.state is DrillState.PASSED else "is NOT sound"
    lines = [
        f"{drill.backup_id} {result}.",
        "",
        f"Drill {drill.id}, {rfc3339(drill.started_at)} to {rfc3339(ended)}",
        f"Files read and compared: {figures.files} ({figures.size_bytes} bytes)",
        f"Tables restored:         {figures.tables}, with {figures.items} items",
        f"Wallets verified:        {figures.wallets}",
        f"Audit logs verified:     {figures.logs}",
        f"Media files opened:      {figures.media}",
        f"Scratch tables removed:  {'yes' if drill.is_cleared else 'not yet; the next drill removes them'}",
        "",
        *([f"Problems: {len(drill.problems) + drill.problems_more}"] if drill.problems else ["No problem was found."]),
        *(f"- {problem}" for problem in drill.problems),
        *([f"… and {drill.problems_more} more"] if drill.problems_more else []),
    ]
    return "\n".join(lines) + "\n"
