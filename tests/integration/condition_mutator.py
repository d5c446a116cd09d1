"""A test tool that finds every clause of the ledger's conditions as it is sent, and switches off one at a time.

It works at the client's event hook: a clause is replaced by one that is always true; the product is unchanged. A
*site* is one clause for one kind of item in one kind of write, for example `hold · wallet: grants.<id>.remaining >= ?`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from atelier.adapters.aws.dynamodb import connection

OPERATIONS = ("TransactWriteItems", "PutItem", "UpdateItem")
ALWAYS_TRUE = "attribute_exists(pk) OR attribute_not_exists(pk)"
RequestParameters = dict[str, Any]


@contextmanager
def each_clause(act: Callable[[RequestParameters, str, int, int, str], None], ledger: str) -> Iterator[None]:
    """Within the block, `act(write, text, start, end, site)` is called for each clause about to be sent to the ledger's
    table, or in one transaction with it: it stands at text[start:end] of the write's ConditionExpression."""

    def each(params: RequestParameters, **_: Any) -> None:
        items = params.get("TransactItems")
        writes = [next(iter(item.values())) for item in items] if items else [params]
        if not any(write["TableName"] == ledger for write in writes):
            return
        purpose = _purpose(writes)
        for write in writes:
            expression = write.get("ConditionExpression")
            # From the last clause to the first, so that a replacement does not shift the positions of the others.
            for start, end in reversed(clauses(expression or "")):
                text = write["ConditionExpression"]
                act(write, text, start, end, f"{purpose} · {_kind(write)}: {_with_names(text[start:end], write)}")

    events = connection().client.meta.events
    for operation in OPERATIONS:
        events.register(f"provide-client-params.dynamodb.{operation}", each)
    try:
        yield
    finally:
        for operation in OPERATIONS:
            events.unregister(f"provide-client-params.dynamodb.{operation}", each)


@contextmanager
def collect_sites(ledger: str) -> Iterator[set[str]]:
    """Collects the sites that are sent within the block."""
    sites: set[str] = set()
    with each_clause(lambda write, text, start, end, site: sites.add(site), ledger):
        yield sites


@contextmanager
def disable_clause(site: str, ledger: str) -> Iterator[None]:
    """Within the block, the clause at this site is always true."""

    def switch_off(write: RequestParameters, text: str, start: int, end: int, at: str) -> None:
        if at == site:
            # The original clause stays in the expression, since DynamoDB refuses unused names and values.
            write["ConditionExpression"] = f"{text[:start]}({ALWAYS_TRUE} OR {text[start:end]}){text[end:]}"

    with each_clause(switch_off, ledger):
        yield


def clauses(expression: str) -> list[tuple[int, int]]:
    """Start and end of each part joined by AND, inside any brackets; a part that contains OR is one clause."""
    return list(_split_clauses(expression, 0, len(expression)))


def _split_clauses(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start] == " ":
        start += 1
    while end > start and text[end - 1] == " ":
        end -= 1
    if start == end:
        return
    joints = [
        match.start()
        for match in re.finditer(r" AND ", text[start:end])
        if _depth(text[start : start + match.start()]) == 0
    ]
    if joints:
        edges = [start, *(start + joint for joint in joints), end]
        for number, (left, right) in enumerate(pairwise(edges)):
            yield from _split_clauses(text, left + (5 if number else 0), right)
    elif text[start] == "(" and _depth(text[start : end - 1]) == 1 and _is_one_bracket(text[start:end]):
        if " AND " in text[start:end] or not re.search(r" OR ", text[start:end]):
            yield from _split_clauses(text, start + 1, end - 1)
        else:
            yield start, end
    else:
        yield start, end


def _depth(text: str) -> int:
    return text.count("(") - text.count(")")


def _is_one_bracket(text: str) -> bool:
    """Whether the last character closes the first bracket."""
    return all(_depth(text[:length]) > 0 for length in range(1, len(text)))


def _with_names(clause: str, write: RequestParameters) -> str:
    names = write.get("ExpressionAttributeNames", {})
    clause = re.sub(r"#\d+", lambda found: names[found[0]], clause)
    clause = re.sub(r"grants\.[^ )]+?\.(remaining|held)", r"grants.<id>.\1", clause)
    clause = re.sub(r"\((grants)\.[^ )]+\)", r"(\1.<id>)", clause)
    return re.sub(r":\d+", "?", clause)


# The kinds of postings whose movement alone is their key.
KEYED_BY_MOVEMENT = {"escrow", "escrow_end"}


def _purpose(writes: list[RequestParameters]) -> str:
    """The purpose of a write, read from the movements in its transaction."""
    kinds = {_kind(write).partition(" ")[2] for write in writes} - {""}
    if "hold" in kinds:
        return "hold"
    if kinds & {"settled", "released", "expired"}:
        return "end"
    if "late" in kinds:
        return "late"
    # Escrows are postings like those of operations, though their movements alone are their keys.
    if kinds & KEYED_BY_MOVEMENT or any(_key(write).startswith("key#") for write in writes):
        return "operation"
    return "look" if kinds else "other"


def _kind(write: RequestParameters) -> str:
    """The kind of the written item: wallet, key, gen or seal; for a movement, with the movement's own kind."""
    sort = re.split("[#_]", _key(write))[0]
    return f"movement {write['Item']['kind']['S']}" if sort == "movement" else sort


def _key(write: RequestParameters) -> str:
    return (write.get("Item") or write["Key"])["sk"]["S"]
