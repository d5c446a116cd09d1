"""The identity table.

    pk email#<address>  sk credentials       the claim on an e-mail address, with the password's hash
    pk mailbox#<digest> sk daily-credits     the workspace that gets the mailbox's daily credits; never deleted
    pk usr_…            sk profile           the user
    pk usr_…            sk member#wsp_…      the user's role in a workspace
    pk usr_…            sk session#ses_…     a session; deleted by TTL after its end
    pk wsp_…            sk profile           the workspace
    pk wsp_…            sk token#tok_…       an API token; deleted by TTL some time after it was revoked
    pk wsp_…            sk tokens            the number of API tokens

Authorizing a request costs one small batch read: session and membership for a browser, which are in one partition; or
token, membership and user (who may be suspended) for a program. Where credits are about to be spent, the wallet is read
in the same batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from typing import Any

from pynamodb.attributes import (
    BooleanAttribute,
    DiscriminatorAttribute,
    JSONAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import DoesNotExist, PutError, PynamoDBException, TransactWriteError, UpdateError

from atelier.adapters.aws.dynamodb import (
    Item,
    ItemAddress,
    batch_read,
    failed_conditions,
    newest_page,
    pause_with_jitter,
    transaction,
)
from atelier.clock import parse_rfc3339, rfc3339
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
    Device,
    EmailTaken,
    Membership,
    Rotation,
    Session,
    User,
    UserStatus,
    Workspace,
)
from atelier.identity.permissions import Role

TRIES_MAX = 5
PROFILE = "profile"
CREDENTIALS = "credentials"
DAILY_CREDITS = "daily-credits"
TOKEN_COUNT = "tokens"  # nosec B105 - the name of an item


class IdentityItem(Item):
    """Base of this table's items; `kind` tells the class of an item that was read."""

    kind = DiscriminatorAttribute()


class CredentialsItem(IdentityItem, discriminator="credentials"):
    user_id = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    password_hash = UnicodeAttribute()
    signup_key = UnicodeAttribute(null=True)
    mailbox = UnicodeAttribute(null=True)


class MailboxItem(IdentityItem, discriminator="mailbox"):
    workspace_id = UnicodeAttribute()
    verified_at = UnicodeAttribute(null=True)


class UserItem(IdentityItem, discriminator="user"):
    email = UnicodeAttribute()
    email_verified = BooleanAttribute()
    email_verified_at = UnicodeAttribute(null=True)
    name = UnicodeAttribute()
    avatar_url = UnicodeAttribute(null=True)
    persona = UnicodeAttribute()
    platform_role = UnicodeAttribute()
    status = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    last_login_at = UnicodeAttribute()


class WorkspaceItem(IdentityItem, discriminator="workspace"):
    name = UnicodeAttribute()
    workspace_kind = UnicodeAttribute()
    owner_id = UnicodeAttribute()
    tier = UnicodeAttribute()
    created_at = UnicodeAttribute()


class MembershipItem(IdentityItem, discriminator="membership"):
    role = UnicodeAttribute()
    created_at = UnicodeAttribute()


class SessionItem(IdentityItem, discriminator="session"):
    workspace_id = UnicodeAttribute()
    digest = UnicodeAttribute()
    rotations = JSONAttribute()
    user_agent = UnicodeAttribute()
    address = UnicodeAttribute()
    created_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute()
    revoked_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute()


class TokenItem(IdentityItem, discriminator="token"):
    user_id = UnicodeAttribute()
    name = UnicodeAttribute()
    scopes = UnicodeAttribute()
    digest = UnicodeAttribute()
    created_at = UnicodeAttribute()
    ends_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute(null=True)
    revoked_at = UnicodeAttribute(null=True)
    expires_at_seconds = NumberAttribute(null=True)


class TokenCountItem(IdentityItem, discriminator="token-count"):
    living = NumberAttribute()


