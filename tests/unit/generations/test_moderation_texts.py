"""Which texts of a request are moderated."""

from __future__ import annotations

from typing import Any

import pytest

from atelier.errors import AtelierError, PromptRefused
from atelier.generations.model import Kind, Pipeline, Recipe, Stage
from atelier.generations.moderation_texts import prompt_failure, prompt_texts
from atelier.moderation.blocklist import DEFAULT_BLOCKLIST
from atelier.moderation.model import Policy, RequestText
from atelier.moderation.prompts import PromptCheck

CHECK = PromptCheck(Policy(), DEFAULT_BLOCKLIST)


def test_every_text_for_the_model_is_moderated_with_its_field_path() -> None:
    picture = "data:image/png;base64,iVBORw0KGgo="
    parameters = {
        "system": "Be brief.",
        "seed": 7,
        "messages": [
            {"role": "user", "content": "Hello."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "And now?"}, {"type": "image_url", "image_url": {"url": picture}}],
            },
        ],
    }
    assert prompt_texts(Recipe(Kind.TEXT, "a fox", "auto", "hounds", parameters)) == [
        RequestText("prompt", "a fox"),
        RequestText("negative_prompt", "hounds", wanted=False),
        RequestText("parameters.system", "Be brief."),
        RequestText("parameters.messages", "Hello.\nAnd now?"),
    ]


@pytest.mark.parametrize(
    "disguise",
    ["data: {}", "data:{}", "data:text/plain,{}", "data:image/png;base64,AAAA {}", "data:{};base64,AAAA"],
)
def test_a_text_that_begins_like_a_data_url_is_moderated(disguise: str) -> None:
    text = disguise.format("child porn")
    examples: list[dict[str, Any]] = [
        {"system": text},
        {"messages": [{"role": "user", "content": text}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        {"messages": [{"role": text, "content": "Hello."}]},
        {"messages": [{"role": "user", "type": {"text": text}, "content": "Hello."}]},
    ]
    for parameters in examples:
        with pytest.raises(PromptRefused):
            CHECK(prompt_texts(Recipe(Kind.TEXT, "a fox", parameters=parameters)), accepted_before=lambda: False)


def test_a_runs_stage_parameters_are_moderated() -> None:
    stages = (
        Stage("enhance", Kind.TEXT, parameters={"system": "Rewrite.", "max_tokens": 200}),
        Stage("image", Kind.IMAGE, negative_prompt="hounds", says="enhance"),
        Stage("upscale", Kind.UPSCALE, negative_prompt="hounds"),
    )
    assert prompt_texts(Recipe(Kind.UPSCALE, "a fox"), Pipeline("enhanced_upscale", stages)) == [
        RequestText("prompt", "a fox"),
        RequestText("stages.enhance.parameters.system", "Rewrite."),
        RequestText("negative_prompt", "hounds", wanted=False),
    ]


def test_a_prompt_written_by_a_model_can_be_refused() -> None:
    assert prompt_failure("a fox in soft light", CHECK) is None
    failure = prompt_failure("child porn in soft light", CHECK)
    assert failure is not None
    assert (failure.code, failure.error_class) == ("VALIDATION_FAILED", "moderated")
    assert failure.code in {each.code for each in every(AtelierError)}


def every(error: type[AtelierError]) -> set[type[AtelierError]]:
    """An error class and all its subclasses."""
    return {error}.union(*(every(each) for each in error.__subclasses__()))
