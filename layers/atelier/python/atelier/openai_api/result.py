"""The result of a generation, from which the response bodies of `/v1` are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from atelier.dataclass import dataclass
from atelier.generations.model import Generation
from atelier.provider_port import FinishReason


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The provider's token counts; 0 where it reports none. `image` is a part of `input`."""

    input: int
    output: int
    cached: int
    cache_write: int
    image: int


@dataclass(frozen=True, slots=True)
class Result:
    """A successful generation with its text, or with the bytes and URLs of its files in the order of its assets."""

    generation: Generation
    text: str = ""
    files: tuple[bytes, ...] = ()
    urls: tuple[str, ...] = field(default=())

    @property
    def ulid(self) -> str:
        """The generation's id without its prefix; ids in OpenAI's form are built from it."""
        return self.generation.id.partition("_")[2]

    @property
    def created(self) -> int:
        """The time of creation in seconds since 1970."""
        return int(self.generation.created_at.timestamp())

    @property
    def model(self) -> str:
        """The id of the model that served the generation."""
        return served_model(self.generation)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.generation.recipe.parameters

    @property
    def usage(self) -> TokenUsage:
        """The token counts of the generation."""
        counts = self.generation.usage
        names = ("tokens_input", "tokens_output", "tokens_cached", "tokens_cache_write", "tokens_image")
        return TokenUsage(*(counts.get(name, 0) for name in names))

    @property
    def is_truncated(self) -> bool:
        """Whether the text ends because it reached the requested `max_tokens`."""
        if self.generation.finish_reason is not None:
            return self.generation.finish_reason == FinishReason.LENGTH
        max_tokens = self.parameters.get("max_tokens")
        return max_tokens is not None and self.usage.output >= max_tokens

    @property
    def is_filtered(self) -> bool:
        """Whether the provider's filter ended the text."""
        return self.generation.finish_reason == FinishReason.CONTENT_FILTER

    @property
    def is_refusal(self) -> bool:
        """Whether the text is a refusal that the model wrote."""
        return self.generation.finish_reason == FinishReason.REFUSAL


def served_model(generation: Generation) -> str:
    """The id of the model that serves a generation, or the requested one before the first attempt."""
    return generation.attempt.model if generation.attempt else generation.recipe.model
