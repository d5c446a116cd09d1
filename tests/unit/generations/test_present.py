"""Generations as values of responses, without AWS: texts, stages, signed URLs and pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from atelier import cursors
from atelier.errors import NotFound, ValidationFailed
from atelier.generations import present
from atelier.generations.model import (
    Attempt,
    AttemptStatus,
    DeliveredFile,
    Generation,
    Kind,
    Pipeline,
    Recipe,
    Stage,
    Status,
    stage_id,
)
from atelier.generations.ports import Filters, GenerationPage
from atelier.generations.present import PresentDeps
from atelier.generations.read_text import read_text
from atelier.generations.schemas import ListQuery

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PICTURE = DeliveredFile("ast_1", "image", "5a", "png", 10, 64, 64, has_thumbnail=True)
TEXT = DeliveredFile("ast_2", "text", "7e", "txt", 5)
ATTEMPT = Attempt("att_1", "local", "local/canvas", AttemptStatus.SUCCEEDED, NOW, NOW)


def generation(kind: Kind = Kind.IMAGE, status: Status = Status.SUCCEEDED, **facts: Any) -> Generation:
    own = {"id": "gen_1", "prompt": "a fox"} | facts
    return Generation(
        id=own.pop("id"),
        workspace_id="wsp_1",
        user_id="usr_1",
        recipe=Recipe(kind, own.pop("prompt")),
        candidates=(),
        price_version="1",
        watermark=True,
        credits_held=4,
        status=status,
        created_at=NOW,
        deadline_at=NOW + timedelta(hours=1),
        **own,
    )


class FakeGenerations:
    def __init__(self, *stored: Generation) -> None:
        self.stored = {each.id: each for each in stored}

    def get(self, workspace_id: str, generation_id: str) -> Generation:
        if generation_id not in self.stored:
            raise NotFound
        return self.stored[generation_id]

    def list(self, workspace_id: str, filters: Filters, after_id: str | None, limit: int) -> GenerationPage:
        return GenerationPage(tuple(self.stored.values())[:limit], None)


def read_file(workspace_id: str, sha256: str, format: str) -> bytes:
    return f"{workspace_id}/{sha256}.{format}".encode()


def asset_urls(workspace_id: str, sha256: str, format: str, now: datetime) -> tuple[str, str]:
    return f"/{sha256}.{format}", f"/{sha256}.thumbnail"


def deps(*stored: Generation, deleted: frozenset[str] = frozenset()) -> PresentDeps:
    generations = cast("Any", FakeGenerations(*stored))
    return PresentDeps(
        generations,
        lambda each: read_text(each, read_file),
        asset_urls,
        lambda _, asset_ids: deleted.intersection(asset_ids),
        lambda waiting, now: 3,
    )


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (generation(Kind.TEXT, assets=(TEXT,)), "wsp_1/7e.txt"),
        (generation(Kind.TEXT), ""),
        (generation(Kind.TEXT, Status.RUNNING), None),
        (generation(Kind.TEXT, Status.FAILED), None),
        (generation(assets=(PICTURE,)), None),
    ],
    ids=["a file", "an empty text", "running", "failed", "an image"],
)
def test_the_text_of_a_generation_is_its_delivered_file(shown: Generation, text: str | None) -> None:
    assert present.view(deps(), shown, NOW)["text"] == text


def test_an_asset_has_a_thumbnail_only_if_one_is_stored() -> None:
    bare = replace(PICTURE, has_thumbnail=False)
    assets = present.view(deps(), generation(assets=(PICTURE, bare)), NOW)["assets"]
    assert [(each["url"], each["thumbnail_url"]) for each in assets] == [
        ("/5a.png", "/5a.thumbnail"),
        ("/5a.png", None),
    ]


def test_deleted_files_are_named_and_not_shown() -> None:
    shown = generation(assets=(PICTURE, replace(PICTURE, id="ast_3")))
    with_one = deps(deleted=frozenset({"ast_1"}))
    listed = present.list_view(deps(shown, deleted=frozenset({"ast_1"})), "wsp_1", ListQuery(), NOW)["items"][0]
    for view in (present.view(with_one, shown, NOW), listed):
        assert ([each["id"] for each in view["assets"]], view["deleted_asset_ids"]) == (["ast_3"], ["ast_1"])
    text = present.view(deps(deleted=frozenset({"ast_2"})), generation(Kind.TEXT, assets=(TEXT,)), NOW)
    assert (text["text"], text["assets"], text["deleted_asset_ids"]) == (None, [], ["ast_2"])


LATER = NOW + timedelta(minutes=1)
RUNNING = Attempt("att_2", "local", "local/canvas", AttemptStatus.SUBMITTING, NOW)


@pytest.mark.parametrize(
    ("facts", "queue"),
    [
        ({"delayed_until": LATER, "delayed_candidate": "fal/flux"}, {"retry_at": LATER, "position": 3}),
        ({"delayed_until": LATER}, {"retry_at": LATER, "position": None}),
        ({"delayed_until": NOW, "delayed_candidate": "fal/flux"}, None),
        ({"delayed_until": LATER, "attempts": (RUNNING,)}, None),
        ({"delayed_until": LATER, "status": Status.SUCCEEDED}, None),
        ({}, None),
    ],
    ids=["a reserved slot", "nothing reserved", "due", "sent meanwhile", "ended", "not delayed"],
)
def test_a_delayed_generation_shows_when_it_goes_on_and_its_place(facts: dict[str, Any], queue: Any) -> None:
    shown = generation(**{"status": Status.QUEUED, **facts})
    assert present.view(deps(), shown, NOW)["queue"] == queue
    listed = present.list_view(deps(shown), "wsp_1", ListQuery(), NOW)["items"][0]["queue"]
    assert listed == (queue and {**queue, "position": None})


def test_a_run_shows_how_its_stage_waits() -> None:
    pipeline = Pipeline("image_to_video", (Stage("image", Kind.IMAGE), Stage("video", Kind.VIDEO)))
    run = generation(Kind.VIDEO, Status.RUNNING, pipeline=pipeline, stages_begun=1)
    stage = generation(id=stage_id(run.id, 0), status=Status.QUEUED, delayed_until=LATER, delayed_candidate="fal/flux")
    assert present.view(deps(run, stage), run, NOW)["queue"] == {"retry_at": LATER, "position": 3}
    assert present.view(deps(run, stage), replace(run, status=Status.CANCELLED), NOW)["queue"] is None


@pytest.mark.parametrize(("status", "attempts"), [(Status.RUNNING, ["att_1"]), (Status.FAILED, [])])
def test_an_open_run_shows_the_attempts_of_its_stages(status: Status, attempts: list[str]) -> None:
    pipeline = Pipeline("image_to_video", (Stage("image", Kind.IMAGE), Stage("video", Kind.VIDEO)))
    run = generation(Kind.VIDEO, status, pipeline=pipeline, stages_begun=1)
    stage = generation(id=stage_id(run.id, 0), parent_id=run.id, attempts=(ATTEMPT,), assets=(PICTURE,))
    view = present.view(deps(run, stage), run, NOW)
    assert [each["id"] for each in view["attempts"]] == attempts
    assert [(each["name"], each["generation_id"], len(each["assets"])) for each in view["stages"]] == [
        ("image", stage.id, 1)
    ]


def test_a_listing_has_neither_texts_nor_stages() -> None:
    pipeline = Pipeline("image_to_video", (Stage("image", Kind.IMAGE),))
    run = generation(Kind.VIDEO, id="gen_2", pipeline=pipeline, stages_begun=1)
    found = present.list_view(deps(generation(Kind.TEXT, assets=(TEXT,)), run), "wsp_1", ListQuery(), NOW)
    assert [(each["id"], each["text"], each["stages"]) for each in found["items"]] == [
        ("gen_1", None, []),
        ("gen_2", None, []),
    ]


def test_a_page_ends_before_its_texts_are_too_long_for_a_response() -> None:
    long = [generation(id=f"gen_{number}", prompt="x" * 1_500_000) for number in range(4)]
    found = present.list_view(deps(*long), "wsp_1", ListQuery(), NOW)
    assert [each["id"] for each in found["items"]] == ["gen_0", "gen_1"]
    assert cursors.decode(found["next_cursor"], "gen_") == "gen_1"


def test_a_cursor_of_another_list_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        present.list_view(deps(), "wsp_1", ListQuery(cursor=cursors.encode("tpl_1")), NOW)
