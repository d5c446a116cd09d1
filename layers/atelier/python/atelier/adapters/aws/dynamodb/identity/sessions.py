"""Sessions on DynamoDB."""

from __future__ import annotations

from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb.identity.items import (
    IdentityItem,
    SessionItem,
    decode_session,
    rotations_data,
    session_item,
    session_sk,
    update_if,
)
from atelier.clock import rfc3339
from atelier.identity.model import Session


class DynamoSessions:
    """Sessions on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def add(self, session: Session) -> None:
        session_item(session).save(condition=SessionItem.pk.does_not_exist())

    def session(self, user_id: str, session_id: str) -> Session | None:
        try:
            return decode_session(SessionItem.get(user_id, session_sk(session_id), consistent_read=True))
        except DoesNotExist:
            return None

    def rotate(self, before: Session, after: Session) -> bool:
        return update_if(
            SessionItem(before.user_id, session_sk(before.id)),
            [
                SessionItem.digest.set(after.digest),
                SessionItem.rotations.set(rotations_data(after)),
                SessionItem.last_used_at.set(rfc3339(after.last_used_at)),
                SessionItem.expires_at_seconds.set(int(after.expires_at.timestamp())),
            ],
            (SessionItem.digest == before.digest) & SessionItem.revoked_at.does_not_exist(),
        )

    def revoke(self, user_id: str, session_id: str, at: datetime) -> None:
        update_if(
            SessionItem(user_id, session_sk(session_id)),
            [SessionItem.revoked_at.set(rfc3339(at))],
            SessionItem.pk.exists() & SessionItem.revoked_at.does_not_exist(),
        )
