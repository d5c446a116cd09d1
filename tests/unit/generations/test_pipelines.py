"""Pipelines as values: how a text model's output becomes a prompt, and how stages are priced before they run."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atelier.generations.model import Kind, Pipeline, Recipe, Stage
from atelier.generations.pipelines import PIPELINES, Asked, assembled, enhancing, foreseen, rewritten, room_bytes
from atelier.generations.quote import Ask
from atelier.pricing.costs import Ask as Counted


@pytest.mark.parametrize(
    ("text", "prompt"),
    [
        ("a red boat, soft light", "a red boat, soft light"),
        ('"a red boat"\n', "a red boat"),
        ("```\na red boat\n```", "a red boat"),
        ("Enhanced prompt: a red boat", "a red boat"),
        ("“a red boat, with a prompt: sign”", "a red boat, with a prompt: sign"),
        ("a red\n\n  boat", "a red boat"),
        ("a red boat (procedural)", "a red boat"),
        ("", "a boat"),
        ("(procedural)", "a boat"),
    ],
)
def test_what_models_put_around_a_prompt_is_taken_off(text: str, prompt: str) -> None:
    assert rewritten("a boat", text) == prompt


@given(st.text(max_size=400), st.text(max_size=4000))
@example("a boat " * 2000, "")
def test_a_rewritten_prompt_is_never_longer_than_it_was_priced(prompt: str, text: str) -> None:
    assert len(rewritten(prompt, text).encode()) <= len(foreseen(prompt)) == room_bytes(prompt)


@pytest.mark.parametrize("prompt", ["一只狐狸在雪地里" * 40, "рыжая лиса " * 30, "🦊" * 80])
def test_a_prompt_that_is_enhanced_in_its_own_language_costs_no_more_than_was_held(prompt: str) -> None:
    written = rewritten(prompt, prompt * 20)
    assert len(written.encode()) > 0.9 * room_bytes(prompt)
    assert Counted({}, written).tokens_input <= Counted({}, foreseen(prompt)).tokens_input


def test_each_stage_starts_from_one_that_comes_before_it() -> None:
    for steps in PIPELINES.values():
        for number, step in enumerate(steps):
            assert set(step.starts_from.values()) <= {before.name for before in steps[:number]}


def test_a_run_is_priced_stage_by_stage_with_the_files_that_earlier_ones_make() -> None:
    pipeline = assembled("enhanced_upscale", {"image": Asked("local/canvas")}, "fog")
    enhance, image, upscale = Ask.of(Recipe(Kind.UPSCALE, "a boat"), pipeline).stages
    assert (enhance.prompt, enhance.parameters) == ("a boat", enhancing("image"))
    assert (image.model, image.prompt, image.files) == ("local/canvas", foreseen("a boat"), {})
    assert upscale.files == {"image": 1}
    assert [stage.negative_prompt for stage in pipeline.stages] == [None, "fog", None]


def test_what_an_earlier_run_has_made_has_no_price() -> None:
    made = Stage("image", Kind.IMAGE, made_by="gen_1")
    film = Stage("video", Kind.VIDEO, starts_from={"image": "image"})
    ask = Ask.of(Recipe(Kind.VIDEO, "a boat"), Pipeline("image_to_video", (made, film)))
    assert [stage.name for stage in ask.stages or ()] == ["video"]


def test_a_style_is_asked_for_in_the_models_words() -> None:
    assert "The style wanted: linocut." in enhancing("image", "linocut")["system"]
