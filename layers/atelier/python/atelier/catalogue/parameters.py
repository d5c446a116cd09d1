"""The rules for a model's parameters, as its catalogue entry gives them, and how a caller's values are completed.

Rules are plain data in the form of the catalogue: typed for the reader and checked when the catalogue is compiled, so
loading them costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NotRequired, cast, final

from annotated_types import Gt, MinLen
from typing_extensions import TypedDict

Parameters = Mapping[str, Any]
ROLES = ("system", "user", "assistant")

# The widest ranges (from, to) that any API accepts. The schemas of `/api` and `/v1` refuse values outside, and a
# catalogue whose models offer more does not compile.
WIDTH = HEIGHT = (1, 8192)
N = (1, 10)
SEED = (0, 2**32 - 1)
DURATION_SECONDS = (1, 3600)
MAX_TOKENS = (1, 1_000_000)
SPEED = (0.25, 4)
VOICE_CHARACTERS_MAX = 200
PROMPT_CHARACTERS_MAX = 32_000
RANGES_MAX: Mapping[str, tuple[float, float]] = {
    "width": WIDTH,
    "height": HEIGHT,
    "n": N,
    "seed": SEED,
    "duration_seconds": DURATION_SECONDS,
    "max_tokens": MAX_TOKENS,
    "speed": SPEED,
}
TEXT_CHARACTERS_MAX: Mapping[str, int] = {"voice": VOICE_CHARACTERS_MAX}


@final
class IntegerRule(TypedDict):
    """An integer. `drawn`: a random value is drawn when the request is accepted and the caller gave none (the seed)."""

    minimum: int
    maximum: int
    multiple_of: NotRequired[Annotated[int, Gt(0)]]
    default: NotRequired[int]
    drawn: NotRequired[bool]


@final
class NumberRule(TypedDict):
    """A number that need not be whole, such as a temperature or a speed. No table of prices goes by one."""

    least: float
    most: float
    default: NotRequired[float]


@final
class ChoiceRule(TypedDict):
    """One of several words. follows_image is for an aspect ratio: the model takes over the ratio of its input image,
    only when the request names none (`unless_said`) or whatever the request names (`always`)."""

    choices: Annotated[list[str], MinLen(1)]
    default: NotRequired[str]
    follows_image: NotRequired[Literal["unless_said", "always"]]


@final
class TextRule(TypedDict):
    """Free text of at most `length_max` characters."""

    length_max: Annotated[int, Gt(0)]
    default: NotRequired[str]


@final
class SwitchRule(TypedDict):
    """True or false."""

    default: bool


@final
class ConversationRule(TypedDict):
    """Messages, each `{"role", "content"}`. The role is system, user or assistant; the content is a text or a list of
    parts: `{"type": "text", "text"}`, and in a user's message also `{"type": "image", "image": n}`, the n-th file of
    the input `image`, which no other part shows. A message may hold nothing else, so that everything the model sees is
    counted in its price."""

    messages_max: Annotated[int, Gt(0)]
    # Of all texts together.
    characters_max: Annotated[int, Gt(0)]


@final
class SequencesRule(TypedDict):
    """Stop sequences: texts, none of them empty. The first one that the model writes ends its text and is not part of
    it. `visible`: none may be white space alone."""

    sequences_max: Annotated[int, Gt(0)]
    each_characters_max: Annotated[int, Gt(0)]
    visible: NotRequired[bool]


# A parameter that the caller does not give, without a default and not `drawn`, is left out.
ParameterRule = IntegerRule | NumberRule | ChoiceRule | TextRule | SwitchRule | ConversationRule | SequencesRule


def validation_error(rule: ParameterRule, value: object) -> str | None:
    """Why a parameter cannot have this value; None = it can."""
    if "minimum" in rule:
        return _integer_error(rule, value)
    if "choices" in rule:
        return None if value in rule["choices"] else f"must be one of: {', '.join(rule['choices'])}"
    if "length_max" in rule:
        if not isinstance(value, str):
            return "must be text"
        longest = rule["length_max"]
        return None if len(value) <= longest else f"must not be longer than {longest} characters"
    if "least" in rule:
        if not isinstance(value, int | float) or isinstance(value, bool):
            return "must be a number"
        return None if rule["least"] <= value <= rule["most"] else f"must be from {rule['least']} to {rule['most']}"
    if "messages_max" in rule:
        return _conversation_error(rule, value)
    if "sequences_max" in rule:
        return _sequences_error(rule, value)
    return None if isinstance(value, bool) else "must be true or false"


def _integer_error(rule: IntegerRule, value: object) -> str | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return "must be an integer"
    if not rule["minimum"] <= value <= rule["maximum"]:
        return f"must be between {rule['minimum']} and {rule['maximum']}"
    multiple_of = rule.get("multiple_of", 1)
    return f"must be a multiple of {multiple_of}" if value % multiple_of else None


def _sequences_error(rule: SequencesRule, value: object) -> str | None:
    given = cast("list[object]", value) if isinstance(value, list) else []
    most, longest = rule["sequences_max"], rule["each_characters_max"]
    if not 1 <= len(given) <= most or not all(isinstance(each, str) and 1 <= len(each) <= longest for each in given):
        return f"must be 1 to {most} texts of 1 to {longest} characters"
    is_blank = rule.get("visible") and not all(str(each).strip() for each in given)
    return "must not be white space alone" if is_blank else None


def _conversation_error(rule: ConversationRule, value: object) -> str | None:
    messages = cast("list[object]", value) if isinstance(value, list) else []
    if not messages:
        return "must be a list of messages with role and content"
    if len(messages) > rule["messages_max"]:
        return f"must not have more than {rule['messages_max']} messages"
    for number, message in enumerate(messages):
        reason = _message_error(message)
        if reason:
            return f"message {number} {reason}"
    if not any(map(_has_content, messages)):
        # Adapters send the prompt in place of an empty conversation, but the price of a conversation leaves it out.
        return "must say something"
    longest = rule["characters_max"]
    length = sum(map(len, iter_texts([cast("dict[str, Any]", message)["content"] for message in messages])))
    return None if length <= longest else f"must not be longer than {longest} characters"


def _message_error(value: object) -> str | None:
    message = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    role, content = message.get("role"), message.get("content")
    parts = cast("list[object]", content) if isinstance(content, list) else []
    if message.keys() != {"role", "content"} or role not in ROLES or not (parts or isinstance(content, str)):
        return "must have a role (user, assistant or system) and a content, and nothing else"
    return next((reason for part in parts if (reason := _part_error(role, part))), None)


def _has_content(message: object) -> bool:
    """Whether a valid message contains an image or a text that is not empty."""
    content = cast("dict[str, Any]", message)["content"]
    return bool(content) if isinstance(content, str) else any(part.get("text") != "" for part in content)


def _part_error(role: object, value: object) -> str | None:
    part = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    if part.keys() == {"type", "text"} and part["type"] == "text" and isinstance(part["text"], str):
        return None
    index = part.get("image")
    if part.keys() != {"type", "image"} or part["type"] != "image" or type(index) is not int or index < 0:
        return "has a part that is neither a text nor an image of the workspace"
    return None if role == "user" else "holds an image, which only messages of the role user can"


def shown_images(parameters: Parameters) -> list[int]:
    """The indexes of the `image` input files that a conversation shows; one that is shown twice stands twice."""
    contents = [message["content"] for message in parameters.get("messages") or ()]
    parts = [part for content in contents if isinstance(content, list) for part in cast("list[Any]", content)]
    return [part["image"] for part in parts if part["type"] == "image"]


def iter_texts(value: object) -> Iterator[str]:
    """All texts in a value, whatever the value's shape."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[str, object]", value).values():
            yield from iter_texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from iter_texts(inner)


