"""What moderation speaks of: categories, a deployment's policy, and what is looked at. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum
from typing import Literal

from atelier.frozen import dataclass


class Category(StrEnum):
    """Why something may be refused, the gravest first."""

    MINORS = "minors"
    WEAPONS = "weapons"
    SELF_HARM = "self_harm"
    THREATS = "threats"
    HATE = "hate"
    CRIME = "crime"
    VIOLENCE = "violence"
    SEXUAL = "sexual"


# What a person is told that a text or a result was refused for.
WORDS: dict[Category, str] = {
    Category.MINORS: "sexual content with children",
    Category.WEAPONS: "weapons",
    Category.SELF_HARM: "self-harm",
    Category.THREATS: "threats",
    Category.HATE: "hate",
    Category.CRIME: "crime",
    Category.VIOLENCE: "graphic violence",
    Category.SEXUAL: "sexual content",
}

# Illegal nearly everywhere, and refused by every provider: no deployment can allow it.
ALWAYS = frozenset({Category.MINORS})


@dataclass(frozen=True, slots=True)
class Policy:
    """What a deployment refuses, and what it does when its moderator does not answer: `allow` what the blocklist has
    let through, or `refuse` it for the time being."""

    refused: frozenset[Category] = ALWAYS
    unanswered: Literal["allow", "refuse"] = "allow"

    def gravest(self, found: Iterable[Category]) -> Category | None:
        """Of these the one to refuse for; None when all of them may pass."""
        return next(iter(self.refusable(found)), None)

    def refusable(self, found: Iterable[Category]) -> tuple[Category, ...]:
        """Of these all that may be refused for, the gravest first."""
        known = frozenset(found)
        return tuple(each for each in Category if each in known and (each in self.refused or each in ALWAYS))


@dataclass(frozen=True, slots=True)
class Wording:
    """A text of a request and where it stands there. Not `wanted`: it names what is not to be seen. `parts`: the texts
    that it was put together from, each with its own place, as a conversation is from its messages."""

    path: str
    text: str
    wanted: bool = True
    parts: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Picture:
    """A small picture of what is to be delivered."""

    data: bytes
    content_type: str


class OutputWithheld(Exception):
    """What a provider made may not be delivered."""

    def __init__(self, category: Category) -> None:
        super().__init__(category)
        self.category = category
