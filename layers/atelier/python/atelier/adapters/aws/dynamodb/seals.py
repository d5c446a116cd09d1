"""Seals in the ledger's table, and its movements in their public form.

    pk wsp_…  sk seal#<number, 12 digits>     one seal, in the form that is hashed and shown

A seal of the movements of one generation stays below one write unit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from atelier.adapters.aws.dynamodb import Item, conditional
from atelier.adapters.aws.dynamodb.ledger.items import MovementItem
from atelier.ledger.hash_chain import PublicForm, Seal, from_public, to_public
from atelier.ledger.ports import PublicMovementPage
from atelier.ledger.sealed_keys import SealNumberTaken

MOVEMENT_PREFIX = "movement#"


class SealItem(Item):
    """One seal, written once and never changed."""

    seal = UnicodeAttribute()


class DynamoSeals:
    """SealStore on DynamoDB. The ledger's items must be bound to the table too (see `DynamoWallets.bind`)."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the ledger's table."""
        SealItem.bind(table_name)

    def newest(self, workspace_id: str, *, consistent: bool) -> Seal | None:
        found = SealItem.query(
            workspace_id,
            SealItem.sk.startswith("seal#"),
            consistent_read=consistent,
            scan_index_forward=False,
            limit=1,
            page_size=1,
        )
        return next((seal_of(item) for item in found), None)

    def between(self, workspace_id: str, first: int, last: int) -> list[Seal]:
        # Read consistently although seals never change: if a new seal were missing here, its movements would seem
        # unsealed.
        found = SealItem.query(workspace_id, SealItem.sk.between(_key(first), _key(last)), consistent_read=True)
        return [seal_of(item) for item in found]

    def append(self, workspace_id: str, seal: Seal) -> None:
        text = json.dumps(to_public(seal), separators=(",", ":"))
        item = SealItem(workspace_id, _key(seal.number), seal=text)
        if not conditional(lambda: item.save(condition=SealItem.pk.does_not_exist())):
            raise SealNumberTaken

    def public_movements(self, workspace_id: str, after_key: str | None, limit: int) -> PublicMovementPage:
        page = MovementItem.query(
            workspace_id,
            MovementItem.sk.startswith(MOVEMENT_PREFIX),
            consistent_read=True,
            scan_index_forward=False,
            limit=limit,
            page_size=limit,
            last_evaluated_key={"pk": {"S": workspace_id}, "sk": {"S": after_key}} if after_key else None,
        )
        forms = tuple(movement_form(item) for item in page)
        last: dict[str, Any] | None = page.last_evaluated_key
        return PublicMovementPage(forms, last["sk"]["S"] if last else None)

    def public_movements_of(self, workspace_id: str, movement_ids: Sequence[tuple[str, str]]) -> list[PublicForm]:
        keys = [(workspace_id, f"{MOVEMENT_PREFIX}{order}#{key}") for order, key in movement_ids]
        found = {item.sk: movement_form(item) for item in MovementItem.batch_get(keys, consistent_read=True)}
        return [found[sk] for _, sk in keys if sk in found]


def new_movements(records: Iterable[Mapping[str, Any]]) -> dict[str, Iterator[PublicForm]]:
    """The new movements in a batch of the table's stream (DynamoDB JSON, with the new image), by workspace. An image is
    read when its movement is, so that one that cannot be read is a failure of its own wallet alone."""
    images: dict[str, list[dict[str, dict[str, Any]]]] = {}
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] == "INSERT" and keys["sk"]["S"].startswith(MOVEMENT_PREFIX):
            images.setdefault(keys["pk"]["S"], []).append(record["dynamodb"]["NewImage"])
    return {workspace_id: map(_movement, written) for workspace_id, written in images.items()}


def _movement(image: dict[str, dict[str, Any]]) -> PublicForm:
    return movement_form(MovementItem.from_raw_data(image))


def _key(number: int) -> str:
    return f"seal#{number:012d}"


def seal_of(item: SealItem) -> Seal:
    """A stored seal."""
    return from_public(json.loads(item.seal))


def movement_form(item: MovementItem) -> PublicForm:
    """A stored movement in its public form."""
    hold: dict[str, Any] | None = item.hold
    return {
        "key": item.key,
        "order": item.sk.split("#")[1],
        "kind": item.kind,
        "subject": item.subject,
        "at": item.at,
        "entries": item.entries,
        "facts": item.facts,
        **({} if hold is None else {"hold": hold}),
    }
