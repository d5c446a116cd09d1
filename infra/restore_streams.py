"""Keeps the streams of restored tables quiet. Each item that a restore writes is a record in its table's stream, and
the functions that read it would send every mail and start every job anew.

So the event source mappings are disabled while items are written, and then get a condition: only records that are
younger than the restore. A mapping goes on where it was, meets the restore's records, and leaves them out. A day later
they are gone from the stream, and the condition means nothing any more; the next deployment may remove it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

STATES_SECONDS_MAX = 300
# A record's time is in whole seconds.
MARGIN_SECONDS = 2


class MappingStuck(Exception):
    """An event source mapping does not reach a state."""


def pause(streams: Sequence[str]) -> list[Mapping[str, Any]]:
    """Disable the mappings of these streams and wait until they are; returns them. Safe to repeat."""
    from atelier.adapters.aws.clients import client

    found = [
        mapping
        for stream in streams
        for page in client("lambda").get_paginator("list_event_source_mappings").paginate(EventSourceArn=stream)
        for mapping in page["EventSourceMappings"]
    ]
    for mapping in found:
        if mapping["State"] not in ("Disabled", "Disabling"):
            client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    for mapping in found:
        _wait_for(mapping["UUID"], "Disabled")
    return found


def begin_after(mappings: Sequence[Mapping[str, Any]]) -> None:
    """Enable mappings again, for records that are younger than now. Safe to repeat."""
    from atelier.adapters.aws.clients import client
    from atelier.clock import system_clock

    seconds = int(system_clock().timestamp()) + MARGIN_SECONDS
    for mapping in mappings:
        filters = younger_than(seconds, mapping.get("FilterCriteria") or {})
        client("lambda").update_event_source_mapping(UUID=mapping["UUID"], FilterCriteria=filters, Enabled=True)


def younger_than(seconds: int, criteria: Mapping[str, Any]) -> dict[str, Any]:
    """FilterCriteria that match what these match and is younger. seconds: since 1970. Without filters all records
    match; of several one has to."""
    patterns = [json.loads(each["Pattern"]) for each in criteria.get("Filters", ())] or [{}]
    age = {"ApproximateCreationDateTime": [{"numeric": [">", seconds]}]}
    narrowed = [{**pattern, "dynamodb": {**pattern.get("dynamodb", {}), **age}} for pattern in patterns]
    return {"Filters": [{"Pattern": json.dumps(pattern, separators=(",", ":"))} for pattern in narrowed]}


def _wait_for(uuid: str, state: str) -> None:
    from atelier.adapters.aws.clients import client

    deadline = time.monotonic() + STATES_SECONDS_MAX
    while client("lambda").get_event_source_mapping(UUID=uuid)["State"] != state:
        if time.monotonic() > deadline:
            raise MappingStuck(f"the event source mapping {uuid} is not {state} after {STATES_SECONDS_MAX} s")
        time.sleep(1)
