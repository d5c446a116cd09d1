"""Make and change what people write down: characters and templates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

from atelier.errors import Unavailable
from atelier.library.character import Character
from atelier.library.ports import IdempotencyKeys, ThingExists, ThingMoved, Things
from atelier.library.template import Template

TRIES_MAX = 20
ThingT = TypeVar("ThingT", Character, Template)


def create(
    thing: ThingT, *, key: str | None, fingerprint: str, things: Things[ThingT], keys: IdempotencyKeys
) -> tuple[ThingT, bool]:
    """The thing, and whether this request had been answered before. key: the caller's own, if any; fingerprint: what it
    is bound to. Raises IdempotencyMismatch."""
    if key is not None:
        thing = replace(thing, id=keys.reserve(thing.workspace_id, key, fingerprint, thing.id))
    try:
        things.create(thing)
    except ThingExists:
        # The same request before, or in parallel.
        return things.get(thing.workspace_id, thing.id), True
    return thing, False


def change(
    workspace_id: str, thing_id: str, to: Callable[[ThingT], ThingT], *, things: Things[ThingT], now: datetime
) -> ThingT:
    """What `to` makes of a thing. Raises NotFound, or Unavailable when others change it all the time."""
    for _ in range(TRIES_MAX):
        seen = things.get(workspace_id, thing_id)
        # Each change has a time of its own: by it the next writer knows what it has seen.
        at = max(now, seen.updated_at + timedelta(milliseconds=1))
        after = replace(to(seen), updated_at=at)
        try:
            things.change(seen, after)
        except ThingMoved:
            continue
        return after
    raise Unavailable("This is changing quickly. Try again.")
