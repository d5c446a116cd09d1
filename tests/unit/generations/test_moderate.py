"""Which texts of a request are moderated."""

from __future__ import annotations

from typing import Any

import pytest

from atelier.errors import AtelierError, PromptRefused
from atelier.generations.model import Kind, Pipeline, Recipe, Stage
from atelier.generations.moderate import refusal, wordings
from atelier.moderation.blocklist import SHIPPED
from atelier.moderation.model import Policy, Wording
from atelier.moderation.prompts import PromptCheck

CHECK = PromptCheck(Policy(), SHIPPED)


def test_every_text_that_a_model_will_read_is_shown_with_its_place() -> None:
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
    assert wordings(Recipe(Kind.TEXT, "a fox", "auto", "hounds", parameters)) == [
        Wording("prompt", "a fox"),
        Wording("negative_prompt", "hounds", wanted=False),
        Wording("parameters.system", "Be brief."),
        Wording("parameters.messages", "Hello.\nAnd now?"),
    ]


@pytest.mark.parametrize(
    "disguise",
    ["data: {}", "data:{}", "data:text/plain,{}", "data:image/png;base64,AAAA {}", "data:{};base64,AAAA"],
)
def test_words_are_no_file_because_they_begin_like_one(disguise: str) -> None:
    text = disguise.format("child porn")
    told: list[dict[str, Any]] = [
        {"system": text},
        {"messages": [{"role": "user", "content": text}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        {"messages": [{"role": text, "content": "Hello."}]},
        {"messages": [{"role": "user", "type": {"text": text}, "content": "Hello."}]},
    ]
    for parameters in told:
        with pytest.raises(PromptRefused):
            CHECK(wordings(Recipe(Kind.TEXT, "a fox", parameters=parameters)), accepted_before=lambda: False)


def test_a_run_is_shown_with_what_its_stages_are_told() -> None:
    stages = (
        Stage("enhance", Kind.TEXT, parameters={"system": "Rewrite.", "max_tokens": 200}),
        Stage("image", Kind.IMAGE, negative_prompt="hounds", says="enhance"),
        Stage("upscale", Kind.UPSCALE, negative_prompt="hounds"),
    )
    assert wordings(Recipe(Kind.UPSCALE, "a fox"), Pipeline("enhanced_upscale", stages)) == [
        Wording("prompt", "a fox"),
        Wording("stages.enhance.parameters.system", "Rewrite."),
        Wording("negative_prompt", "hounds", wanted=False),
    ]


def test_a_prompt_that_a_model_wrote_may_be_refused_too() -> None:
    assert refusal("a fox in soft light", CHECK) is None
    failure = refusal("child porn in soft light", CHECK)
    assert failure is not None
    assert (failure.code, failure.error_class) == ("VALIDATION_FAILED", "moderated")
    assert failure.code in {each.code for each in every(AtelierError)}


def every(error: type[AtelierError]) -> set[type[AtelierError]]:
    """An error class and all its subclasses."""
    return {error}.union(*(every(each) for each in error.__subclasses__()))
