"""Conversations: what was said to a model, and in whose name, out of the two ways in which OpenAI's API says it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from atelier.compatible.asked import PROMPT_CHARACTERS_MAX, File, bounded, pictured
from atelier.compatible.errors import Unsupported
from atelier.errors import ValidationFailed

TEXTS = ("text", "input_text", "output_text", "refusal")
PICTURES = ("image_url", "input_image")
INSTRUCTING = ("system", "developer")
# A conversation is kept as JSON in one item, which has 400 KB.
BYTES_MAX = 300_000


@dataclass(frozen=True, slots=True)
class Said:
    """One message: who said it, its text, and the pictures in it."""

    role: str
    text: str
    pictures: tuple[File, ...] = ()


@dataclass(frozen=True, slots=True)
class Talk:
    """A conversation as a recipe has it. `messages` are given where the prompt alone would not say it all."""

    prompt: str
    parameters: dict[str, Any]
    pictures: tuple[File, ...]


def talk(said: Sequence[Said], param: str) -> Talk:
    """The conversation. What instructs stands apart, wherever it stood; the prompt is what was said last."""
    if sum(len(json.dumps(each.text, ensure_ascii=False).encode(errors="replace")) for each in said) > BYTES_MAX:
        raise ValidationFailed([{"path": param, "message": f"must not be longer than {BYTES_MAX} bytes as JSON"}])
    system = "\n\n".join(each.text for each in said if each.role in INSTRUCTING and each.text)
    rest = [each for each in said if each.role not in INSTRUCTING and (each.text or each.pictures)]
    pictures = bounded([picture for each in rest for picture in each.pictures])
    spoken = [each for each in rest if each.role == "user" and each.text]
    prompt = spoken[-1].text if spoken else (rest[-1].text if rest else system)
    if not prompt.strip():
        raise ValidationFailed([{"path": param, "message": "must say something"}])
    parameters: dict[str, Any] = {"system": system} if system and rest else {}
    if len(rest) > 1 or len(prompt) > PROMPT_CHARACTERS_MAX:
        parameters["messages"] = [{"role": each.role, "content": each.text} for each in rest if each.text]
    return Talk(prompt[:PROMPT_CHARACTERS_MAX], parameters, pictures)


def said(role: str, content: Any, param: str) -> Said:
    """One message out of its content: a text, or a list of parts."""
    if content is None or isinstance(content, str):
        return Said(role, content or "")
    texts: list[str] = []
    pictures: list[File] = []
    for number, part in enumerate(content):
        place = f"{param}[{number}]"
        kind = part.get("type")
        if kind in TEXTS and isinstance(part.get("text", part.get("refusal")), str):
            texts.append(part.get("text", part.get("refusal")))
        elif kind in PICTURES:
            pictures.append(_picture(part, f"{place}.image_url"))
        else:
            raise Unsupported(place, f"Parts of the type {str(kind)[:60]!r} are not taken here: text and images are.")
    return Said(role, "\n".join(texts), tuple(pictures))


def _picture(part: dict[str, Any], param: str) -> File:
    url = part.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(url, str):
        raise ValidationFailed([{"path": param, "message": "must be a URL; files by id are not kept here"}])
    return pictured(url, param)


def ended_at(text: str, stop: str | list[str] | None) -> tuple[str, bool]:
    """The text up to the first of these words, and whether one of them ended it."""
    words = [stop] if isinstance(stop, str) else stop or []
    places = [place for place in (text.find(word) for word in words if word) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)
