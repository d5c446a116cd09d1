"""The part of a generation's page that changes: how it waits, and when it looks again."""

from __future__ import annotations

from typing import Any

import pytest

from studio.pages.generations import PAUSE_SECONDS, PAUSE_UNHELD_SECONDS, pause_after
from studio.rendering import render
from studio.strings import Translator

GENERATION: dict[str, Any] = {
    "id": "gen_1",
    "kind": "image",
    "status": "queued",
    "progress": 0,
    "prompt": "a fox",
    "model": "auto",
    "parameters": {},
    "deadline_at": "2026-11-28T12:10:00Z",
    "created_at": "2026-11-28T12:00:00Z",
    "cancel_requested": False,
    "queue": None,
    **dict.fromkeys(("error", "text", "finish_reason", "enhanced_prompt", "negative_prompt")),
    **dict.fromkeys(("project_id", "parent_id", "reused_from", "duration_ms")),
    **dict.fromkeys(("stages", "assets", "deleted_asset_ids", "attempts"), ()),
}


def shown(*, is_live: bool = False, **facts: Any) -> str:
    values = {"generation": GENERATION | facts, "is_open": True, "looks": 3, "pause": 0.2, "explanation": None}
    values |= {"is_live": is_live}
    form = {"form_token": "", "form_key": "", "change": "/create"}
    return render("generation_body.html", {"t": Translator("en"), **values, **form})


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        ({"retry_at": "2026-11-28T12:03:00Z", "position": 4}, "place 4 in the queue"),
        ({"retry_at": "2026-11-28T12:03:00Z", "position": None}, "It goes on at"),
    ],
)
def test_a_generation_that_waits_for_a_rate_limit_says_until_when(queue: dict[str, Any], words: str) -> None:
    page = shown(queue=queue)
    assert words in page
    assert "2026-11-28T12:03:00Z" in page
    assert ("place " in page) is (queue["position"] is not None)
    assert "It goes on at" not in shown(queue=None)


def test_a_look_whose_answer_was_not_held_is_followed_by_a_longer_pause() -> None:
    assert pause_after(8.1, 8) == pause_after(4, 8) == PAUSE_SECONDS
    assert pause_after(0.05, 8) == PAUSE_UNHELD_SECONDS
    assert 'hx-trigger="look, load delay:0.2s"' in shown()


def test_a_page_with_a_connection_looks_when_it_is_told() -> None:
    assert 'hx-trigger="look"' in shown(is_live=True)
    assert "look=3&amp;live=1" in shown(is_live=True)
