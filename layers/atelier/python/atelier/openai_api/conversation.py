"""Conversations: read the messages of chat completions and of responses, and map them to a recipe's parameters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.openai_api.errors import UnsupportedParameter
from atelier.openai_api.request import PROMPT_CHARACTERS_MAX, InputFile, check_files, image_from_url

TEXT_PART_TYPES = ("text", "input_text", "output_text", "refusal")
IMAGE_PART_TYPES = ("image_url", "input_image")
INSTRUCTION_ROLES = ("system", "developer")
# A conversation is stored as JSON in one DynamoDB item, which may have 400 KB.
CONVERSATION_BYTES_MAX = 300_000


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """One message: its role, and its texts and images in order."""

    role: str
    parts: tuple[str | InputFile, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(part for part in self.parts if isinstance(part, str))

    @property
    def images(self) -> tuple[InputFile, ...]:
        return tuple(part for part in self.parts if isinstance(part, InputFile))


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in a recipe's terms. `parameters` have `messages` only where the prompt alone does not hold the
    whole conversation; an image in them is an index into `images`."""

    prompt: str
    parameters: dict[str, Any]
    images: tuple[InputFile, ...]


def build_conversation(messages: Sequence[ConversationMessage], param: str) -> Conversation:
    """Map the messages of a conversation. Instructions before the first other message become `system`; the prompt is
    the user's last text. param: the request's field for error messages. Raises ValidationFailed for a conversation that
    is empty or too large, or whose images are (see `check_files`)."""
    messages = [each for each in messages if each.parts]
    instruction_count = next(
        (number for number, each in enumerate(messages) if each.role not in INSTRUCTION_ROLES), len(messages)
    )
    system, rest = "\n\n".join(each.text for each in messages[:instruction_count]), messages[instruction_count:]
    images = check_files([picture for each in rest for picture in each.images])
    user_messages = [each for each in rest if each.role == "user" and each.text]
    prompt = user_messages[-1].text if user_messages else (rest[-1].text if rest else system)
    if not prompt.strip() and not images:
        raise ValidationFailed([{"path": param, "message": "must say something"}])
    parameters: dict[str, Any] = {"system": system} if system and rest else {}
    is_prompt_alone = not rest or (len(rest) == 1 and rest[0] == ConversationMessage("user", (prompt,)))
    if not is_prompt_alone or len(prompt) > PROMPT_CHARACTERS_MAX:
        parameters["messages"] = _messages_parameter(rest or messages)
    _check_size(system, parameters.get("messages"), param)
    return Conversation(prompt[:PROMPT_CHARACTERS_MAX], parameters, images)


def _messages_parameter(parsed: Sequence[ConversationMessage]) -> list[dict[str, Any]]:
    numbers = count()

    def plain(part: str | InputFile) -> dict[str, Any]:
        return {"type": "text", "text": part} if isinstance(part, str) else {"type": "image", "image": next(numbers)}

    messages: list[dict[str, Any]] = []
    for each in parsed:
        role = "system" if each.role in INSTRUCTION_ROLES else each.role
        match each.parts:
            case (str(text),):
                messages.append({"role": role, "content": text})
            case parts:
                messages.append({"role": role, "content": [plain(part) for part in parts]})
    return messages


def _check_size(system: str, messages: list[dict[str, Any]] | None, param: str) -> None:
    """Raises ValidationFailed for a conversation too large to be stored; called before its images are fetched."""
    if len(json.dumps([system, messages], ensure_ascii=False).encode(errors="replace")) > CONVERSATION_BYTES_MAX:
        raise ValidationFailed(
            [{"path": param, "message": f"must not be longer than {CONVERSATION_BYTES_MAX} bytes as JSON"}]
        )


def parse_message(role: str, content: Any, param: str) -> ConversationMessage:
    """Read one message from its content: a text, or a list of parts. Other fields of a part (an image's `detail`, cache
    hints) are ignored. Raises UnsupportedParameter, ValidationFailed."""
    if content is None or isinstance(content, str):
        return ConversationMessage(role, (content,) if content else ())
    parts: list[str | InputFile] = []
    for number, part in enumerate(content):
        path = f"{param}[{number}]"
        kind = part.get("type")
        if kind in TEXT_PART_TYPES and isinstance(part.get("text", part.get("refusal")), str):
            text = part.get("text", part.get("refusal"))
            parts += [text] if text else []
        elif kind in TEXT_PART_TYPES:
            raise ValidationFailed([{"path": path, "message": "must have a text"}])
        elif kind in IMAGE_PART_TYPES and role == "user":
            parts.append(_parse_image(part, f"{path}.image_url"))
        elif kind in IMAGE_PART_TYPES:
            raise UnsupportedParameter(path, "Only messages with the role user can hold images.")
        else:
            raise UnsupportedParameter(
                path, f"Parts of the type {str(kind)[:60]!r} are not taken here: text and images are."
            )
    return ConversationMessage(role, tuple(parts))


def _parse_image(part: dict[str, Any], param: str) -> InputFile:
    url = part.get("image_url")
    url = url.get("url") if isinstance(url, dict) else url  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(url, str):
        raise ValidationFailed([{"path": param, "message": "must be a URL; files by id are not kept here"}])
    return image_from_url(url, param)
