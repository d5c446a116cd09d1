"""A conversation as adapters send it: messages made of text and image parts, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

from atelier.frozen import dataclass
from atelier.providers._contract import Input, Job

Part = str | Input


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. role: system, user or assistant; parts: texts and images, in order."""

    role: str
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, joined by newlines."""
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def pictures(self) -> tuple[Input, ...]:
        return tuple(part for part in self.parts if isinstance(part, Input))


def conversation(job: Job) -> list[Message]:
    """The job's messages in order, or its prompt as one user message. Input images that no message refers to are put at
    the beginning of the last user message. Only the keys that the catalogue's parameter rule allows are read, so that
    nothing else in a stored job reaches a provider."""
    pictures = job.inputs.get("image", ())
    said: list[Message] = []
    shown: set[int] = set()
    for message in _objects(job.parameters.get("messages")):
        parts = tuple(_parts(message.get("content"), pictures, shown))
        if parts:
            said.append(Message(_role(message.get("role")), parts))
    if not said and job.prompt:
        said.append(Message("user", (job.prompt,)))
    others = [picture for place, picture in enumerate(pictures) if place not in shown]
    others += job.inputs.get("reference", ())
    if others:
        spoken = [place for place, message in enumerate(said) if message.role == "user"]
        if spoken:
            last = said[spoken[-1]]
            said[spoken[-1]] = replace(last, parts=(*others, *last.parts))
        else:
            said.append(Message("user", tuple(others)))
    return said


def _role(role: object) -> str:
    if role in ("system", "developer"):
        return "system"
    return "assistant" if role == "assistant" else "user"


def _parts(content: object, pictures: tuple[Input, ...], shown: set[int]) -> Iterator[Part]:
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for part in _objects(content):
        match part:
            case {"type": "text", "text": str(text)} if text:
                yield text
            case {"type": "image", "image": int(place)} if 0 <= place < len(pictures):
                shown.add(place)
                yield pictures[place]
            case _:
                continue


def _objects(value: object) -> list[dict[str, Any]]:
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return [cast("dict[str, Any]", entry) for entry in entries if isinstance(entry, dict)]
