"""OrphanedEscrowStore on DynamoDB."""

from __future__ import annotations

from collections.abc import Sequence

from atelier.adapters.aws.dynamodb import TransactionFailed, transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.ledger.transactions import put_posting
from atelier.adapters.aws.dynamodb.showcase.items import PURCHASE, PurchaseItem
from atelier.audit_log.model import AuditEvent
from atelier.ledger.operations import Posting
from atelier.ledger.orphaned_escrows import OrphanedEscrow
from atelier.ledger.ports import StaleWallet


class DynamoOrphanedEscrows:
    """OrphanedEscrowStore on DynamoDB. The items of wallets, purchases and audit events must be bound to their tables.

    An enrolment needs no condition: its record is older than its escrow or as old, so one that was not there after the
    escrow never will be; and what ended meanwhile has written the end's movement, which is a condition already."""

    def end(
        self, workspace_id: str, orphan: OrphanedEscrow, postings: Sequence[Posting], *, events: Sequence[AuditEvent]
    ) -> None:
        try:
            with transaction() as write:
                for posting in postings:
                    put_posting(write, posting)
                listing_id = orphan.escrow.facts.get("listing")
                if listing_id:
                    waits_not = (PurchaseItem.purchase_id != orphan.payment_id) | PurchaseItem.pays_at.does_not_exist()
                    write.check(PurchaseItem, workspace_id, f"{PURCHASE}{listing_id}", waits_not, part="purchase")
                save_events(write, events)
        except TransactionFailed as error:
            raise StaleWallet from error