def limit_error(name: str, rule: ParameterRule) -> str | None:
    """Why a rule offers values that no API accepts; None = it does not."""
    least, most = RANGES_MAX.get(name, (float("-inf"), float("inf")))
    if "minimum" in rule and not least <= rule["minimum"] <= rule["maximum"] <= most:
        return f"{name} goes beyond {least} to {most}"
    if "least" in rule and not least <= rule["least"] <= rule["most"] <= most:
        return f"{name} goes beyond {least} to {most}"
    words = [*rule["choices"]] if "choices" in rule else []
    longest = max([rule["length_max"]] if "length_max" in rule else map(len, words), default=0)
    if longest > TEXT_CHARACTERS_MAX.get(name, longest):
        return f"{name} goes beyond {TEXT_CHARACTERS_MAX[name]} characters"
    return None


def with_defaults(
    rules: Mapping[str, ParameterRule], given: Parameters, *, seed: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The given values with defaults filled in, and with a value derived from `seed` where the rule is `drawn`; and the
    errors as (parameter, message). A value of None counts as not given."""
    errors: list[tuple[str, str]] = []
    complete: dict[str, Any] = {}
    for name, rule in rules.items():
        value = given.get(name)
        if value is None:
            value = rule.get("default")
        if value is None and "minimum" in rule and rule.get("drawn"):
            value = rule["minimum"] + seed % (rule["maximum"] - rule["minimum"] + 1)
        if value is None:
            continue
        reason = validation_error(rule, value)
        if reason:
            errors.append((name, reason))
        complete[name] = value
    return complete, errors


def unknown_parameters(rules: Mapping[str, ParameterRule], given: Parameters) -> Iterable[str]:
    """The names of given parameters that have no rule."""
    return (name for name, value in given.items() if value is not None and name not in rules)