class DynamoIdentity:
    """Accounts, Sessions, ApiTokens and Standings on DynamoDB.

    `place`: workspace id → address of one more item, of any table, that each authorization reads in its batch. After
    the read, `prefetched` is that item, or None when it does not exist."""

    def __init__(self, prefetch_address: Callable[[str], ItemAddress] | None = None) -> None:
        self._place = prefetch_address
        self.prefetched: Item | None = None

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. `create` also writes to the ledger's table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def create(self, credentials: Credentials, user: User, workspace: Workspace, session: Session) -> None:
        # Imported here, because only one of the functions that use this store opens wallets.
        from atelier.adapters.aws.dynamodb.ledger import put_new_wallet
        from atelier.ledger.model import MailboxState, new_wallet

        at = rfc3339(user.created_at)
        mailbox = MailboxState.ELIGIBLE if credentials.mailbox is None else MailboxState.UNVERIFIED
        for tries in range(TRIES_MAX):
            try:
                with transaction() as write:
                    # The first put, so that its failure has position 0.
                    write.save(_credentials_item(credentials), condition=CredentialsItem.pk.does_not_exist())
                    if mailbox is MailboxState.UNVERIFIED:
                        # The second put, so that its failure has position 1.
                        claim = MailboxItem(_mailbox_key(credentials.mailbox), DAILY_CREDITS, workspace_id=workspace.id)
                        write.save(claim, condition=MailboxItem.pk.does_not_exist())
                    write.save(_user_item(user))
                    write.save(_workspace_item(workspace))
                    write.save(MembershipItem(user.id, _member_key(workspace.id), role=Role.OWNER.value, created_at=at))
                    write.save(_session_item(session))
                    put_new_wallet(write, new_wallet(workspace.id, workspace.tier, user.created_at, mailbox))
            except TransactWriteError as error:
                failed = failed_conditions(error)
                if 0 in failed:
                    raise EmailTaken from error
                if 1 in failed:
                    mailbox = MailboxState.SHARED
                else:
                    pause_with_jitter(tries)
                continue
            return
        raise Unavailable("The account could not be made just now. Try again.")

    def verify(self, user_id: str, mailbox: str, at: datetime) -> User:
        # Imported here, as in `create`.
        from atelier.adapters.aws.dynamodb.ledger import put_mailbox_state
        from atelier.ledger.model import MailboxState

        user_key, claim_key = (user_id, PROFILE), (_mailbox_key(mailbox), DAILY_CREDITS)
        other_account_deleted = False
        for tries in range(TRIES_MAX):
            items = _batch_get([user_key, claim_key], consistent=True)
            user, claim = items.get(user_key), items.get(claim_key)
            if not isinstance(user, UserItem):
                raise NotFound
            if user.email_verified_at:
                return _user(user)
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
                        write.save(verified, condition=unchanged)
                    write.update(
                        UserItem(*user_key),
                        [UserItem.email_verified.set(True), UserItem.email_verified_at.set(rfc3339(at))],
                        UserItem.pk.exists(),
                    )
                    put_mailbox_state(write, user.workspace_id, MailboxState.ELIGIBLE if wins else MailboxState.SHARED)
                    if wins and claimed and claimed.workspace_id != user.workspace_id and not other_account_deleted:
                        # The last update (position 3), because it alone fails when the other account was deleted.
                        put_mailbox_state(write, claimed.workspace_id, MailboxState.SHARED)
            except TransactWriteError as error:
                other_account_deleted = failed_conditions(error) == {3}
                pause_with_jitter(tries)
        raise _busy_error()

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        claim = MailboxItem(_mailbox_key(mailbox), DAILY_CREDITS, workspace_id=credentials.workspace_id)
        with suppress(PynamoDBException):
            try:
                claim.save(condition=MailboxItem.pk.does_not_exist())
            except PutError as error:
                if error.cause_response_code != "ConditionalCheckFailedException":
                    raise
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
        return _user(user), _workspace(workspace)

    def account(self, user_id: str) -> tuple[User, list[Membership]]:
        # One query for memberships and profile: sort keys from "member#" to "profile", without the sessions.
        found = list(IdentityItem.query(user_id, IdentityItem.sk.between("member#", PROFILE), consistent_read=True))
        users = [item for item in found if isinstance(item, UserItem)]
        roles = {item.sk.partition("#")[2]: Role(item.role) for item in found if isinstance(item, MembershipItem)}
        if not users:
            raise NotFound
        workspaces = _batch_get([(workspace_id, PROFILE) for workspace_id in roles], consistent=False)
        memberships = [
            Membership(_workspace(workspace), role)
            for workspace_id, role in sorted(roles.items())
            if isinstance(workspace := workspaces.get((workspace_id, PROFILE)), WorkspaceItem)
        ]
        return _user(users[0]), memberships

    def record_sign_in(self, user_id: str, at: datetime) -> None:
        _update(UserItem(user_id, PROFILE), [UserItem.last_login_at.set(rfc3339(at))], UserItem.pk.exists())

    def add(self, session: Session) -> None:
        _session_item(session).save(condition=SessionItem.pk.does_not_exist())

    def session(self, user_id: str, session_id: str) -> Session | None:
        try:
            return _session(SessionItem.get(user_id, _session_key(session_id), consistent_read=True))
        except DoesNotExist:
            return None

    def rotate(self, before: Session, after: Session) -> bool:
        return _update(
            SessionItem(before.user_id, _session_key(before.id)),
            [
                SessionItem.digest.set(after.digest),
                SessionItem.rotations.set(_rotations(after)),
                SessionItem.last_used_at.set(rfc3339(after.last_used_at)),
                SessionItem.expires_at_seconds.set(int(after.expires_at.timestamp())),
            ],
            (SessionItem.digest == before.digest) & SessionItem.revoked_at.does_not_exist(),
        )

    def revoke(self, user_id: str, session_id: str, at: datetime) -> None:
        _update(
            SessionItem(user_id, _session_key(session_id)),
            [SessionItem.revoked_at.set(rfc3339(at))],
            SessionItem.pk.exists() & SessionItem.revoked_at.does_not_exist(),
        )

    def role(self, user_id: str, workspace_id: str) -> Role | None:
        try:
            return Role(MembershipItem.get(user_id, _member_key(workspace_id)).role)
        except DoesNotExist:
            return None

    def _read_with_prefetch(self, workspace_id: str, keys: list[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        if self._place is None:
            return _batch_get(keys, consistent=True)
        place = self._place(workspace_id)
        found = batch_read([place, *((IdentityItem, *key) for key in keys)])
        self.prefetched = found.pop(place, None)
        return {(pk, sk): item for (_, pk, sk), item in found.items()}

    def session_and_role(self, user_id: str, session_id: str, workspace_id: str) -> tuple[Session | None, Role | None]:
        session_key, member_key = (user_id, _session_key(session_id)), (user_id, _member_key(workspace_id))
        items = self._read_with_prefetch(workspace_id, [session_key, member_key])
        session, membership = items.get(session_key), items.get(member_key)
        return (
            _session(session) if isinstance(session, SessionItem) else None,
            Role(membership.role) if isinstance(membership, MembershipItem) else None,
        )

    def token_and_role(self, user_id: str, workspace_id: str, token_id: str) -> tuple[ApiToken | None, Role | None]:
        token_key, member_key = (workspace_id, _token_key(token_id)), (user_id, _member_key(workspace_id))
        items = self._read_with_prefetch(workspace_id, [token_key, member_key, (user_id, PROFILE)])
        token, membership, user = (items.get(key) for key in (token_key, member_key, (user_id, PROFILE)))
        is_active = isinstance(user, UserItem) and user.status == UserStatus.ACTIVE
        return (
            _token(token) if isinstance(token, TokenItem) else None,
            Role(membership.role) if is_active and isinstance(membership, MembershipItem) else None,
        )

    def add_token(self, token: ApiToken) -> None:
        for tries in range(TRIES_MAX):
            try:
                with transaction() as write:
                    write.save(_token_item(token), condition=TokenItem.pk.does_not_exist())
                    write.update(
                        TokenCountItem(token.workspace_id, TOKEN_COUNT),
                        [TokenCountItem.living.add(1)],
                        TokenCountItem.living.does_not_exist() | (TokenCountItem.living < TOKENS_PER_WORKSPACE_MAX),
                    )
            except TransactWriteError as error:
                failed = failed_conditions(error)
                if 0 in failed:
                    raise TokenExists from error
                if failed:
                    raise TooManyTokens from error
                pause_with_jitter(tries)
                continue
            return
        raise _busy_error()

    def token(self, workspace_id: str, token_id: str) -> ApiToken | None:
        try:
            return _token(TokenItem.get(workspace_id, _token_key(token_id), consistent_read=True))
        except DoesNotExist:
            return None

    def tokens(self, workspace_id: str, after: str | None, limit: int) -> TokenPage:
        bounds = _token_key(""), _token_key("~")
        not_revoked = TokenItem.revoked_at.does_not_exist()
        items, next_key = newest_page(TokenItem, workspace_id, bounds, matching=not_revoked, after=after, limit=limit)
        return TokenPage(tuple(map(_token, items)), next_key)

    def note_use(self, token: ApiToken, at: datetime) -> None:
        item = TokenItem(token.workspace_id, _token_key(token.id))
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
        for tries in range(TRIES_MAX):
            try:
                with transaction() as write:
                    write.update(TokenItem(workspace_id, _token_key(token_id)), revocation, not_revoked)
                    write.update(TokenCountItem(workspace_id, TOKEN_COUNT), [TokenCountItem.living.add(-1)])
            except TransactWriteError as error:
                if failed_conditions(error):
                    return False
                pause_with_jitter(tries)
                continue
            return True
        raise _busy_error()


def _busy_error() -> Unavailable:
    return Unavailable("The workspace's tokens are busy just now. Try again.")


def _batch_get(keys: list[tuple[str, str]], *, consistent: bool) -> dict[tuple[str, str], Item]:
    found: Iterable[IdentityItem] = IdentityItem.batch_get(keys, consistent_read=consistent)
    return {(item.pk, item.sk): item for item in found}


def _update(item: IdentityItem, actions: list[Any], condition: Any) -> bool:
    """Whether the condition held."""
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if error.cause_response_code != "ConditionalCheckFailedException":
            raise
        return False
    return True


def _mailbox_key(digest: str | None) -> str:
    return f"mailbox#{digest}"


def _member_key(workspace_id: str) -> str:
    return f"member#{workspace_id}"


def _session_key(session_id: str) -> str:
    return f"session#{session_id}"


def _token_key(token_id: str) -> str:
    return f"token#{token_id}"


def _token_item(token: ApiToken) -> TokenItem:
    return TokenItem(
        token.workspace_id,
        _token_key(token.id),
        user_id=token.user_id,
        name=token.name,
        scopes=" ".join(token.scopes),
        digest=token.digest,
        created_at=rfc3339(token.created_at),
        ends_at=rfc3339(token.expires_at),
    )


def _token(item: TokenItem) -> ApiToken:
    return ApiToken(
        id=item.sk.partition("#")[2],
        workspace_id=item.pk,
        user_id=item.user_id,
        name=item.name,
        scopes=tuple(item.scopes.split(" ")),
        digest=item.digest,
        created_at=parse_rfc3339(item.created_at),
        expires_at=parse_rfc3339(item.ends_at),
        last_used_at=parse_rfc3339(item.last_used_at) if item.last_used_at else None,
        revoked_at=parse_rfc3339(item.revoked_at) if item.revoked_at else None,
    )


def _credentials_item(credentials: Credentials) -> CredentialsItem:
    return CredentialsItem(
        f"email#{credentials.email}",
        CREDENTIALS,
        user_id=credentials.user_id,
        workspace_id=credentials.workspace_id,
        password_hash=credentials.password_hash,
        signup_key=credentials.signup_key,
        mailbox=credentials.mailbox,
    )


def _user_item(user: User) -> UserItem:
    return UserItem(
        user.id,
        PROFILE,
        email=user.email,
        email_verified=user.email_verified,
        name=user.name,
        avatar_url=user.avatar_url,
        persona=user.persona,
        platform_role=user.platform_role,
        status=user.status.value,
        workspace_id=user.workspace_id,
        created_at=rfc3339(user.created_at),
        last_login_at=rfc3339(user.created_at),
        email_verified_at=rfc3339(user.email_verified_at) if user.email_verified_at else None,
    )


def _user(item: UserItem) -> User:
    return User(
        id=item.pk,
        email=item.email,
        email_verified=item.email_verified,
        name=item.name,
        avatar_url=item.avatar_url,
        persona=item.persona,
        platform_role=item.platform_role,
        status=UserStatus(item.status),
        workspace_id=item.workspace_id,
        created_at=parse_rfc3339(item.created_at),
        email_verified_at=parse_rfc3339(item.email_verified_at) if item.email_verified_at else None,
    )


def _workspace_item(workspace: Workspace) -> WorkspaceItem:
    return WorkspaceItem(
        workspace.id,
        PROFILE,
        name=workspace.name,
        workspace_kind=workspace.kind,
        owner_id=workspace.owner_id,
        tier=workspace.tier,
        created_at=rfc3339(workspace.created_at),
    )


def _workspace(item: WorkspaceItem) -> Workspace:
    return Workspace(item.pk, item.name, item.workspace_kind, item.owner_id, item.tier, parse_rfc3339(item.created_at))


def _session_item(session: Session) -> SessionItem:
    return SessionItem(
        session.user_id,
        _session_key(session.id),
        workspace_id=session.workspace_id,
        digest=session.digest,
        rotations=_rotations(session),
        user_agent=session.device.user_agent,
        address=session.device.address,
        created_at=rfc3339(session.created_at),
        last_used_at=rfc3339(session.last_used_at),
        revoked_at=rfc3339(session.revoked_at) if session.revoked_at else None,
        expires_at_seconds=int(session.expires_at.timestamp()),
    )


def _session(item: SessionItem) -> Session:
    rotations: list[dict[str, str]] = item.rotations
    return Session(
        id=item.sk.partition("#")[2],
        user_id=item.pk,
        workspace_id=item.workspace_id,
        digest=item.digest,
        rotations=tuple(
            Rotation(rotation["digest"], rotation["nonce"], parse_rfc3339(rotation["at"])) for rotation in rotations
        ),
        device=Device(item.user_agent, item.address),
        created_at=parse_rfc3339(item.created_at),
        last_used_at=parse_rfc3339(item.last_used_at),
        revoked_at=parse_rfc3339(item.revoked_at) if item.revoked_at else None,
    )


def _rotations(session: Session) -> list[dict[str, str]]:
    return [
        {"digest": rotation.digest, "nonce": rotation.nonce, "at": rfc3339(rotation.at)}
        for rotation in session.rotations
    ]
