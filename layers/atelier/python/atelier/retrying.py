"""Try again when a parallel write won."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from atelier.errors import Unavailable

ResultT = TypeVar("ResultT")


class LostRace(Exception):
    """A parallel write won. For attempts whose store says so by its answer, not by an error of its own."""


def retrying(
    attempt: Callable[[], ResultT],
    *,
    on: type[Exception] | tuple[type[Exception], ...],
    busy: str,
    tries_max: int,
    pause: Callable[[int], None] | None = None,
) -> ResultT:
    """The result of `attempt`, which reads, decides and writes, and is called again when it raises `on`: a parallel
    write won. `pause` is called between two attempts with the number of the failed one, from 0. Raises Unavailable with
    the text `busy` after `tries_max` attempts."""
    for tries in range(tries_max):
        try:
            return attempt()
        except on:
            if pause is not None:
                pause(tries)
    raise Unavailable(busy)
