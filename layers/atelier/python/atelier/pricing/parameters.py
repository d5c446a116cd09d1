"""What a model may be told: the rules that its catalogue entry gives for each parameter, and the making of a complete
set out of what a caller gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Gt, MinLen

Parameters = Mapping[str, Any]


class Entry:
    """Base of everything in the catalogue: read strictly, with nothing left over."""

    __slots__ = ()
    __pydantic_config__ = {"strict": True, "extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Number(Entry):
    """An integer. `drawn`: chosen when the request is accepted (the seed). With neither a default nor a draw it is left
    out when it is not given, as every kind of parameter is."""

    minimum: int
    maximum: int
    multiple_of: Annotated[int, Gt(0)] = 1
    default: int | None = None
    drawn: bool = False

    def refusal(self, value: object) -> str | None:
        """Why the value cannot be taken, or None."""
        if not isinstance(value, int) or isinstance(value, bool):
            return "must be an integer"
        if not self.minimum <= value <= self.maximum:
            return f"must be between {self.minimum} and {self.maximum}"
        if value % self.multiple_of:
            return f"must be a multiple of {self.multiple_of}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Entry):
    """One of some words."""

    choices: Annotated[tuple[str, ...], MinLen(1)]
    default: str | None = None

    def refusal(self, value: object) -> str | None:
        """Why the value cannot be taken, or None."""
        return None if value in self.choices else f"must be one of: {', '.join(self.choices)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Words(Entry):
    """Free text."""

    length_max: Annotated[int, Gt(0)]
    default: str | None = None

    def refusal(self, value: object) -> str | None:
        """Why the value cannot be taken, or None."""
        if not isinstance(value, str):
            return "must be text"
        return None if len(value) <= self.length_max else f"must not be longer than {self.length_max} characters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Entry):
    """True or false."""

    default: bool

    def refusal(self, value: object) -> str | None:
        """Why the value cannot be taken, or None."""
        return None if isinstance(value, bool) else "must be true or false"


Parameter = Number | Choice | Words | Switch


def rule(data: Mapping[str, Any]) -> Parameter:
    """A parameter's rule from data that has been checked."""
    if "minimum" in data:
        return Number(**data)
    if "choices" in data:
        return Choice(choices=tuple(data["choices"]), default=data.get("default"))
    return Words(**data) if "length_max" in data else Switch(**data)


def completed(
    rules: Mapping[str, Parameter], given: Parameters, *, seed: int
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The given values with the defaults filled in, and a draw from `seed` where one is due; and what is wrong, by
    parameter. None counts as not given."""
    wrong: list[tuple[str, str]] = []
    complete: dict[str, Any] = {}
    for name, parameter in rules.items():
        value = given.get(name)
        if value is None:
            value = parameter.default
        if value is None and isinstance(parameter, Number) and parameter.drawn:
            value = parameter.minimum + seed % (parameter.maximum - parameter.minimum + 1)
        if value is None:
            continue
        refusal = parameter.refusal(value)
        if refusal:
            wrong.append((name, refusal))
        complete[name] = value
    return complete, wrong


def untaken(rules: Mapping[str, Parameter], given: Parameters) -> Iterable[str]:
    """The names of given parameters that there is no rule for."""
    return (name for name, value in given.items() if value is not None and name not in rules)
