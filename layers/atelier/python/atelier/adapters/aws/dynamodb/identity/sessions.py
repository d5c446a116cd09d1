"""Sessions on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.factor_items import refusal_of, save_use
from atelier.adapters.aws.dynamodb.identity.items import (
    IdentityItem,
    SessionItem,
    decode_session,
    rotations_data,
    session_sk,
    update_if,
)
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.identity.model import Session
from atelier.identity.second_factor import FactorUse

BUSY = "The session is busy just now. Try again."
TRIES_MAX = 5


class DynamoSessions:
    """Sessions on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

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

    def revoke(self, user_id: str, session_id: str, at: datetime, *, events: Sequence[AuditEvent] = ()) -> bool:
        item, actions = SessionItem(user_id, session_sk(session_id)), [SessionItem.revoked_at.set(rfc3339(at))]
        is_open = SessionItem.pk.exists() & SessionItem.revoked_at.does_not_exist()
        if not events:
            return update_if(item, actions, is_open)

        def write_all(write: Transaction) -> None:
            write.update(item, actions, is_open, part="session")
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True

    def sessions_of(self, user_id: str) -> tuple[Session, ...]:
        found = SessionItem.query(
            user_id, SessionItem.sk.startswith("session#"), consistent_read=True, scan_index_forward=False
        )
        return tuple(map(decode_session, found))

    def prove(self, session: Session, *, use: FactorUse | None, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            update_proof(write, session)
            save_use(write, session.user_id, use)
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise refusal_of(error) from error


def update_proof(write: Transaction, session: Session) -> None:
    """Add to a transaction that a factor was proven in a session."""
    mfa_at = SessionItem.mfa_at
    write.update(
        SessionItem(session.user_id, session_sk(session.id)),
        [
            SessionItem.authenticated_at.set(rfc3339(session.authenticated_at)),
            mfa_at.set(rfc3339(session.mfa_at)) if session.mfa_at else mfa_at.remove(),
        ],
        SessionItem.pk.exists() & SessionItem.revoked_at.does_not_exist(),
        part="session",
    )
