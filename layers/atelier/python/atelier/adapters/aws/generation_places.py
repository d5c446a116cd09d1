"""In which workspace a generation is: by its execution, or by the line that the outbox logged when it began."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

from atelier.adapters.aws.clients import client
from atelier.generations.ports import GenerationPlaces
from atelier.ids import created_at, is_id

# The line comes within this time of the id, save for an id that was bound to an idempotency key long before.
LOGGED_WITHIN = timedelta(seconds=30)
PAGES_MAX = 20


class KnownPlaces:
    """GenerationPlaces by executions and, because Express executions cannot be looked up, by the functions' log.
    log_group: its name, empty = there is none."""

    def __init__(self, executions: GenerationPlaces, log_group: str) -> None:
        self._executions, self._log_group = executions, log_group

    def workspace_of(self, generation_id: str) -> str | None:
        if not is_id(generation_id, "gen"):
            return None
        return self._executions.workspace_of(generation_id) or self._logged_workspace(generation_id)

    def _logged_workspace(self, generation_id: str) -> str | None:
        if not self._log_group:
            return None
        begun = created_at(generation_id)
        request: dict[str, Any] = {
            "logGroupName": self._log_group,
            "startTime": int(begun.timestamp() * 1000),
            "endTime": int((begun + LOGGED_WITHIN).timestamp() * 1000),
            "filterPattern": f'"{generation_id}"',
        }
        for _ in range(PAGES_MAX):
            page = client("logs").filter_log_events(**request)
            for event in page["events"]:
                if (workspace_id := _workspace_in(event["message"], generation_id)) is not None:
                    return workspace_id
            if "nextToken" not in page:
                return None
            request["nextToken"] = page["nextToken"]
        return None


def _workspace_in(line: str, generation_id: str) -> str | None:
    """The workspace that a line names together with the generation; None for any other line."""
    facts: dict[str, Any] = {}
    with suppress(ValueError, TypeError):
        facts = dict(json.loads(line))
    is_about_it = facts.get("generation_id") == generation_id and "workspace_id" in facts
    return str(facts["workspace_id"]) if is_about_it else None
