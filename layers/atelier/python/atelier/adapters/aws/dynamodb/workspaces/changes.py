"""Records of the identity table's stream (DynamoDB JSON, as Lambda delivers them), as changes of organisations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.adapters.aws.dynamodb.identity.changes import written_at
from atelier.adapters.aws.dynamodb.identity.items import PROFILE
from atelier.adapters.aws.dynamodb.workspaces.invitations import PREFIX as INVITATION_PREFIX
from atelier.adapters.aws.dynamodb.workspaces.items import MEMBER_PREFIX
from atelier.clock import parse_rfc3339, rfc3339
from atelier.events.workspace_events import MemberChanged, WorkspaceChanged
from atelier.workspaces.model import UNDO_TIME

# What the record of a member says; the record of an invitation counts when it is new.
CHANGES = {"INSERT": "joined", "MODIFY": "role_changed", "REMOVE": "removed"}


DELETED_AT = "deleted_at"


def workspace_changes(records: Sequence[Mapping[str, Any]]) -> Iterator[WorkspaceChanged]:
    """The deletions and restorations of organisations, in order. A record has both images."""
    for record in records:
        keys = record["dynamodb"]["Keys"]
        if record["eventName"] != "MODIFY" or keys["sk"]["S"] != PROFILE or not keys["pk"]["S"].startswith("wsp_"):
            continue
        before, after = (record["dynamodb"][image] for image in ("OldImage", "NewImage"))
        if (DELETED_AT in before) == (DELETED_AT in after):
            continue
        change, image = ("deletion_requested", after) if DELETED_AT in after else ("restored", before)
        until = rfc3339(parse_rfc3339(image[DELETED_AT]["S"]) + UNDO_TIME)
        yield WorkspaceChanged(keys["pk"]["S"], change, until, written_at(record))


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
    return MemberChanged(
        id=record["eventID"],
        workspace_id=workspace_id,
        change=change,
        user_id=user_id,
        invitation_id=invitation_id,
        role=image["role"]["S"],
        changed_at=written_at(record),
    )
