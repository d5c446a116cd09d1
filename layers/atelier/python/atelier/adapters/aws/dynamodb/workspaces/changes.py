"""Records of the identity table's stream (DynamoDB JSON, as Lambda delivers them), as changes of members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from atelier.adapters.aws.dynamodb.workspaces.invitations import PREFIX as INVITATION_PREFIX
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX
from atelier.clock import rfc3339
from atelier.events.catalogue import MemberChanged

# What the record of a member says; the record of an invitation counts when it is new.
CHANGES = {"INSERT": "joined", "MODIFY": "role_changed", "REMOVE": "removed"}


def member_changes(records: Sequence[Mapping[str, Any]]) -> Iterator[MemberChanged]:
    """The changes of members and the new invitations, in order. A record has both images."""
    for record in records:
        pk, sk = (record["dynamodb"]["Keys"][name]["S"] for name in ("pk", "sk"))
        if not pk.startswith("wsp_"):
            continue
        if sk.startswith(MEMBER_PREFIX):
            yield _change(record, CHANGES[record["eventName"]], pk, user_id=sk.removeprefix(MEMBER_PREFIX))
        elif sk.startswith(INVITATION_PREFIX) and record["eventName"] == "INSERT":
            yield _change(record, "invited", pk, invitation_id=sk.removeprefix(INVITATION_PREFIX))


def _change(
    record: Mapping[str, Any],
    change: str,
    workspace_id: str,
    *,
    user_id: str | None = None,
    invitation_id: str | None = None,
) -> MemberChanged:
    images = record["dynamodb"]
    image = images["NewImage"] if "NewImage" in images else images["OldImage"]
    at = datetime.fromtimestamp(images["ApproximateCreationDateTime"], UTC)
    return MemberChanged(
        id=record["eventID"],
        workspace_id=workspace_id,
        change=change,
        user_id=user_id,
        invitation_id=invitation_id,
        role=image["role"]["S"],
        changed_at=rfc3339(at),
    )
