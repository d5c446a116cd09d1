"""Records of the ledger table's stream (DynamoDB JSON, as Lambda delivers them), as changes of wallets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.adapters.aws.dynamodb.identity.changes import written_at
from atelier.adapters.aws.dynamodb.ledger.items import (
    WALLET,
    MovementItem,
    WalletItem,
    decode_movement,
    decode_wallet,
)
from atelier.ledger.credit_events import WalletChange
from atelier.ledger.model import Movement

MOVEMENT_PREFIX = "movement#"


def wallet_changes(records: Sequence[Mapping[str, Any]]) -> Iterator[WalletChange]:
    """The changes of wallets, in order. A record has both images."""
    for record in records:
        images = record["dynamodb"]
        if record["eventName"] == "MODIFY" and images["Keys"]["sk"]["S"] == WALLET:
            before, after = (decode_wallet(WalletItem.from_raw_data(images[each])) for each in ("OldImage", "NewImage"))
            yield WalletChange(record["eventID"], written_at(record), before, after)


def grants(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Movement]]:
    """The workspace and movement of each new movement that names where its credits came from, in order."""
    for record in records:
        images = record["dynamodb"]
        if record["eventName"] != "INSERT" or not images["Keys"]["sk"]["S"].startswith(MOVEMENT_PREFIX):
            continue
        if images["NewImage"]["kind"]["S"] in ("grant", "transfer"):
            yield images["Keys"]["pk"]["S"], decode_movement(MovementItem.from_raw_data(images["NewImage"]))
