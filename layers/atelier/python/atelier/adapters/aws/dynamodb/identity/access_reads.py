"""The reads that authorise a request, on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import Item, ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    SessionItem,
    TokenItem,
    UserItem,
    decode_session,
    decode_token,
    decode_user,
    member_sk,
    read_items,
    session_sk,
    token_sk,
)
from atelier.identity.api_tokens import ApiToken
from atelier.identity.model import Session, User, UserStatus
from atelier.identity.permissions import Role


class DynamoAccessReads:
    """AccessReads on DynamoDB.

    `prefetch_address`: workspace id → address of one more item, of any table, that each authorization reads in its
    batch. After the read, `prefetched` is that item, or None when it does not exist."""

    def __init__(self, prefetch_address: Callable[[str], ItemAddress] | None = None) -> None:
        self._prefetch_address = prefetch_address
        self.prefetched: Item | None = None

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        try:
            return Role(MembershipItem.get(user_id, member_sk(workspace_id)).role)
        except DoesNotExist:
            return None

    def session_and_role(self, user_id: str, session_id: str, workspace_id: str) -> tuple[Session | None, Role | None]:
        session_key, member_key = (user_id, session_sk(session_id)), (user_id, member_sk(workspace_id))
        items = self._read_with_prefetch(workspace_id, [session_key, member_key])
        session, membership = items.get(session_key), items.get(member_key)
        return (
            decode_session(session) if isinstance(session, SessionItem) else None,
            Role(membership.role) if isinstance(membership, MembershipItem) else None,
        )

    def session_role_and_user(
        self, user_id: str, session_id: str, workspace_id: str
    ) -> tuple[Session | None, Role | None, User | None]:
        session_key, member_key = (user_id, session_sk(session_id)), (user_id, member_sk(workspace_id))
        user_key = (user_id, PROFILE)
        items = self._read_with_prefetch(workspace_id, [session_key, member_key, user_key])
        session, membership, user = items.get(session_key), items.get(member_key), items.get(user_key)
        return (
            decode_session(session) if isinstance(session, SessionItem) else None,
            Role(membership.role) if isinstance(membership, MembershipItem) else None,
            decode_user(user) if isinstance(user, UserItem) else None,
        )

    def token_and_role(self, user_id: str, workspace_id: str, token_id: str) -> tuple[ApiToken | None, Role | None]:
        token_key, member_key = (workspace_id, token_sk(token_id)), (user_id, member_sk(workspace_id))
        items = self._read_with_prefetch(workspace_id, [token_key, member_key, (user_id, PROFILE)])
        token, membership, user = (items.get(key) for key in (token_key, member_key, (user_id, PROFILE)))
        is_active = isinstance(user, UserItem) and user.status == UserStatus.ACTIVE
        return (
            decode_token(token) if isinstance(token, TokenItem) else None,
            Role(membership.role) if is_active and isinstance(membership, MembershipItem) else None,
        )

    def _read_with_prefetch(self, workspace_id: str, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        if self._prefetch_address is None:
            return read_items(keys, consistent=True)
        place = self._prefetch_address(workspace_id)
        found = batch_read([place, *((IdentityItem, *key) for key in keys)])
        self.prefetched = found.pop(place, None)
        return {(pk, sk): item for (_, pk, sk), item in found.items()}
