"""Pipelines as values: how a text model's output becomes a prompt, and how stages are priced before they run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atelier.catalogue.catalogue import catalogue, providers_with_keys
from atelier.catalogue.costs import Workload as Counted
from atelier.generations.model import QUEUE_ALLOWANCE, TEXT_KINDS, Kind, Pipeline, Recipe, Stage
from atelier.generations.pipeline_run import new_stage, resume
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
from atelier.settings import GenerationTimes
from tests.unit.generations.values import NOW, generation


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


def test_a_stage_leaves_each_later_stage_its_wait_and_its_longest_run() -> None:
    seconds = {"enhance": 60, "image": 300, "upscale": 600}
    stages = tuple(Stage(name, Kind.IMAGE, run_seconds_max=longest) for name, longest in seconds.items())
    run = replace(generation(), pipeline=Pipeline("enhanced_upscale", stages))
    later = [new_stage(run, number, [], "a boat", NOW).later_stages_seconds for number in range(3)]
    wait = int(QUEUE_ALLOWANCE.total_seconds())
    assert later == [wait + 300 + wait + 600, wait + 600, 0]
    assert [stage.run_seconds_max for stage in resume(run, [], lambda file: True).stages] == [0, 0, 0]


# Any prompt may be enhanced first, and a plain request becomes a run for that.
RUNS = [tuple(step.kind for step in steps) for steps in PIPELINES.values()]
LONGEST_RUNS = [
    *((Kind.TEXT, kind) for kind in Kind),
    *RUNS,
    *((Kind.TEXT, *run) for run in RUNS if Kind.TEXT not in run),
]


@pytest.mark.parametrize("kinds", LONGEST_RUNS)
def test_the_shortest_lifetime_has_time_for_all_stages(monkeypatch: pytest.MonkeyPatch, kinds: tuple[Kind]) -> None:
    monkeypatch.setenv("ATELIER_GENERATION_DEADLINE_SECONDS", "3600")
    shortest = timedelta(seconds=GenerationTimes.read().lifetime_seconds_max)
    everything = catalogue(frozenset({*providers_with_keys(), "local"}))

    def longest(kind: Kind) -> timedelta:
        parameters = {"max_tokens": 10**6} if kind in TEXT_KINDS else {}
        return timedelta(seconds=max(each.run_seconds(parameters) for each in everything.models_for(kind, NOW.date())))

    assert sum((QUEUE_ALLOWANCE + longest(kind) for kind in kinds), timedelta()) <= shortest
