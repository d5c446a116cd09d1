"""Deliver an event to the handlers that subscribe to its class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from atelier.events.event import Event

Subscriptions = Mapping[type[Event], Sequence[Callable[[Any], object]]]


def dispatch(event: Event, subscriptions: Subscriptions) -> None:
    """Call every handler of the event's class, in order. A handler that fails does not keep the others from the event,
    but its failure is raised at the end (an ExceptionGroup), so that the event is delivered again: each handler must be
    safe to repeat."""
    failures: list[Exception] = []
    for handle in subscriptions.get(type(event), ()):
        try:
            handle(event)
        except Exception as error:
            failures.append(error)
    if failures:
        raise ExceptionGroup(f"{event.type} {event.id}", failures)
