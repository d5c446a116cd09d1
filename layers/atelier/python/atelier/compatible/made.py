"""What was made of a request, as the answers tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atelier.generations.model import Generation
from atelier.providers._contract import FinishReason


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the provider counted; zero where it did not."""

    input: int
    output: int
    cached: int
    cache_write: int
    image: int


@dataclass(frozen=True, slots=True)
class Made:
    """A generation that has succeeded: its text, or its files as bytes and as URLs, in the order of its assets."""

    generation: Generation
    text: str = ""
    files: tuple[bytes, ...] = ()
    urls: tuple[str, ...] = field(default=())

    @property
    def ulid(self) -> str:
        """The generation's id without its prefix: ids in OpenAI's style are made of it."""
        return self.generation.id.partition("_")[2]

    @property
    def created(self) -> int:
        """Seconds since 1970."""
        return int(self.generation.created_at.timestamp())

    @property
    def model(self) -> str:
        """The model that made it."""
        return served(self.generation)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.generation.recipe.parameters

    @property
    def usage(self) -> Tokens:
        """The tokens of it."""
        counted = self.generation.usage
        names = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "tokens_image")
        return Tokens(*(counted.get(name, 0) for name in names))

    @property
    def is_cut(self) -> bool:
        """Whether the text ends where the longest that was asked for does."""
        if self.generation.finish_reason is not None:
            return self.generation.finish_reason == FinishReason.LENGTH
        longest = self.parameters.get("max_tokens")
        return longest is not None and self.usage.output >= longest

    @property
    def is_filtered(self) -> bool:
        """Whether the provider's filter ended the text."""
        return self.generation.finish_reason == FinishReason.CONTENT_FILTER

    @property
    def is_refusal(self) -> bool:
        """Whether the text is the model's refusal, in its own words."""
        return self.generation.finish_reason == FinishReason.REFUSAL


def served(generation: Generation) -> str:
    """The model that serves a generation, or the one that was asked for while there is none."""
    return generation.attempt.model if generation.attempt else generation.recipe.model
