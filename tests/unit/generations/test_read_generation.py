"""Reading a generation, with and without waiting for its end; no AWS and no clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from atelier.caller import Caller
from atelier.generations.model import Generation, Status
from atelier.generations.read_generation import ReadDeps, read_generation
from tests.unit.generations.test_present import FakeGenerations, generation

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPEN = generation(status=Status.RUNNING)


@pytest.mark.parametrize(
    ("wait_seconds", "ends_as", "waits", "waited_seconds"),
    [
        (None, Status.SUCCEEDED, [], None),
        (0, Status.SUCCEEDED, [], None),
        (7, Status.SUCCEEDED, [(7, "usr_of_the_reader")], 7),
        (7, Status.FAILED, [(7, "usr_of_the_reader")], 7),
        (7, Status.RUNNING, [(7, "usr_of_the_reader")], None),
    ],
)
def test_a_reader_waits_for_the_end_in_their_own_name(
    wait_seconds: int | None, ends_as: Status, waits: list[tuple[int, str]], waited_seconds: int | None
) -> None:
    waited: list[tuple[int, str]] = []

    def wait(found: Generation, seconds: int, requested_at: datetime, user_id: str) -> Generation:
        assert requested_at == NOW
        waited.append((seconds, user_id))
        return replace(found, status=ends_as)

    deps = ReadDeps(cast("Any", FakeGenerations(OPEN)), wait)
    found = read_generation(deps, Caller("usr_of_the_reader", "wsp_1", "viewer"), OPEN.id, wait_seconds, NOW)
    assert (waited, found.waited_seconds) == (waits, waited_seconds)
    assert found.generation.status is (ends_as if waits else Status.RUNNING)
