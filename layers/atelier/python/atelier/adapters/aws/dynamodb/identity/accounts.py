"""Accounts on DynamoDB: users with their credentials, workspaces and memberships."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from pynamodb.exceptions import DoesNotExist, PynamoDBException

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    TransactionConflict,
    batch_read,
    conditional,
    pause_with_jitter,
    transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.email_claims import email_pk, is_available
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    DAILY_CREDITS,
    PROFILE,
    CredentialsItem,
    IdentityItem,
    MailboxItem,
    MembershipItem,
    UserItem,
    WorkspaceItem,
    credentials_item,
    decode_user,
    decode_workspace,
    mailbox_pk,
    member_sk,
    read_items,
    update_if,
    user_item,
    workspace_item,
)
from atelier.adapters.aws.dynamodb.identity.mailbox_claims import OTHER_WALLET, claim_key_of, is_free, save_claim
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.adapters.aws.dynamodb.identity.pending_links import save_link_mail, use_link
from atelier.adapters.aws.dynamodb.identity.sign_ins import save_opening
from atelier.audit_log.model import AuditEvent
from atelier.clock import rfc3339
from atelier.errors import NotFound, Unavailable
from atelier.identity.model import Credentials, EmailTaken, Membership, User, UserAccount, Workspace
from atelier.identity.opening import Opening
from atelier.identity.pending_link import LinkMail, LinkRefused, PendingLink
from atelier.identity.permissions import Role
from atelier.mails.mail import MailKind, MailRequest, mail_request

TRIES_MAX = 5


class DynamoAccounts:
    """Accounts on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. `create` also writes to the ledger's table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def create(
        self,
        credentials: Credentials,
        user: User,
        workspace: Workspace,
        opening: Opening,
        *,
        verification: LinkMail | None = None,
    ) -> None:
        # Imported here, because only one of the functions that use this store opens wallets.
        from atelier.adapters.aws.dynamodb.ledger.transactions import put_new_wallet
        from atelier.ledger.model import MailboxState, new_wallet

        at = rfc3339(user.created_at)
        mailbox = MailboxState.ELIGIBLE if credentials.mailbox is None else MailboxState.UNVERIFIED
        for tries in range(TRIES_MAX):
            try:
                with transaction() as write:
                    write.save(credentials_item(credentials), is_available(user.created_at), part="credentials")
                    if mailbox is MailboxState.UNVERIFIED:
                        claim = MailboxItem(mailbox_pk(credentials.mailbox), DAILY_CREDITS, workspace_id=workspace.id)
                        write.save(claim, MailboxItem.pk.does_not_exist(), part="mailbox")
                    write.save(user_item(user))
                    write.save(workspace_item(workspace))
                    write.save(MembershipItem(user.id, member_sk(workspace.id), role=Role.OWNER.value, created_at=at))
                    save_opening(write, opening)
                    if verification is not None:
                        save_link_mail(write, verification)
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

    def verify(
        self,
        user_id: str,
        mailbox: str,
        at: datetime,
        *,
        link: PendingLink | None = None,
        events: Sequence[AuditEvent] = (),
    ) -> User:
        # Imported here, as in `create`.
        from atelier.adapters.aws.dynamodb.ledger.transactions import put_mailbox_state
        from atelier.ledger.model import MailboxState

        user_key, claim_key = (user_id, PROFILE), claim_key_of(mailbox)
        other_account_deleted = False
        for tries in range(TRIES_MAX):
            items = read_items([user_key, claim_key], consistent=True)
            user, claim = items.get(user_key), items.get(claim_key)
            if not isinstance(user, UserItem):
                raise NotFound
            if link is not None and user.email != link.email:
                raise LinkRefused("token")
            if user.email_verified_at:
                return decode_user(user)
            claimed = claim if isinstance(claim, MailboxItem) else None
            wins = is_free(claimed)
            try:
                with transaction() as write:
                    if wins:
                        save_claim(write, user.workspace_id, mailbox, claimed, at, other_account_deleted)
                    write.update(
                        UserItem(*user_key),
                        [UserItem.email_verified.set(True), UserItem.email_verified_at.set(rfc3339(at))],
                        UserItem.email == user.email,
                        part="user",
                    )
                    if link is not None:
                        use_link(write, link, at, part="link")
                    save_mail(write, welcome_mail(user, at))
                    save_events(write, events)
                    state = MailboxState.ELIGIBLE if wins else MailboxState.SHARED
                    put_mailbox_state(write, user.workspace_id, state, part="wallet")
            except ConditionsFailed as error:
                if link is not None and "link" in error.parts:
                    raise LinkRefused("token") from error
                # The other account's wallet alone fails when that account was deleted.
                other_account_deleted = error.parts == frozenset([OTHER_WALLET])
                pause_with_jitter(tries)
            except TransactionConflict:
                other_account_deleted = False
                pause_with_jitter(tries)
        raise Unavailable("The account is busy just now. Try again.")

    def claim_mailbox(self, credentials: Credentials, mailbox: str) -> None:
        claim = MailboxItem(mailbox_pk(mailbox), DAILY_CREDITS, workspace_id=credentials.workspace_id)
        with suppress(PynamoDBException):
            conditional(lambda: claim.save(condition=MailboxItem.pk.does_not_exist()))
            # Written last, so that the next log-in repairs a crash between the two writes.
            update_if(
                CredentialsItem(f"email#{credentials.email}", CREDENTIALS),
                [CredentialsItem.mailbox.set(mailbox)],
                CredentialsItem.user_id == credentials.user_id,
            )

    def credentials(self, email: str) -> Credentials | None:
        try:
            item = IdentityItem.get(email_pk(email), CREDENTIALS, consistent_read=True)
        except DoesNotExist:
            return None
        # An address that its user has left is reserved for some time; nobody signs in with it.
        if not isinstance(item, CredentialsItem):
            return None
        return Credentials(email, item.user_id, item.workspace_id, item.password_hash, item.signup_key, item.mailbox)

    def replace_password_hash(self, credentials: Credentials, password_hash: str) -> None:
        update_if(
            CredentialsItem(f"email#{credentials.email}", CREDENTIALS),
            [CredentialsItem.password_hash.set(password_hash)],
            CredentialsItem.password_hash == credentials.password_hash,
        )

    def user(self, user_id: str) -> User | None:
        try:
            return decode_user(UserItem.get(user_id, PROFILE, consistent_read=True))
        except DoesNotExist:
            return None

    def owner_of(self, workspace_id: str) -> User | None:
        try:
            item = IdentityItem.get(workspace_id, PROFILE)
        except DoesNotExist:
            return None
        return self.user(item.owner_id) if isinstance(item, WorkspaceItem) else None

    def user_with_workspace(self, user_id: str, workspace_id: str) -> tuple[User, Workspace]:
        items = read_items([(user_id, PROFILE), (workspace_id, PROFILE)], consistent=True)
        user, workspace = items.get((user_id, PROFILE)), items.get((workspace_id, PROFILE))
        if not isinstance(user, UserItem) or not isinstance(workspace, WorkspaceItem):
            raise NotFound
        return decode_user(user), decode_workspace(workspace)

    def account(self, user_id: str, now: datetime) -> UserAccount:
        # Imported here, as in `create`.
        from atelier.adapters.aws.dynamodb.ledger.items import wallet_address, wallet_from_item

        # One query for memberships and profile: sort keys from "member#" to "profile", without the sessions.
        found = list(IdentityItem.query(user_id, IdentityItem.sk.between("member#", PROFILE), consistent_read=True))
        users = [item for item in found if isinstance(item, UserItem)]
        roles = {item.sk.partition("#")[2]: Role(item.role) for item in found if isinstance(item, MembershipItem)}
        if not users:
            raise NotFound
        user = decode_user(users[0])
        # The wallet of the personal workspace is read in the same batch: it alone says the tier as of now.
        wallet_place = wallet_address(user.workspace_id)
        places = {workspace_id: (WorkspaceItem, workspace_id, PROFILE) for workspace_id in sorted(roles)}
        items = batch_read([wallet_place, *places.values()])
        wallet = wallet_from_item(items.get(wallet_place))
        if wallet is None:
            raise NotFound
        memberships = tuple(
            Membership(decode_workspace(workspace), roles[workspace_id])
            for workspace_id, place in places.items()
            if isinstance(workspace := items.get(place), WorkspaceItem) and not workspace.deleted_at
        )
        return UserAccount(user, memberships, wallet.tier_name_at(now))


def welcome_mail(user: UserItem, at: datetime) -> MailRequest:
    return mail_request(MailKind.WELCOME, user.pk, user.email, user.locale, at, id="welcome", name=user.name)
