"""What each change of a generation is in the feed of its workspace."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from atelier.feeds.model import FeedEvent
from atelier.generations.change import GenerationChange, GenerationState
from atelier.generations.feed_events import feed_events
from atelier.generations.model import Status
from atelier.generations.relay import RelayDeps, relay_all
from tests.unit.generations.test_relay import (
    EXPIRED,
    GENERATION,
    NOW,
    QUEUED,
    RUN,
    RUNNING,
    SUCCEEDED,
    WORKSPACE,
    Effects,
)

ASSET = {"id": "ast_G", "sha256": "00", "format": "png", "size_bytes": 5}
DELIVERED = replace(SUCCEEDED, assets=(ASSET,))
LATER = "2026-11-20T21:12:00.000Z"
FAILED = replace(RUNNING, status=Status.FAILED, failure={"code": "ALL_FAILED", "message": "No."})

AT_NO_PRICE = replace(DELIVERED, credits_charged=0)
STAGE_RUNNING, STAGE_DELIVERED = replace(RUNNING, run_id=RUN), replace(DELIVERED, run_id=RUN)

CHANGES: dict[str, tuple[GenerationState | None, GenerationState, list[str]]] = {
    "new": (None, QUEUED, ["generation.queued"]),
    "new stage": (None, replace(QUEUED, run_id=RUN), []),
    "new with a reused result": (None, DELIVERED, ["generation.succeeded", "asset.created", "credits.spent"]),
    "another place in line": (QUEUED, replace(QUEUED, delayed_until=LATER), ["generation.queued"]),
    "the same place in line": (replace(QUEUED, delayed_until=LATER), replace(QUEUED, delayed_until=LATER), []),
    "started": (QUEUED, RUNNING, ["generation.running"]),
    "started after a delay": (replace(QUEUED, delayed_until=LATER), RUNNING, ["generation.running"]),
    "stage started": (replace(QUEUED, run_id=RUN), replace(RUNNING, run_id=RUN), ["stage.running"]),
    "progress": (RUNNING, replace(RUNNING, progress=40), ["generation.progress"]),
    "progress that goes back": (replace(RUNNING, progress=40), RUNNING, []),
    "another attempt": (RUNNING, replace(RUNNING, open_attempt_id="att_H"), []),
    "cancellation requested": (RUNNING, replace(RUNNING, is_cancel_requested=True), []),
    "succeeded": (RUNNING, DELIVERED, ["generation.succeeded", "asset.created", "credits.spent"]),
    "succeeded for nothing": (
        RUNNING,
        replace(DELIVERED, credits_charged=0),
        ["generation.succeeded", "asset.created"],
    ),
    "stage succeeded": (
        replace(RUNNING, run_id=RUN),
        replace(DELIVERED, run_id=RUN),
        ["stage.succeeded", "asset.created"],
    ),
    "failed": (RUNNING, FAILED, ["generation.failed"]),
    "expired": (RUNNING, EXPIRED, ["generation.expired"]),
    "failed with a key that is refused": (
        RUNNING,
        replace(FAILED, refused_keys=(("fal", "key_A"),)),
        ["generation.failed", "provider_key.refused"],
    ),
    "late result": (EXPIRED, DELIVERED, ["generation.succeeded", "asset.created", "credits.spent"]),
    "moved to a project later": (DELIVERED, replace(DELIVERED, project_id="prj_I"), []),
}


def change(before: GenerationState | None, after: GenerationState, position: int = 1) -> GenerationChange:
    return GenerationChange(WORKSPACE, GENERATION, before, after, position)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_exactly_its_events(name: str) -> None:
    before, after, expected = CHANGES[name]
    events = feed_events(change(before, after), None, NOW)
    assert [event.type for event in events] == expected
    assert len({event.id for event in events}) == len(events)


def test_an_end_says_what_was_made_and_why_it_failed() -> None:
    succeeded = feed_events(change(RUNNING, replace(DELIVERED, project_id="prj_I")), None, NOW)[0]
    assert succeeded.data["assets"] == [ASSET]
    assert (succeeded.data["project_id"], succeeded.data["credits_charged"]) == ("prj_I", 2)
    failed = feed_events(change(RUNNING, FAILED), None, NOW)[0]
    assert failed.data["error"] == {"code": "ALL_FAILED", "message": "No."}


class Pages(Effects):
    """Effects that notes what is appended to feeds."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[tuple[str, list[str], int]] = []
        self.events: list[list[FeedEvent]] = []

    def append(self, feed_id: str, events: Any, now: Any, position: Any = None) -> None:
        assert all(isinstance(event, FeedEvent) for event in events)
        self.events.append(list(events))
        self.pages.append((feed_id, [event.type for event in events], position.number))


def test_the_changes_of_a_workspace_in_a_batch_are_one_page() -> None:
    effects = Pages()
    deps = RelayDeps(effects, effects, effects, effects, effects, lambda *_: 3)
    changes = [
        change(None, QUEUED, 1),
        replace(change(None, QUEUED, 2), workspace_id="wsp_B"),
        change(QUEUED, RUNNING, 3),
    ]
    relay_all(iter(changes), deps=deps, now=NOW)
    assert effects.pages == [
        (WORKSPACE, ["generation.queued", "generation.running"], 3),
        ("wsp_B", ["generation.queued"], 2),
    ]


def test_a_long_batch_is_several_pages_each_with_its_position() -> None:
    effects = Pages()
    deps = RelayDeps(effects, effects, effects, effects, effects, lambda *_: 3)
    ten_files = replace(SUCCEEDED, assets=tuple(ASSET | {"id": f"ast_{n}"} for n in range(10)))
    relay_all([change(RUNNING, ten_files, number) for number in range(1, 13)], deps=deps, now=NOW)
    # Twelve events a change.
    assert [(len(types), position) for _, types, position in effects.pages] == [(60, 5), (60, 10), (24, 12)]


def test_who_waits_in_line_is_told_the_place_and_the_time() -> None:
    effects = Pages()
    deps = RelayDeps(effects, effects, effects, effects, effects, lambda *_: 3)
    waits = replace(QUEUED, delayed_until=LATER, delayed_candidate="replicate/sdxl")
    relay_all([change(None, QUEUED, 1), change(QUEUED, waits, 2)], deps=deps, now=NOW)
    [page] = effects.events
    assert [event.data.get("queue") for event in page] == [None, {"retry_at": LATER, "position": 3}]
