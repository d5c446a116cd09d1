"""What has to be done next of a livestream, as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from atelier.livestreams.model import (
    CHECK_EVERY,
    CREATION_LEASE,
    LONGEST,
    Livestream,
    LivestreamAccess,
    LivestreamStatus,
    LivestreamStep,
    as_changed,
    next_due_at,
    next_step,
)

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEW = Livestream(
    "liv_1", "wsp_1", "usr_1", "Light", "", NOW, LivestreamAccess.PUBLIC, LivestreamStatus.SCHEDULED, NOW, NOW
)
AT_ONCE, LATER = timedelta(0), timedelta(hours=1)
MADE: dict[str, Any] = {"stream_id": "s"}
ON_AIR: dict[str, Any] = {**MADE, "status": LivestreamStatus.LIVE, "started_at": NOW, "live_at": NOW, "checked_at": NOW}
OVER: dict[str, Any] = {**MADE, "status": LivestreamStatus.ENDED, "ended_at": NOW, "closed_at": NOW}
STEPS: list[tuple[dict[str, Any], LivestreamStep | None, timedelta | None]] = [
    ({}, LivestreamStep.CREATE, AT_ONCE),
    ({"events": (("a", "{}"),)}, LivestreamStep.PUBLISH, AT_ONCE),
    ({"creating_at": NOW}, None, CREATION_LEASE),
    (MADE, None, LONGEST),
    ({**MADE, "starts_at": NOW - LONGEST}, LivestreamStep.EXPIRE, AT_ONCE),
    (ON_AIR, None, CHECK_EVERY),
    ({**ON_AIR, "checked_at": None}, LivestreamStep.CHECK, AT_ONCE),
    ({**ON_AIR, "access": LivestreamAccess.ENROLMENT}, LivestreamStep.NOTIFY, AT_ONCE),
    ({**ON_AIR, "started_at": NOW - LONGEST}, LivestreamStep.EXPIRE, AT_ONCE),
    (OVER, None, None),
    ({**OVER, "closed_at": None}, LivestreamStep.CLOSE, AT_ONCE),
    ({**OVER, "recording_ids": ("a",)}, LivestreamStep.RECORD, AT_ONCE),
    ({**OVER, "recording_ids": ("a",), "recording_at": NOW + LATER}, None, LATER),
    ({**OVER, "upload_id": "u"}, LivestreamStep.UPLOAD, AT_ONCE),
    ({**OVER, "stream_id": None}, None, None),
    ({**OVER, "orphans_at": NOW + LATER}, None, LATER),
]


@pytest.mark.parametrize(("fields", "step", "due_in"), STEPS)
def test_the_next_step(fields: dict[str, Any], step: LivestreamStep | None, due_in: timedelta | None) -> None:
    livestream = replace(NEW, **fields)
    assert next_step(livestream, NOW) is step
    assert next_due_at(livestream) == (None if due_in is None else NOW + due_in)


def test_a_change_is_numbered_and_due_when_the_next_step_is() -> None:
    changed = as_changed(replace(NEW, **ON_AIR), NOW - timedelta(hours=1))
    assert (changed.version, changed.updated_at, changed.due_at) == (2, NOW, NOW + CHECK_EVERY)
