"""SignIns on DynamoDB: sessions that open, tickets of sign-ins that have begun, and known devices.

pk usr_…  sk ticket#tkt_…     a ticket; deleted when it is spent, by TTL otherwise
pk usr_…  sk device#<digest>  a known device; deleted by TTL some time after its last sign-in
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist
from pynamodb.expressions.update import Action

from atelier.adapters.aws.dynamodb import ConditionsFailed, Transaction, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.identity.factor_items import TICKET_PART, refusal_of, save_use
from atelier.adapters.aws.dynamodb.identity.items import (
    PROFILE,
    IdentityItem,
    SessionItem,
    UserItem,
    WorkspaceItem,
    decode_user,
    decode_workspace,
    directory_of,
    read_items,
    session_item,
)
from atelier.adapters.aws.dynamodb.identity.mails import save_mail
from atelier.clock import rfc3339
from atelier.identity.model import Session, SignInTicket, TicketPurpose, UserStatus
from atelier.identity.opening import Opening, SignInAccount
from atelier.identity.second_factor import FactorUse

BUSY = "The account is busy just now. Try again."
TRIES_MAX = 5
TICKET_PREFIX = "ticket#"
DEVICE_KNOWN_FOR = timedelta(days=180)


class TicketItem(IdentityItem, discriminator="sign-in-ticket"):
    digest = UnicodeAttribute()
    purpose = UnicodeAttribute()
    workspace_id = UnicodeAttribute()
    way = UnicodeAttribute()
    second_factor_done = BooleanAttribute()
    expires_at_seconds = NumberAttribute()


class DeviceItem(IdentityItem, discriminator="device"):
    last_used_at = UnicodeAttribute()
    expires_at_seconds = NumberAttribute()


class DynamoSignIns:
    """SignIns on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Set the table of these items. Its transactions also write to the audit table, which its own adapter binds."""
        IdentityItem.bind(table_name)

    def sign_in_account(self, user_id: str, workspace_id: str, device: str) -> SignInAccount | None:
        user_key, workspace_key, device_key = (user_id, PROFILE), (workspace_id, PROFILE), (user_id, device_sk(device))
        items = read_items([user_key, workspace_key, device_key], consistent=True)
        user, workspace = items.get(user_key), items.get(workspace_key)
        if not isinstance(user, UserItem) or not isinstance(workspace, WorkspaceItem):
            return None
        return SignInAccount(decode_user(user), decode_workspace(workspace), device_key in items)

    def ticket(self, user_id: str, ticket_id: str) -> SignInTicket | None:
        try:
            item = TicketItem.get(user_id, ticket_sk(ticket_id), consistent_read=True)
        except DoesNotExist:
            return None
        return SignInTicket(
            user_id,
            ticket_id,
            item.digest,
            TicketPurpose(item.purpose),
            item.workspace_id,
            item.way,
            item.second_factor_done,
            datetime.fromtimestamp(int(item.expires_at_seconds), UTC),
        )

    def issue_ticket(self, ticket: SignInTicket, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        def add_writes(write: Transaction) -> None:
            write.save(_ticket_item(ticket))
            spend(write, ticket.user_id, spent, use)

        _write(add_writes)

    def open(self, opening: Opening, *, spent: SignInTicket | None, use: FactorUse | None) -> None:
        session = opening.session

        def add_writes(write: Transaction) -> None:
            save_opening(write, opening)
            write.update(
                UserItem(session.user_id, PROFILE),
                [UserItem.last_login_at.set(rfc3339(session.created_at)), *_listed(opening.email)],
                (UserItem.status == UserStatus.ACTIVE.value) & UserItem.deletion_due_at.does_not_exist(),
                part="user",
            )
            spend(write, session.user_id, spent, use)

        _write(add_writes)


def _listed(email: str) -> list[Action]:
    """What lists an account from before there was a list of users."""
    return [UserItem.directory.set(UserItem.directory | directory_of(email))] if email else []


def save_opening(write: Transaction, opening: Opening) -> None:
    """Add a session with its device and its events to a transaction."""
    session = opening.session
    write.save(session_item(session), SessionItem.pk.does_not_exist(), part="session")
    if opening.device:
        write.save(_device_item(session, opening.device))
    save_events(write, opening.events)
    if opening.mail is not None:
        save_mail(write, opening.mail)


def spend(write: Transaction, user_id: str, ticket: SignInTicket | None, use: FactorUse | None) -> None:
    """Spend a ticket and a factor in the transaction of what they allow."""
    if ticket is not None:
        write.delete(TicketItem(user_id, ticket_sk(ticket.id)), TicketItem.digest == ticket.digest, part=TICKET_PART)
    save_use(write, user_id, use)


def ticket_sk(ticket_id: str) -> str:
    return TICKET_PREFIX + ticket_id


def device_sk(digest: str) -> str:
    return f"device#{digest}"


def _ticket_item(ticket: SignInTicket) -> TicketItem:
    return TicketItem(
        ticket.user_id,
        ticket_sk(ticket.id),
        digest=ticket.digest,
        purpose=ticket.purpose.value,
        workspace_id=ticket.workspace_id,
        way=ticket.way,
        second_factor_done=ticket.second_factor_done,
        expires_at_seconds=int(ticket.expires_at.timestamp()),
    )


def _device_item(session: Session, digest: str) -> DeviceItem:
    expires_at = session.created_at + DEVICE_KNOWN_FOR
    return DeviceItem(
        session.user_id,
        device_sk(digest),
        last_used_at=rfc3339(session.created_at),
        expires_at_seconds=int(expires_at.timestamp()),
    )


def _write(add_writes: Callable[[Transaction], None]) -> None:
    try:
        write_transaction(add_writes, busy=BUSY, tries_max=TRIES_MAX)
    except ConditionsFailed as error:
        raise refusal_of(error) from error
