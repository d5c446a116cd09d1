"""Records of the identity table's stream (DynamoDB JSON, as Lambda delivers them), as connections that have to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from atelier.adapters.aws.dynamodb.identity.items import PROFILE
from atelier.realtime.model import Closing

SESSION_PREFIX, TOKEN_PREFIX, MEMBER_PREFIX = "session#", "token#", "member#"
REVOKED_AT, DELETED_AT = "revoked_at", "deleted_at"


def closings(records: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Closing]]:
    """What ends connections, with the id of its record: a session or an API token that was revoked, a member whose role
    changed or who left, an organisation that was deleted."""
    for record in records:
        pk, sk = (record["dynamodb"]["Keys"][name]["S"] for name in ("pk", "sk"))
        before, after = (record["dynamodb"].get(image, {}) for image in ("OldImage", "NewImage"))
        if REVOKED_AT in after and REVOKED_AT not in before:
            if sk.startswith(SESSION_PREFIX):
                yield record["eventID"], Closing(pk, session_id=sk.removeprefix(SESSION_PREFIX))
            elif sk.startswith(TOKEN_PREFIX):
                user_id, token_id = after["user_id"]["S"], sk.removeprefix(TOKEN_PREFIX)
                yield record["eventID"], Closing(user_id, token_id=token_id)
        elif pk.startswith("wsp_") and sk.startswith(MEMBER_PREFIX) and record["eventName"] != "INSERT":
            yield record["eventID"], Closing(sk.removeprefix(MEMBER_PREFIX), workspace_id=pk)
        elif pk.startswith("wsp_") and sk == PROFILE and DELETED_AT in after and DELETED_AT not in before:
            yield record["eventID"], Closing(pk)
