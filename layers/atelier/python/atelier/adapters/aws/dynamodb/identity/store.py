"""Accounts, sessions and API tokens on DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist, PynamoDBException

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Item,
    ItemAddress,
    TransactionConflict,
    batch_read,
    conditional,
    newest_page,
    pause_with_jitter,
    retry_conflicts,
    transaction,
)
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    DAILY_CREDITS,
    PROFILE,
    TOKEN_COUNT,
    CredentialsItem,
    IdentityItem,
    MailboxItem,
    MembershipItem,
    SessionItem,
    TokenCountItem,
    TokenItem,
    UserItem,
    WorkspaceItem,
    credentials_item,
    decode_session,
    decode_token,
    decode_user,
    decode_workspace,
    mailbox_pk,
    member_sk,
    rotations_data,
    session_item,
    session_sk,
    token_item,
    token_sk,
    user_item,
    workspace_item,
)
from atelier.clock import rfc3339
from atelier.errors import NotFound, Unavailable
from atelier.identity.api_tokens import (
    REVOKED_RETENTION,
    TOKENS_PER_WORKSPACE_MAX,
    ApiToken,
    TokenExists,
    TokenPage,
    TooManyTokens,
)
from atelier.identity.model import (
    Credentials,
    EmailTaken,
    Membership,
    Session,
    User,
    UserStatus,
    Workspace,
)
from atelier.identity.permissions import Role

TRIES_MAX = 5
TOKENS_BUSY = "The workspace's tokens are busy just now. Try again."


class DynamoIdentity:
    """Accounts, Sessions, ApiTokens and Standings on DynamoDB.

    `prefetch_address`: workspace id → address of one more item, of any table, that each authorization reads in its
    batch. After the read, `prefetched` is that item, or None when it does not exist."""

    def __init__(self, prefetch_address: Callable[[str], ItemAddress] | None = None) -> None:
        self._prefetch_address = prefetch_address
        self.prefetched: Item | None = None

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. `create` also writes to the ledger's table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def create(self, credentials: Credentials, user: User, workspace: Workspace, session: Session) -> None:
        # Imported here, because only one of the functions that use this store opens wallets.
        from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
        from atelier.ledger.model import MailboxState, new_wallet

        at = rfc3339(user.created_at)
        mailbox = MailboxState.ELIGIBLE if credentials.mailbox is None else MailboxState.UNVERIFIED
        for tries in range(TRIES_MAX):
            try:
                with transaction() as write:
                    write.save(credentials_item(credentials), CredentialsItem.pk.does_not_exist(), part="credentials")
                    if mailbox is MailboxState.UNVERIFIED:
                        claim = MailboxItem(mailbox_pk(credentials.mailbox), DAILY_CREDITS, workspace_id=workspace.id)
                        write.save(claim, MailboxItem.pk.does_not_exist(), part="mailbox")
                    write.save(user_item(user))
                    write.save(workspace_item(workspace))
                    write.save(MembershipItem(user.id, member_sk(workspace.id), role=Role.OWNER.value, created_at=at))
                    write.save(session_item(session))
                    put_new_wallet(write, new_wallet(workspace.id, workspace.tier, user.created_at, mailbox))
            except ConditionsFailed as error:
                if "credentials" in error.parts:
                    raise EmailTaken from error
                if "mailbox" in error.parts:
                    mailbox = MailboxState.SHARED
                else:
                    pause_with_jitter(tries)
                continue
            except TransactionConflict:
                pause_with_jitter(tries)
                continue
            return
        raise Unavailable("The account could not be made just now. Try again.")

    def verify(self, user_id: str, mailbox: str, at: datetime) -> User:
        # Imported here, as in `create`.
        from atelier.adapters.aws.dynamodb.ledger.transactions import put_mailbox_state
        from atelier.ledger.model import MailboxState

        user_key, claim_key = (user_id, PROFILE), (mailbox_pk(mailbox), DAILY_CREDITS)
        other_account_deleted = False
        for tries in range(TRIES_MAX):
            items = _batch_get([user_key, claim_key], consistent=True)
            user, claim = items.get(user_key), items.get(claim_key)
            if not isinstance(user, UserItem):
                raise NotFound
            if user.email_verified_at:
                return decode_user(user)
            claimed = claim if isinstance(claim, MailboxItem) else None
            wins = claimed is None or not claimed.verified_at
            try:
                with transaction() as write:
                    if wins:
                        # The claim must be as it was read: of two accounts verified in parallel, one gets the credits.
                        unchanged = (
                            MailboxItem.pk.does_not_exist()
                            if claimed is None
                            else (MailboxItem.workspace_id == claimed.workspace_id)
                            & MailboxItem.verified_at.does_not_exist()
                        )
                        verified = MailboxItem(*claim_key, workspace_id=user.workspace_id, verified_at=rfc3339(at))
                        write.save(verified, unchanged, part="mailbox")
                    write.update(
                        UserItem(*user_key),
                        [UserItem.email_verified.set(True), UserItem.email_verified_at.set(rfc3339(at))],
                        UserItem.pk.exists(),
                        part="user",
                    )
                    state = MailboxState.ELIGIBLE if wins else MailboxState.SHARED
                    put_mailbox_state(write, user.workspace_id, state, part="wallet")
                    if wins and claimed and claimed.workspace_id != user.workspace_id and not other_account_deleted:
                        put_mailbox_state(write, claimed.workspace_id, MailboxState.SHARED, part="other wallet")
            except ConditionsFailed as error:
                # The other account's wallet alone fails when that account was deleted.
                other_account_deleted = error.parts == frozenset(["other wallet"])
                pause_with_jitter(tries)
            except TransactionConflict:
                other_account_deleted = False
                pause_with_jitter(tries)
        raise Unavailable(TOKENS_BUSY)

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        claim = MailboxItem(mailbox_pk(mailbox), DAILY_CREDITS, workspace_id=credentials.workspace_id)
        with suppress(PynamoDBException):
            conditional(lambda: claim.save(condition=MailboxItem.pk.does_not_exist()))
            # Written last, so that the next log-in repairs a crash between the two writes.
            _update(
                CredentialsItem(f"email#{credentials.email}", CREDENTIALS),
                [CredentialsItem.mailbox.set(mailbox)],
                CredentialsItem.user_id == credentials.user_id,
            )

    def credentials(self, email: str) -> Credentials | None:
        try:
            item = CredentialsItem.get(f"email#{email}", CREDENTIALS, consistent_read=True)
        except DoesNotExist:
            return None
        return Credentials(email, item.user_id, item.workspace_id, item.password_hash, item.signup_key, item.mailbox)

    def replace_password_hash(self, credentials: Credentials, password_hash: str) -> None:
        _update(
            CredentialsItem(f"email#{credentials.email}", CREDENTIALS),
            [CredentialsItem.password_hash.set(password_hash)],
            CredentialsItem.password_hash == credentials.password_hash,
        )

    def user_with_workspace(self, user_id: str, workspace_id: str) -> tuple[User, Workspace]:
        items = _batch_get([(user_id, PROFILE), (workspace_id, PROFILE)], consistent=True)
        user, workspace = items.get((user_id, PROFILE)), items.get((workspace_id, PROFILE))
        if not isinstance(user, UserItem) or not isinstance(workspace, WorkspaceItem):
            raise NotFound
        return decode_user(user), decode_workspace(workspace)

    def account(self, user_id: str) -> tuple[User, list[Membership]]:
        # One query for memberships and profile: sort keys from "member#" to "profile", without the sessions.
        found = list(IdentityItem.query(user_id, IdentityItem.sk.between("member#", PROFILE), consistent_read=True))
        users = [item for item in found if isinstance(item, UserItem)]
        roles = {item.sk.partition("#")[2]: Role(item.role) for item in found if isinstance(item, MembershipItem)}
        if not users:
            raise NotFound
        workspaces = _batch_get([(workspace_id, PROFILE) for workspace_id in roles], consistent=False)
        memberships = [
            Membership(decode_workspace(workspace), role)
            for workspace_id, role in sorted(roles.items())
            if isinstance(workspace := workspaces.get((workspace_id, PROFILE)), WorkspaceItem)
        ]
        return decode_user(users[0]), memberships

    def record_sign_in(self, user_id: str, at: datetime) -> None:
        _update(UserItem(user_id, PROFILE), [UserItem.last_login_at.set(rfc3339(at))], UserItem.pk.exists())

    def add(self, session: Session) -> None:
        session_item(session).save(condition=SessionItem.pk.does_not_exist())

    def session(self, user_id: str, session_id: str) -> Session | None:
        try:
            return decode_session(SessionItem.get(user_id, session_sk(session_id), consistent_read=True))
        except DoesNotExist:
            return None

    def rotate(self, before: Session, after: Session) -> bool:
        return _update(
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
        _update(
            SessionItem(user_id, session_sk(session_id)),
            [SessionItem.revoked_at.set(rfc3339(at))],
            SessionItem.pk.exists() & SessionItem.revoked_at.does_not_exist(),
        )

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        try:
            return Role(MembershipItem.get(user_id, member_sk(workspace_id)).role)
        except DoesNotExist:
            return None

    def _read_with_prefetch(self, workspace_id: str, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        if self._prefetch_address is None:
            return _batch_get(keys, consistent=True)
        place = self._prefetch_address(workspace_id)
        found = batch_read([place, *((IdentityItem, *key) for key in keys)])
        self.prefetched = found.pop(place, None)
        return {(pk, sk): item for (_, pk, sk), item in found.items()}

    def session_and_role(self, user_id: str, session_id: str, workspace_id: str) -> tuple[Session | None, Role | None]:
        session_key, member_key = (user_id, session_sk(session_id)), (user_id, member_sk(workspace_id))
        items = self._read_with_prefetch(workspace_id, [session_key, member_key])
        session, membership = items.get(session_key), items.get(member_key)
        return (
            decode_session(session) if isinstance(session, SessionItem) else None,
            Role(membership.role) if isinstance(membership, MembershipItem) else None,
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

    def add_token(self, token: ApiToken) -> None:
        def write_both() -> None:
            with transaction() as write:
                write.save(token_item(token), TokenItem.pk.does_not_exist(), part="token")
                write.update(
                    TokenCountItem(token.workspace_id, TOKEN_COUNT),
                    [TokenCountItem.living.add(1)],
                    TokenCountItem.living.does_not_exist() | (TokenCountItem.living < TOKENS_PER_WORKSPACE_MAX),
                    part="count",
                )

        try:
            retry_conflicts(write_both, busy=TOKENS_BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise (TokenExists if "token" in error.parts else TooManyTokens) from error

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        try:
            return decode_token(TokenItem.get(workspace_id, token_sk(token_id), consistent_read=True))
        except DoesNotExist:
            return None

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage:
        bounds = token_sk(""), token_sk("~")
        not_revoked = TokenItem.revoked_at.does_not_exist()
        items, next_key = newest_page(TokenItem, workspace_id, bounds, matching=not_revoked, after=after, limit=limit)
        return TokenPage(tuple(map(decode_token, items)), next_key)

    def note_use(self, token: ApiToken, at: datetime) -> None:
        item = TokenItem(token.workspace_id, token_sk(token.id))
        not_revoked = TokenItem.pk.exists() & TokenItem.revoked_at.does_not_exist()
        with suppress(PynamoDBException):
            _update(item, [TokenItem.last_used_at.set(rfc3339(at))], not_revoked)

    def revoke_token(self, workspace_id: str, token_id: str, at: datetime) -> bool:
        forgotten_at_seconds = int((at + REVOKED_RETENTION).timestamp())
        revocation: list[Any] = [
            TokenItem.revoked_at.set(rfc3339(at)),
            TokenItem.expires_at_seconds.set(forgotten_at_seconds),
        ]
        not_revoked = TokenItem.pk.exists() & TokenItem.revoked_at.does_not_exist()

        def write_both() -> None:
            with transaction() as write:
                write.update(TokenItem(workspace_id, token_sk(token_id)), revocation, not_revoked, part="token")
                write.update(TokenCountItem(workspace_id, TOKEN_COUNT), [TokenCountItem.living.add(-1)])

        try:
            retry_conflicts(write_both, busy=TOKENS_BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed:
            return False
        return True


def _batch_get(keys: list[tuple[str, str]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    found: Iterable[IdentityItem] = IdentityItem.batch_get(keys, consistent_read=consistent)
    return {(item.pk, item.sk): item for item in found}


def _update(item: IdentityItem, actions: list[Any], condition: Any) -> bool:
    """Whether the condition held."""
    return conditional(lambda: item.update(actions, condition=condition))
