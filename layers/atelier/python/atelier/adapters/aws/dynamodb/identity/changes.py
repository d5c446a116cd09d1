"""Records of the identity table's stream (DynamoDB JSON, as Lambda delivers them), as changes of accounts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from atelier.adapters.aws.dynamodb.identity.items import PROFILE
from atelier.clock import rfc3339
from atelier.events.workspace_events import AccountChanged

DUE_AT = "deletion_due_at"


def account_changes(records: Sequence[Mapping[str, Any]]) -> Iterator[AccountChanged]:
    """The requests for a deletion, and the restorations, in order. A record has both images."""
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] != "MODIFY" or keys["sk"]["S"] != PROFILE or not keys["pk"]["S"].startswith("usr_"):
            continue
        before, after = (record["dynamodb"][image] for image in ("OldImage", "NewImage"))
        if (DUE_AT in before) == (DUE_AT in after):
            continue
        change, image = ("deletion_requested", after) if DUE_AT in after else ("restored", before)
        yield AccountChanged(
            keys["pk"]["S"], after["workspace_id"]["S"], change, image[DUE_AT]["S"], written_at(record)
        )


def written_at(record: Mapping[str, Any]) -> str:
    """When the change was written, to the second; RFC 3339."""
    return rfc3339(datetime.fromtimestamp(record["dynamodb"]["ApproximateCreationDateTime"], UTC))
