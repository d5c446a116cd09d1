"""What a chart shows: values, before anything is drawn."""

from __future__ import annotations

import math
from enum import StrEnum
from itertools import cycle

from atelier.dataclass import dataclass


class Theme(StrEnum):
    """Whether a chart stands on something light or dark; its own background is transparent."""

    LIGHT = "light"
    DARK = "dark"


class Shape(StrEnum):
    """How the lines of a chart are drawn."""

    STACKED_BARS = "stacked-bars"
    LINES = "lines"


MONEY_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Line:
    """One name of the legend, with a value for each label; None = nothing to show."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, and the same for those who do not see it: `description`, and the values as a table. `digits`: after the
    point, 0 for counts. `prefix`, `suffix`: what stands before and after a number ("$", " s")."""

    title: str
    description: str
    language: str
    shape: Shape
    label_name: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]
    digits: int = 0
    prefix: str = ""
    suffix: str = ""

    def text(self, value: float | None) -> str:
        """A value with its unit, by the rules of the chart's language."""
        if value is None:
            return "–"
        text = f"{abs(value):,.{self.digits}f}"
        if self.digits == MONEY_DIGITS and 0 < abs(value) < 1:
            # A tenth of a cent is money too.
            text = f"{abs(value):.4f}".rstrip("0").ljust(len("0.00"), "0")
        if self.language == "de":
            text = text.translate(str.maketrans(",.", ".,"))
        return f"{'−' if value < 0 else ''}{self.prefix}{text}{self.suffix}"


def ticks(lowest: float, highest: float, *, whole: bool, number: int = 5) -> list[float]:
    """Round values from below the lowest to above the highest, about as many as wanted: steps of 1, 2 or 5 times a
    power of ten, and whole ones for counts."""
    highest = max(highest, 0.0)
    lowest = min(lowest, 0.0)
    if highest == lowest:
        highest = 1.0
    step, factors = 1e-6, cycle((2, 2.5, 2))
    while (highest - lowest) / step > number:
        # 1 → 2 → 5 → 10
        step *= next(factors)
    step = max(step, 1.0) if whole else step
    return [round(place * step, 9) for place in range(math.floor(lowest / step), math.ceil(highest / step) + 1)]
