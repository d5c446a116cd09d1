"""Collect every text of a request that a model will read, for moderation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from atelier.errors import PromptRefused
from atelier.generations.model import Failure, Pipeline, Recipe
from atelier.moderation.model import RequestText
from atelier.moderation.prompts import PromptCheck
from atelier.provider_port import ErrorClass

# Fields of a message that name its role and the type of a part; their values are no text for a model.
LABEL_FIELDS = frozenset({"role", "type"})
# A file inside a message (a whole data URL) is no text. Any other value is text, also one that only begins like a file.
FILE_PATTERN = re.compile(r"data:(?:image|audio|video)/[a-z0-9.+-]{1,20};base64,[A-Za-z0-9+/]*={0,2}")
LABEL_PATTERN = re.compile(r"[a-z_]{1,20}")


def prompt_texts(recipe: Recipe, pipeline: Pipeline | None = None) -> list[RequestText]:
    """The texts of a recipe and of the stages of its pipeline, each with its path in the request."""
    texts = [RequestText("prompt", recipe.prompt)]
    texts += _other_texts(recipe.negative_prompt, recipe.parameters, "")
    for stage in pipeline.stages if pipeline else ():
        texts += _other_texts(stage.negative_prompt, stage.parameters, f"stages.{stage.name}.")
    return list(dict.fromkeys(texts))


def prompt_failure(prompt: str, check: PromptCheck) -> Failure | None:
    """The failure of a run whose model-written prompt moderation refuses; None when the prompt may be used."""
    try:
        check([RequestText("prompt", prompt)], accepted_before=lambda: False)
    except PromptRefused as refused:
        message = (
            f"Moderation refused the enhanced prompt for {refused.words}. Try another one, or without enhancement."
        )
        return Failure("VALIDATION_FAILED", ErrorClass.MODERATED, message, category=refused.facts["category"])
    return None


def _other_texts(negative_prompt: str | None, parameters: Mapping[str, Any], where: str) -> Iterator[RequestText]:
    if negative_prompt:
        yield RequestText("negative_prompt", negative_prompt, wanted=False)
    for name, value in parameters.items():
        # A conversation is checked as a whole, so that a text spread over several messages is found.
        text, path = "\n".join(_texts(value)), f"{where}parameters.{name}"
        if text:
            yield RequestText(path, text, parts=tuple(_part_texts(value, path)))


def _part_texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    for number, inner in enumerate(cast("list[object]", value) if isinstance(value, list) else []):
        yield f"{path}[{number}]", "\n".join(_texts(inner))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if not FILE_PATTERN.fullmatch(value):
            yield value
    elif isinstance(value, Mapping):
        for name, inner in cast("Mapping[str, object]", value).items():
            if name not in LABEL_FIELDS or not LABEL_PATTERN.fullmatch(str(inner)):
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _texts(inner)
