"""The claim on a mailbox's daily credits, which the first verified account of the mailbox has for ever."""

from __future__ import annotations

from datetime import datetime

from atelier.adapters.aws.dynamodb import Transaction
from atelier.adapters.aws.dynamodb.identity.items import DAILY_CREDITS, MailboxItem, mailbox_pk
from atelier.clock import rfc3339

# The part of a transaction that fails when the account that had the claim was deleted.
OTHER_WALLET = "other wallet"


def claim_key_of(mailbox: str) -> tuple[str, str]:
    """The key of a mailbox's claim. mailbox: its digest."""
    return mailbox_pk(mailbox), DAILY_CREDITS


def is_free(claimed: MailboxItem | None) -> bool:
    """Whether an account that is verified now gets the claim."""
    return claimed is None or not claimed.verified_at


def save_claim(
    write: Transaction,
    workspace_id: str,
    mailbox: str,
    claimed: MailboxItem | None,
    at: datetime,
    other_account_deleted: bool,
) -> None:
    """Give the claim to a verified account's workspace, and tell the wallet of an unverified account that had it."""
    # Imported here, because few of the functions that use this module know wallets.
    from atelier.adapters.aws.dynamodb.ledger.transactions import put_mailbox_state
    from atelier.ledger.model import MailboxState

    # The claim must be as it was read: of two accounts verified in parallel, one gets the credits.
    unchanged = (
        MailboxItem.pk.does_not_exist()
        if claimed is None
        else (MailboxItem.workspace_id == claimed.workspace_id) & MailboxItem.verified_at.does_not_exist()
    )
    verified = MailboxItem(*claim_key_of(mailbox), workspace_id=workspace_id, verified_at=rfc3339(at))
    write.save(verified, unchanged, part="mailbox")
    if claimed and claimed.workspace_id != workspace_id and not other_account_deleted:
        put_mailbox_state(write, claimed.workspace_id, MailboxState.SHARED, part=OTHER_WALLET)
