"""Reads environment variables into immutable objects: what `settings.py` declares its classes with.

Plain Python: as pydantic models these classes took a tenth of every cold start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from atelier.dataclass import dataclass


class InvalidSettings(ValueError):
    """Environment variables that are missing or invalid. The message has their names, never their values: some are
    secret."""


@dataclass(frozen=True, slots=True)
class EnvironmentVariable:
    """One environment variable. With a `minimum` its value is a whole number; with `choices` it is one of them; with
    neither any text. Without a default it is required."""

    name: str
    default: Any = None
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()

    def value(self, environment: Mapping[str, str]) -> Any:
        """The variable's value in `environment`, or the default; raises InvalidSettings."""
        text = environment.get(self.name)
        if text is None:
            if self.default is None:
                raise InvalidSettings(f"{self.name} is missing")
            return self.default
        if self.choices and text not in self.choices:
            raise InvalidSettings(f"{self.name} is none of {self.choices}")
        return text if self.minimum is None else self._number(text, self.minimum)

    def _number(self, text: str, minimum: int) -> int:
        try:
            number = int(text)
        except ValueError:
            number = minimum - 1
        if number < minimum or (self.maximum is not None and number > self.maximum):
            most = "" if self.maximum is None else f" and at most {self.maximum}"
            raise InvalidSettings(f"{self.name} is no number of at least {minimum}{most}")
        return number


def text_variable(name: str, default: str | None = None, choices: tuple[str, ...] = ()) -> Any:
    """Declare a field whose value is the text of the variable `name`; without a default the variable is required."""
    return EnvironmentVariable(name, default, choices=choices)


def number_variable(name: str, default: int, *, minimum: int, maximum: int | None = None) -> Any:
    """Declare a field whose value is the whole number in the variable `name`."""
    return EnvironmentVariable(name, default, minimum, maximum)


class EnvironmentSettings:
    """Base class: each field declared by `text_variable` or `number_variable` gets the value of its environment
    variable. Raises InvalidSettings with everything that is missing or invalid."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        values: dict[str, Any] = {}
        wrong: list[str] = []
        for field, variable in vars(type(self)).items():
            if isinstance(variable, EnvironmentVariable):
                try:
                    values[field] = variable.value(environment)
                except InvalidSettings as error:
                    wrong.append(str(error))
        if wrong:
            raise InvalidSettings("; ".join(wrong))
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings do not change: {name}")

    @classmethod
    @cache
    def read(cls) -> Self:
        """The settings of this process; raises InvalidSettings."""
        return cls(os.environ)


def names_in(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list; empty ones are left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def pairs_in(text: str) -> dict[str, str]:
    """The mapping in a list `name=value,name=value`."""
    pairs = (pair.strip().partition("=") for pair in text.split(",") if pair.strip())
    return {name: value for name, _, value in pairs}
