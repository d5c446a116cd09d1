"""Expansion: references of an answer that become the objects that they name, on request (`expand[]=data.customer`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from infra.simulators.stripe.account import Account, Object
from infra.simulators.stripe.errors import invalid

DEPTH_MAX = 4
# Fields that are shown on request only, and what makes them. Modules add theirs.
INCLUDABLE: dict[tuple[str, str], Callable[[Account, Object], Any]] = {}


def expanded(account: Account, obj: Object, paths: list[str]) -> Object:
    """A copy of the object with these paths expanded. Raises StripeError for a path that cannot be."""
    answer = copy.deepcopy(obj)
    for path in paths:
        steps = path.split(".")
        if steps and steps[0] == "data" and answer.get("object") == "list":
            limit, inner = DEPTH_MAX + 1, answer
        else:
            limit, inner = DEPTH_MAX, answer
        if len(steps) > limit:
            raise invalid(f"You cannot expand more than {DEPTH_MAX} levels of a property. Property: {path}", "expand")
        _expand(account, inner, steps, path)
    return answer


def _expand(account: Account, value: Any, steps: list[str], path: str) -> None:
    if not steps or value is None:
        return
    if isinstance(value, list):
        for element in value:
            _expand(account, element, steps, path)
        return
    if not isinstance(value, dict):
        raise _not_expandable(path)
    name, *rest = steps
    maker = INCLUDABLE.get((value.get("object", ""), name))
    if maker and name not in value:
        value[name] = copy.deepcopy(maker(account, value))
    if name not in value:
        raise _not_expandable(path)
    value[name] = _resolved(account, value[name])
    if rest:
        _expand(account, value[name], rest, path)


def _resolved(account: Account, value: Any) -> Any:
    """The object that a reference names; the elements of a list of references too."""
    if isinstance(value, str) and value in account.objects:
        return copy.deepcopy(account.objects[value])
    if isinstance(value, list):
        return [_resolved(account, element) for element in value]
    return value


def _not_expandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
