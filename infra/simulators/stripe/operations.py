"""What an operation of the API is: a method and path, the shape of its parameters, and the function that does it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.form import one_of

PAGE_MAX, PAGE_DEFAULT = 100, 10
TIMES = one_of(int, {"gt": int, "gte": int, "lt": int, "lte": int})
PAGING: dict[str, Any] = {"limit": int, "starting_after": str, "ending_before": str}


@dataclass(frozen=True)
class Operation:
    """`path` names its variable parts in braces. `run` is called with the account, the parameters and those parts, and
    returns the object to answer with. `required`: parameters that must be there."""

    method: str
    path: str
    run: Callable[..., Object]
    shape: dict[str, Any] = field(default_factory=dict[str, Any])
    required: tuple[str, ...] = ()


def retrieval(kind: str, path: str) -> Operation:
    """The operation that returns one object."""

    def run(account: Account, params: Object, id: str) -> Object:
        return account.find(kind, id, "id", in_path=True)

    return Operation("GET", f"{path}/{{id}}", run)


def listing(kind: str, path: str, **filters: Any) -> Operation:
    """The operation that lists the objects of a kind, newest first. filters: shapes by the name of a field."""

    def run(account: Account, params: Object) -> Object:
        wanted = {name: params[name] for name in filters if params.get(name) is not None}
        found = [obj for obj in account.all(kind) if all(_fits(obj, name, value) for name, value in wanted.items())]
        return page_of(found[::-1], params, path)

    return Operation("GET", path, run, {**PAGING, **filters})


def _fits(obj: Object, name: str, value: Any) -> bool:
    if name == "created":
        return fits_times(obj["created"], value)
    return obj.get(name) == value


def fits_times(moment: int, wanted: Any) -> bool:
    """Whether a time is the one wanted, or within its bounds `gt`, `gte`, `lt` and `lte`."""
    if isinstance(wanted, int):
        return moment == wanted
    checks = {"gt": moment.__gt__, "gte": moment.__ge__, "lt": moment.__lt__, "lte": moment.__le__}
    return all(checks[name](bound) for name, bound in wanted.items() if bound is not None)


def list_of(data: Iterable[Object], url: str) -> Object:
    """A whole list in the API's form."""
    return {"object": "list", "data": list(data), "has_more": False, "url": url}


def page_of(found: list[Object], params: Object, url: str) -> Object:
    """A page of a list that is ordered as it is answered. `starting_after` and `ending_before` name objects of it."""
    limit = params.get("limit") or PAGE_DEFAULT
    require(1 <= limit <= PAGE_MAX, f"Invalid limit: must be between 1 and {PAGE_MAX}", "limit")
    after, before = params.get("starting_after"), params.get("ending_before")
    require(not (after and before), "You cannot specify both starting_after and ending_before", "ending_before")
    if before:
        end = _place(found, before, "ending_before")
        page, more = found[max(end - limit, 0) : end], end > limit
    else:
        start = _place(found, after, "starting_after") + 1 if after else 0
        page, more = found[start : start + limit], start + limit < len(found)
    return {"object": "list", "data": page, "has_more": more, "url": url}


def _place(found: list[Object], id: str, param: str) -> int:
    for index, obj in enumerate(found):
        if obj["id"] == id:
            return index
    raise invalid(f"No such object: '{id}'", param, "resource_missing")
