"""External logins on DynamoDB.

pk login#<digest of issuer and subject>   sk claim            whose login it is; there is one claim for each login
pk usr_…                                  sk login#google     the account's login of a provider, with its digest
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    TransactionFailed,
    pause_with_jitter,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.accounts import welcome_mail
from atelier.adapters.aws.dynamodb.identity.email_claims import email_pk, is_available
from atelier.adapters.aws.dynamodb.identity.factor_items import FACTORS
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    DAILY_CREDITS,
    PROFILE,
    CredentialsItem,
    IdentityItem,
    MailboxItem,
    MembershipItem,
    UserItem,
    credentials_item,
    mailbox_pk,
    member_sk,
    update_if,
    user_item,
    workspace_item,
)
from atelier.adapters.aws.dynamodb.identity.mailbox_claims import OTHER_WALLET, is_free, save_claim
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.adapters.aws.dynamodb.identity.pending_links import use_link
from atelier.adapters.aws.dynamodb.identity.sign_ins import TICKET_PREFIX
from atelier.audit_log.model import AuditEvent
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound, Unavailable
from atelier.identity.model import Credentials, EmailTaken, User, Workspace
from atelier.identity.oauth.model import (
    ExternalLogin,
    LinkedLogin,
    LoginTaken,
    ProviderLinked,
)
from atelier.identity.pending_link import LinkRefused, PendingLink
from atelier.identity.permissions import Role
from atelier.identity.second_factor import LastWayIn
from atelier.retrying import retrying

TRIES_MAX = 5
CLAIM = "claim"
LOGIN_PREFIX = "login#"
BUSY = "The account is busy just now. Try again."


class LoginClaimItem(IdentityItem, discriminator="login-claim"):
    provider = UnicodeAttribute()
    user_id = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    label = UnicodeAttribute()
    linked_at = UnicodeAttribute()


class LoginItem(IdentityItem, discriminator="login"):
    digest = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    label = UnicodeAttribute()
    linked_at = UnicodeAttribute()
    last_used_at = UnicodeAttribute(null=True)


class DynamoExternalLogins:
    """ExternalLogins on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. `create_account` also writes to the ledger's table, which its own adapter
        binds."""
        IdentityItem.bind(table_name)

    def find(self, login: ExternalLogin) -> LinkedLogin | None:
        try:
            item = LoginClaimItem.get(claim_pk(login.digest), CLAIM, consistent_read=True)
        except DoesNotExist:
            return None
        return LinkedLogin(
            item.provider,
            login.digest,
            item.label,
            item.user_id,
            item.workspace_id,
            parse_rfc3339(item.linked_at),
        )

    def list(self, user_id: str) -> Sequence[LinkedLogin]:
        found = LoginItem.query(user_id, LoginItem.sk.startswith(LOGIN_PREFIX), consistent_read=True)
        return [_linked(item) for item in found]

    def create_account(
        self,
        credentials: Credentials,
        user: User,
        workspace: Workspace,
        login: ExternalLogin,
        now: datetime,
        events: Sequence[AuditEvent] = (),
    ) -> None:
        # Imported here, because only one of the functions that use this store opens wallets.
        from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
        from atelier.ledger.model import MailboxState, new_wallet

        owner = MembershipItem(user.id, member_sk(workspace.id), role=Role.OWNER.value, created_at=rfc3339(now))
        other_account_deleted = False
        for tries in range(TRIES_MAX):
            claimed = _mailbox_claim(credentials.mailbox)
            wins = is_free(claimed)
            state = MailboxState.ELIGIBLE if wins else MailboxState.SHARED
            try:
                with transaction() as write:
                    write.save(credentials_item(credentials), is_available(now), part="credentials")
                    save_login(write, user, login, now)
                    person = user_item(user)
                    person.ways_in = 1
                    for item in (person, workspace_item(workspace), owner):
                        write.save(item)
                    save_mail(write, welcome_mail(person, now))
                    if wins:
                        mailbox = str(credentials.mailbox)
                        save_claim(write, workspace.id, mailbox, claimed, now, other_account_deleted)
                    put_new_wallet(write, new_wallet(workspace.id, workspace.tier, now, state))
                    save_events(write, events)
            except ConditionsFailed as error:
                if "credentials" in error.parts:
                    raise EmailTaken from error
                if "claim" in error.parts:
                    raise LoginTaken(login.provider) from error
                # The other account's wallet alone fails when that account was deleted.
                other_account_deleted = error.parts == frozenset([OTHER_WALLET])
                pause_with_jitter(tries)
            except TransactionConflict:
                other_account_deleted = False
                pause_with_jitter(tries)
            else:
                return
        raise Unavailable(BUSY)

    def link(
        self,
        user: User,
        login: ExternalLogin,
        now: datetime,
        events: Sequence[AuditEvent] = (),
        *,
        pending: PendingLink | None = None,
    ) -> LinkedLogin:
        def write(parts: Transaction) -> None:
            save_login(parts, user, login, now)
            parts.update(UserItem(user.id, PROFILE), [count_way_in(1)], UserItem.pk.exists(), part="user")
            if pending is not None:
                use_link(parts, pending, now, part="pending link")
            save_events(parts, events)

        try:
            write_transaction(write, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            return self._linked_before(user, login, error)
        return _linked(login_item(user, login, now))

    def _linked_before(self, user: User, login: ExternalLogin, error: ConditionsFailed) -> LinkedLogin:
        found = self.find(login)
        if found is not None and found.user_id == user.id:
            return found
        if found is not None:
            raise LoginTaken(login.provider) from error
        if "login" in error.parts:
            raise ProviderLinked(login.provider) from error
        if "pending link" in error.parts:
            raise LinkRefused("token") from error
        raise NotFound from error

    def unlink(self, user_id: str, provider: str, events: Sequence[AuditEvent] = ()) -> None:
        def write() -> None:
            try:
                item = LoginItem.get(user_id, login_sk(provider), consistent_read=True)
            except DoesNotExist as error:
                raise NotFound("No account of this provider is linked.") from error
            with transaction() as parts:
                parts.delete(item, LoginItem.digest == item.digest, part="login")
                parts.delete(LoginClaimItem(claim_pk(item.digest), CLAIM))
                # The account's last way in stays: two removals at once meet in this number.
                parts.update(UserItem(user_id, PROFILE), [count_way_in(-1)], UserItem.ways_in > 1, part="ways in")
                save_events(parts, events)

        def attempt() -> None:
            try:
                write()
            except ConditionsFailed as error:
                if "ways in" in error.parts:
                    raise LastWayIn from error
                raise

        retrying(attempt, on=TransactionFailed, busy=BUSY, tries_max=TRIES_MAX, pause=pause_with_jitter)

    def remove_ways_in(self, user: User, pending: PendingLink, now: datetime) -> None:
        def remove_password(write: Transaction) -> None:
            use_link(write, pending, now, part="pending link")
            write.update(
                CredentialsItem(email_pk(user.email), CREDENTIALS),
                [CredentialsItem.password_hash.remove()],
                CredentialsItem.user_id == user.id,
                part="credentials",
            )
            is_unverified = UserItem.email_verified == False  # noqa: E712 - builds a condition
            write.check(UserItem, user.id, PROFILE, is_unverified, part="user")

        # First, so that nothing new is opened while the rest goes.
        try:
            write_transaction(remove_password, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise LinkRefused("token") from error
        for prefix in (FACTORS, LOGIN_PREFIX, TICKET_PREFIX):
            for item in IdentityItem.query(user.id, IdentityItem.sk.startswith(prefix), consistent_read=True):
                if isinstance(item, LoginItem):
                    LoginClaimItem(claim_pk(item.digest), CLAIM).delete()
                item.delete()
        update_if(
            UserItem(user.id, PROFILE),
            [UserItem.totp.remove(), UserItem.passkeys.remove(), UserItem.ways_in.set(0)],
            UserItem.pk.exists(),
        )

    def record_use(self, link: LinkedLogin, at: datetime) -> None:
        item = LoginItem(link.user_id, login_sk(link.provider))
        update_if(item, [LoginItem.last_used_at.set(rfc3339(at))], LoginItem.digest == link.digest)


def claim_pk(digest: str) -> str:
    return f"{LOGIN_PREFIX}{digest}"


def login_sk(provider: str) -> str:
    return f"{LOGIN_PREFIX}{provider}"


def count_way_in(change: int) -> Action:
    """The action that counts a way to sign in; an account from before has one."""
    return UserItem.ways_in.set((UserItem.ways_in | 1) + change)


def login_item(user: User, login: ExternalLogin, at: datetime) -> LoginItem:
    return LoginItem(
        user.id,
        login_sk(login.provider),
        digest=login.digest,
        workspace_id=user.workspace_id,
        label=login.label,
        linked_at=rfc3339(at),
    )


def save_login(write: Transaction, user: User, login: ExternalLogin, at: datetime) -> None:
    """Write the link of a login; fails in the parts `claim` and `login` where one of them exists."""
    claim = LoginClaimItem(
        claim_pk(login.digest),
        CLAIM,
        provider=login.provider,
        user_id=user.id,
        workspace_id=user.workspace_id,
        label=login.label,
        linked_at=rfc3339(at),
    )
    write.save(claim, LoginClaimItem.pk.does_not_exist(), part="claim")
    write.save(login_item(user, login, at), LoginItem.pk.does_not_exist(), part="login")


def _linked(item: LoginItem) -> LinkedLogin:
    return LinkedLogin(
        item.sk.partition("#")[2],
        item.digest,
        item.label,
        item.pk,
        item.workspace_id,
        parse_rfc3339(item.linked_at),
        parse_rfc3339(item.last_used_at) if item.last_used_at else None,
    )


def _mailbox_claim(mailbox: str | None) -> MailboxItem | None:
    try:
        return MailboxItem.get(mailbox_pk(mailbox), DAILY_CREDITS, consistent_read=True)
    except DoesNotExist:
        return None
