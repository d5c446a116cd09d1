"""Moderation's values: categories, a deployment's policy, and the texts and images that are checked. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum
from typing import Literal

from atelier.dataclass import dataclass


class Category(StrEnum):
    """Reasons to refuse a text or a result, the gravest first."""

    MINORS = "minors"
    WEAPONS = "weapons"
    SELF_HARM = "self_harm"
    THREATS = "threats"
    HATE = "hate"
    CRIME = "crime"
    VIOLENCE = "violence"
    SEXUAL = "sexual"


# The words for each category in messages to callers.
CATEGORY_NAMES: dict[Category, str] = {
    Category.MINORS: "sexual content with children",
    Category.WEAPONS: "weapons",
    Category.SELF_HARM: "self-harm",
    Category.THREATS: "threats",
    Category.HATE: "hate",
    Category.CRIME: "crime",
    Category.VIOLENCE: "graphic violence",
    Category.SEXUAL: "sexual content",
}

# Categories that no deployment can allow: illegal nearly everywhere, and refused by every provider.
ALWAYS_REFUSED = frozenset({Category.MINORS})


@dataclass(frozen=True, slots=True)
class Policy:
    """The categories that a deployment refuses. `unanswered`: when the moderator does not answer, `allow` what passed
    the blocklist, or `refuse` it for the time being."""

    refused: frozenset[Category] = ALWAYS_REFUSED
    unanswered: Literal["allow", "refuse"] = "allow"

    def gravest(self, found: Iterable[Category]) -> Category | None:
        """The gravest of the found categories that the policy refuses; None when it refuses none of them."""
        return next(iter(self.refused_categories(found)), None)

    def refused_categories(self, found: Iterable[Category]) -> tuple[Category, ...]:
        """Those of the found categories that the policy refuses, the gravest first."""
        known = frozenset(found)
        return tuple(each for each in Category if each in known and (each in self.refused or each in ALWAYS_REFUSED))


@dataclass(frozen=True, slots=True)
class RequestText:
    """A text of a request, and its path in the request. `wanted`: False for a negative prompt, which names what is not
    to be seen. `parts`: the (path, text) that it was joined from, as a conversation is from its messages."""

    path: str
    text: str
    wanted: bool = True
    parts: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A thumbnail of a result or an upload."""

    data: bytes
    content_type: str


class OutputWithheld(Exception):
    """A result may not be delivered, or an upload not kept."""

    def __init__(self, category: Category) -> None:
        super().__init__(category)
        self.category = category
