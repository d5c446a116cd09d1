"""A conversation as adapters send it: messages made of text and image parts, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from atelier.dataclass import dataclass
from atelier.provider_port import Input, Job

PromptPart = str | Input


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a conversation. role: system, user or assistant; parts: texts and images, in order."""

    role: str
    parts: tuple[PromptPart, ...]

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[Input, ...]:
        return tuple(part for part in self.parts if isinstance(part, Input))


def messages_of(job: Job) -> list[PromptMessage]:
    """The job's messages in order, or its prompt as one user message. Input images that no message refers to are put at
    the beginning of the last user message. Only the keys that the catalogue's parameter rule allows are read, so that
    nothing else in a stored job reaches a provider."""
    images = job.inputs.get("image", ())
    messages: list[PromptMessage] = []
    placed: set[int] = set()
    for message in _objects(job.parameters.get("messages")):
        parts = tuple(_parts(message.get("content"), images, placed))
        if parts:
            messages.append(PromptMessage(_role(message.get("role")), parts))
    if not messages and job.prompt:
        messages.append(PromptMessage("user", (job.prompt,)))
    unplaced = [picture for place, picture in enumerate(images) if place not in placed]
    unplaced += job.inputs.get("reference", ())
    if unplaced:
        user_positions = [place for place, message in enumerate(messages) if message.role == "user"]
        if user_positions:
            last = messages[user_positions[-1]]
            messages[user_positions[-1]] = replace(last, parts=(*unplaced, *last.parts))
        else:
            messages.append(PromptMessage("user", tuple(unplaced)))
    return messages


def _role(role: object) -> str:
    if role in ("system", "developer"):
        return "system"
    return "assistant" if role == "assistant" else "user"


def _parts(content: object, images: tuple[Input, ...], placed: set[int]) -> Iterator[PromptPart]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for part in _objects(content):
        match part:
            case {"type": "text", "text": str(text)} if text:
                yield text
            case {"type": "image", "image": int(place)} if 0 <= place < len(images):
                placed.add(place)
                yield images[place]
            case _:
                continue


def _objects(value: object) -> list[dict[str, Any]]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
