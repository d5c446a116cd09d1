"""The reads that authorise a request, on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable

from atelier.adapters.aws.dynamodb import Item, ItemAddress, batch_read
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    MembershipItem,
    SessionItem,
    TokenItem,
    UserItem,
    WorkspaceItem,
    decode_session,
    decode_token,
    decode_user,
    member_sk,
    read_items,
    session_sk,
    token_sk,
)
from atelier.identity.access import Access, WorkspaceState
from atelier.identity.model import User, UserStatus
from atelier.identity.permissions import Role


class DynamoAccessReads:
    """AccessReads on DynamoDB.

    `wallet_address`, `counter_address`: workspace id → addresses of two more items, of other tables, that each
    authorization reads in its batch; the counter with eventual consistency. After the read, `wallet` and `counter` are
    those items, None where there is none."""

    def __init__(
        self,
        wallet_address: Callable[[str], ItemAddress] | None = None,
        counter_address: Callable[[str], ItemAddress] | None = None,
    ) -> None:
        self._wallet_address = wallet_address
        self._counter_address = counter_address
        self.wallet: Item | None = None
        self.counter: Item | None = None

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items."""
        IdentityItem.bind(table_name)

    def session_access(
        self, user_id: str, session_id: str, workspace_id: str, *, personal: bool, with_user: bool = False
    ) -> Access:
        session_key, member_key = (user_id, session_sk(session_id)), (user_id, member_sk(workspace_id))
        keys = [session_key, member_key]
        keys += [] if personal else [(workspace_id, PROFILE)]
        keys += [(user_id, PROFILE)] if with_user else []
        items = self._read_with_prefetch(workspace_id, keys)
        session, membership = items.get(session_key), items.get(member_key)
        return Access(
            role=Role(membership.role) if isinstance(membership, MembershipItem) else None,
            session=decode_session(session) if isinstance(session, SessionItem) else None,
            workspace=_workspace_state(items.get((workspace_id, PROFILE))),
            user=_user(items.get((user_id, PROFILE))),
        )

    def token_access(self, user_id: str, workspace_id: str, token_id: str) -> Access:
        token_key, member_key = (workspace_id, token_sk(token_id)), (user_id, member_sk(workspace_id))
        user_key, workspace_key = (user_id, PROFILE), (workspace_id, PROFILE)
        items = self._read_with_prefetch(workspace_id, [token_key, member_key, user_key, workspace_key])
        token, membership, user = items.get(token_key), items.get(member_key), items.get(user_key)
        is_active = isinstance(user, UserItem) and user.status == UserStatus.ACTIVE and not user.deletion_due_at
        role = None
        if is_active and isinstance(membership, MembershipItem) and isinstance(token, TokenItem):
            # A token from before its user left stays void when the user joins again.
            role = Role(membership.role) if membership.created_at <= token.created_at else None
        return Access(
            role=role,
            token=decode_token(token) if isinstance(token, TokenItem) else None,
            workspace=_workspace_state(items.get(workspace_key)),
            user=_user(user),
        )

    def _read_with_prefetch(self, workspace_id: str, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        if self._wallet_address is None or self._counter_address is None:
            return read_items(keys, consistent=True)
        wallet, counter = self._wallet_address(workspace_id), self._counter_address(workspace_id)
        found = batch_read([wallet, *((IdentityItem, *key) for key in keys)], eventual=[counter])
        self.wallet, self.counter = found.pop(wallet, None), found.pop(counter, None)
        return {(pk, sk): item for (_, pk, sk), item in found.items()}


def _user(item: Item | None) -> User | None:
    return decode_user(item) if isinstance(item, UserItem) else None


def _workspace_state(item: Item | None) -> WorkspaceState | None:
    if not isinstance(item, WorkspaceItem):
        return None
    return WorkspaceState(deleted=bool(item.deleted_at), require_mfa=bool(item.require_mfa))
