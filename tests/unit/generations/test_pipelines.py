"""Pipelines as values: how a text model's output becomes a prompt, and how stages are priced before they run."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atelier.catalogue.costs import Workload as Counted
from atelier.generations.model import Kind, Pipeline, Recipe, Stage
from atelier.generations.pipelines import (
    PIPELINES,
    StageOptions,
    build_pipeline,
    enhance_parameters,
    enhanced_prompt_bytes_max,
    longest_prompt,
    rewritten_prompt,
)
from atelier.generations.quote import QuoteInput


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
def test_quotes_and_labels_around_a_rewritten_prompt_are_removed(text: str, prompt: str) -> None:
    assert rewritten_prompt("a boat", text) == prompt


@given(st.text(max_size=400), st.text(max_size=4000))
@example("a boat " * 2000, "")
def test_a_rewritten_prompt_is_never_longer_than_its_priced_length(prompt: str, text: str) -> None:
    assert (
        len(rewritten_prompt(prompt, text).encode()) <= len(longest_prompt(prompt)) == enhanced_prompt_bytes_max(prompt)
    )


@pytest.mark.parametrize("prompt", ["一只狐狸在雪地里" * 40, "рыжая лиса " * 30, "🦊" * 80])
def test_a_rewritten_prompt_in_any_language_costs_no_more_than_its_hold(prompt: str) -> None:
    written = rewritten_prompt(prompt, prompt * 20)
    assert len(written.encode()) > 0.9 * enhanced_prompt_bytes_max(prompt)
    assert Counted({}, written).input_tokens <= Counted({}, longest_prompt(prompt)).input_tokens


def test_each_stage_takes_its_inputs_from_earlier_stages() -> None:
    for steps in PIPELINES.values():
        for number, step in enumerate(steps):
            assert set(step.starts_from.values()) <= {before.name for before in steps[:number]}


def test_a_run_is_priced_by_stage_with_the_files_of_earlier_stages() -> None:
    pipeline = build_pipeline("enhanced_upscale", {"image": StageOptions("local/canvas")}, "fog")
    enhance, image, upscale = QuoteInput.of(Recipe(Kind.UPSCALE, "a boat"), pipeline).stages
    assert (enhance.prompt, enhance.parameters) == ("a boat", enhance_parameters("image"))
    assert (image.model, image.prompt, image.files) == ("local/canvas", longest_prompt("a boat"), {})
    assert upscale.files == {"image": 1}
    assert [stage.negative_prompt for stage in pipeline.stages] == [None, "fog", None]


def test_a_stage_kept_from_an_earlier_run_is_not_priced() -> None:
    made = Stage("image", Kind.IMAGE, made_by="gen_1")
    film = Stage("video", Kind.VIDEO, starts_from={"image": "image"})
    ask = QuoteInput.of(Recipe(Kind.VIDEO, "a boat"), Pipeline("image_to_video", (made, film)))
    assert [stage.name for stage in ask.stages or ()] == ["video"]


def test_a_style_is_added_to_the_enhancers_system_prompt() -> None:
    assert "The style wanted: linocut." in enhance_parameters("image", "linocut")["system"]
