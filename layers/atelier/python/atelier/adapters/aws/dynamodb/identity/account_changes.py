"""Changes of passwords and addresses on DynamoDB: everything that belongs to a change is one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from pynamodb.attributes import NumberAttribute
from pynamodb.expressions.condition import Condition

from atelier.adapters.aws.dynamodb import (
    ConditionsFailed,
    Transaction,
    TransactionConflict,
    pause_with_jitter,
    transaction,
    write_transaction,
)
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.email_claims import ReservedEmailItem, email_pk, is_available
from atelier.adapters.aws.dynamodb.identity.items import (
    CREDENTIALS,
    PROFILE,
    CredentialsItem,
    IdentityItem,
    MailboxItem,
    SessionItem,
    UserItem,
    directory_of,
    read_items,
    session_sk,
)
from atelier.adapters.aws.dynamodb.identity.mailbox_claims import OTHER_WALLET, claim_key_of, is_free, save_claim
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.adapters.aws.dynamodb.identity.pending_links import end_links, save_link_mail, use_link
from atelier.clock import rfc3339
from atelier.errors import Conflict, Unavailable
from atelier.identity.account_changes import EmailMove, PasswordChange
from atelier.identity.model import Credentials, EmailTaken, Session, User
from atelier.identity.pending_link import LinkRefused, Purpose

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5
DECOY_RETENTION = timedelta(hours=1)


class DecoyItem(IdentityItem, discriminator="decoy"):
    """Written in place of a link or of a mail, for an address without an account. Nothing reads it."""

    expires_at_seconds = NumberAttribute()


# Whoever knew the old password, or had a session, may have begun these.
ENDED_WITH_PASSWORD = (Purpose.RESET_PASSWORD, Purpose.CHANGE_EMAIL, Purpose.LINK_LOGIN)


class DynamoAccountChanges:
    """AccountChanges on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Transactions also write to the ledger's and the audit table, which their own
        adapters bind."""
        IdentityItem.bind(table_name)

    def change_password(self, change: PasswordChange) -> None:
        user = change.user
        counts_a_way = (
            [UserItem.ways_in.set((UserItem.ways_in | 1) + 1)] if change.credentials.password_hash is None else []
        )

        def write_all(write: Transaction) -> None:
            write.update(
                CredentialsItem(email_pk(change.credentials.email), CREDENTIALS),
                [CredentialsItem.password_hash.set(change.password_hash)],
                _unchanged(change.credentials),
                part="credentials",
            )
            write.update(
                UserItem(user.id, PROFILE),
                [UserItem.email.set(user.email), *counts_a_way],
                UserItem.email == user.email,
                part="user",
            )
            if change.link is not None:
                use_link(write, change.link, change.at, part="link")
            used = change.link.link.purpose if change.link else None
            end_links(write, user.id, *(purpose for purpose in ENDED_WITH_PASSWORD if purpose != used))
            end_sessions(write, change.ended, change.at)
            for mail in change.mails:
                save_mail(write, mail)
            save_events(write, change.events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise _refusal(error) from error

    def move_email(self, move: EmailMove) -> None:
        other_account_deleted = False
        for tries in range(TRIES_MAX):
            claim_key = claim_key_of(move.mailbox or "")
            found = read_items([claim_key], consistent=True).get(claim_key) if move.mailbox else None
            claimed = found if isinstance(found, MailboxItem) else None
            try:
                with transaction() as write:
                    _move(write, move)
                    if move.mailbox:
                        _claim_mailbox(write, move.user, move.mailbox, claimed, move.at, other_account_deleted)
            except ConditionsFailed as error:
                # The claim was taken meanwhile, or the account that had it was deleted.
                if not error.parts <= {"mailbox", OTHER_WALLET}:
                    raise _refusal(error) from error
                other_account_deleted = OTHER_WALLET in error.parts
            except TransactionConflict:
                other_account_deleted = False
            else:
                return
            pause_with_jitter(tries)
        raise Unavailable(BUSY)

    def write_decoy(self, email_digest: str, at: datetime) -> None:
        expires_at_seconds = int((at + DECOY_RETENTION).timestamp())

        def write_both(write: Transaction) -> None:
            for place in ("decoy#link", "decoy#mail"):
                write.save(DecoyItem(f"address#{email_digest}", place, expires_at_seconds=expires_at_seconds))

        write_transaction(write_both, busy=BUSY, tries_max=TRIES_MAX)


def _move(write: Transaction, move: EmailMove) -> None:
    user, before, email = move.user, move.credentials, move.link.email
    write.save(
        CredentialsItem(
            email_pk(email),
            CREDENTIALS,
            user_id=user.id,
            workspace_id=before.workspace_id,
            password_hash=before.password_hash,
            signup_key=before.signup_key,
            mailbox=move.mailbox or before.mailbox,
        ),
        is_available(move.at, user.id),
        part="address",
    )
    if move.reserved_until is None:
        write.delete(CredentialsItem(email_pk(before.email), CREDENTIALS), _unchanged(before), part="credentials")
    else:
        seconds = int(move.reserved_until.timestamp())
        reserved = ReservedEmailItem(
            email_pk(before.email), CREDENTIALS, reserved_for=user.id, expires_at_seconds=seconds
        )
        write.save(reserved, _unchanged(before), part="credentials")
    write.update(
        UserItem(user.id, PROFILE),
        [
            UserItem.email.set(email),
            UserItem.directory.set(directory_of(email)),
            UserItem.email_verified.set(True),
            UserItem.email_verified_at.set(rfc3339(move.at)),
        ],
        UserItem.email == user.email,
        part="user",
    )
    use_link(write, move.link, move.at, part="link")
    if move.follow_up is not None:
        save_link_mail(write, move.follow_up)
    end_sessions(write, move.ended, move.at)
    for mail in move.mails:
        save_mail(write, mail)
    save_events(write, move.events)


def _claim_mailbox(
    write: Transaction,
    user: User,
    mailbox: str,
    claimed: MailboxItem | None,
    at: datetime,
    other_account_deleted: bool,
) -> None:
    """Claim the daily credits of the new mailbox where they are free. Where they are not, a verified account keeps
    those that it has."""
    from atelier.adapters.aws.dynamodb.ledger.transactions import put_mailbox_state
    from atelier.ledger.model import MailboxState

    if is_free(claimed):
        save_claim(write, user.workspace_id, mailbox, claimed, at, other_account_deleted)
        put_mailbox_state(write, user.workspace_id, MailboxState.ELIGIBLE, part="wallet")
    elif not user.email_verified:
        put_mailbox_state(write, user.workspace_id, MailboxState.SHARED, part="wallet")


def end_sessions(write: Transaction, sessions: Iterable[Session], at: datetime) -> None:
    """Add the end of sessions to a transaction."""
    for session in sessions:
        write.update(
            SessionItem(session.user_id, session_sk(session.id)),
            [SessionItem.revoked_at.set(rfc3339(at))],
            SessionItem.pk.exists(),
            part="session",
        )


def _unchanged(credentials: Credentials) -> Condition:
    mine = CredentialsItem.user_id == credentials.user_id
    if credentials.password_hash is None:
        return mine & CredentialsItem.password_hash.does_not_exist()
    return mine & (CredentialsItem.password_hash == credentials.password_hash)


def _refusal(error: ConditionsFailed) -> Exception:
    if "link" in error.parts:
        return LinkRefused("token")
    if "address" in error.parts:
        return EmailTaken()
    return Conflict("The account was changed meanwhile. Try again.")
