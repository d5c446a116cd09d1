"""Take what names an erased person out of events that stay. Pure.

The seal of an event has its digest, so the chain still holds; the event says by which event it was changed, and that
one, which is sealed too, lists it. So `ledger/verify.py` knows that its content is not proven any more, and finds every
change that no such event has announced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

from atelier.audit_log.model import AuditEvent, Origin, audit_event
from atelier.audit_log.seals import PublicForm

ACTION = "audit.redacted"
# What stands in place of a name or an address.
TOMBSTONE = "[erased]"
# What an event says about the device and the place of who did it.
ORIGIN_FIELDS = ("address", "user_agent", "request_id")


def concerns(form: PublicForm, user_id: str, is_named_in: Callable[[str], bool]) -> bool:
    """Whether an event has to lose something for the erasure of a person. is_named_in: whether a text names them."""
    if "erased" in form or form["action"] == ACTION:
        return False
    is_mine = form["actor"] == user_id and any(form[name] for name in (*ORIGIN_FIELDS, "token_id"))
    return is_mine or _without(form["facts"], is_named_in) != form["facts"]


def redacted(form: PublicForm, user_id: str, is_named_in: Callable[[str], bool], by: str) -> PublicForm:
    """The event without what names the person; `by` is the id of the event that lists it."""
    empty: PublicForm = {}
    if form["actor"] == user_id:
        empty = {**dict.fromkeys(ORIGIN_FIELDS, ""), "token_id": None}  # nosec B105 - no token is named
    return {**form, **empty, "facts": _without(form["facts"], is_named_in), "erased": by}


def redaction(log: str, user_id: str, ids: Sequence[str], now: datetime) -> AuditEvent:
    """The event that lists the events of a log from which the erasure of a person has taken something."""
    return audit_event(log, ACTION, Origin(), now, target=user_id, events=list(ids))


def _without(value: Any, is_named_in: Callable[[str], bool]) -> Any:
    """A JSON value with TOMBSTONE in place of each text that names the person."""
    match value:
        case str():
            return TOMBSTONE if is_named_in(value) else value
        case dict():
            fields = cast("dict[str, Any]", value)
            return {name: _without(each, is_named_in) for name, each in fields.items()}
        case list() | tuple():
            return [_without(each, is_named_in) for each in cast("Sequence[Any]", value)]
        case _:
            return value
