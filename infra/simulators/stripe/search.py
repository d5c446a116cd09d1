"""Search of objects by their fields: `active:'true' AND metadata['tier']:'pro'`."""

from __future__ import annotations

import re
from functools import partial

from infra.simulators.stripe.account import Account, Object, require
from infra.simulators.stripe.errors import invalid
from infra.simulators.stripe.operations import PAGE_DEFAULT, PAGE_MAX, Operation

CLAUSE = re.compile(
    r"""(-?)([a-z_.]+)(?:\[["']([^"'\]]*)["']\])?(:|~|>=|<=|>|<)(?:["']([^"']*)["']|(-?\d+|null))""", re.ASCII
)
QUERY_LENGTH_MAX = 2000
SEARCHABLE = {
    "charge": "charges",
    "customer": "customers",
    "invoice": "invoices",
    "payment_intent": "payment_intents",
    "price": "prices",
    "product": "products",
    "subscription": "subscriptions",
}


def _clauses(query: str) -> tuple[list[re.Match[str]], bool]:
    """The clauses of a query, and whether one of them is enough. Raises StripeError for a query that is none."""
    require(len(query) <= QUERY_LENGTH_MAX, "The query is too long.", "query")
    found: list[re.Match[str]] = []
    words: set[str] = set()
    place = 0
    while place < len(query):
        clause = CLAUSE.match(query, place)
        if clause is None:
            raise invalid(f"We were unable to parse your search query: {query}", "query")
        found.append(clause)
        joined = re.compile(r" +(AND|OR) +").match(query, clause.end())
        place = joined.end() if joined else len(query.rstrip())
        if joined:
            words.add(joined[1])
        elif query[clause.end() :].strip():
            raise invalid(f"We were unable to parse your search query: {query}", "query")
        else:
            break
    require(found and len(words) < 2, "A query has clauses joined by AND, or by OR.", "query")
    return found, "OR" in words


def _fits(obj: Object, clause: re.Match[str]) -> bool:
    negated, name, key, operator, text, number = clause.groups()
    value = obj.get(name) if key is None else (obj.get(name) or {}).get(key)
    if number == "null":
        return (value is None) != bool(negated)
    wanted = text if text is not None else number
    if operator in (":", "~"):
        shown = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        same = wanted.lower() in shown.lower() if operator == "~" else shown.lower() == wanted.lower()
        return same != bool(negated)
    if not isinstance(value, int) or not re.fullmatch(r"-?\d{1,15}", wanted, re.ASCII):
        return False
    compare = {">": value.__gt__, "<": value.__lt__, ">=": value.__ge__, "<=": value.__le__}
    return compare[operator](int(wanted)) != bool(negated)


def search(kind: str, path: str, account: Account, params: Object) -> Object:
    """A page of what fits, newest first. At Stripe, what was just written is found a minute later only."""
    clauses, any_is_enough = _clauses(params["query"])
    check = any if any_is_enough else all
    found = [obj for obj in account.all(kind) if check(_fits(obj, clause) for clause in clauses)][::-1]
    limit = params.get("limit") or PAGE_DEFAULT
    require(1 <= limit <= PAGE_MAX, f"Invalid limit: must be between 1 and {PAGE_MAX}", "limit")
    page = params.get("page") or "0"
    require(re.fullmatch(r"\d{1,9}", page, re.ASCII), "Invalid page.", "page")
    start = int(page)
    more = start + limit < len(found)
    return {
        "object": "search_result",
        "data": found[start : start + limit],
        "has_more": more,
        "next_page": str(start + limit) if more else None,
        "url": f"{path}/search",
    }


OPERATIONS = [
    Operation(
        "GET",
        f"/v1/{plural}/search",
        partial(search, kind, f"/v1/{plural}"),
        {"limit": int, "page": str, "query": str},
        ("query",),
    )
    for kind, plural in SEARCHABLE.items()
]
