"""EscrowRecords on DynamoDB: the purchases and the enrolments, in the community table."""

from __future__ import annotations

from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb.showcase.items import PURCHASE, PurchaseItem, purchase_of
from atelier.adapters.aws.dynamodb.workshops.items import (
    ENROLMENT,
    PLACE,
    EnrolmentItem,
    WorkshopPlaceItem,
    enrolment_of,
)
from atelier.ledger.model import Movement
from atelier.ledger.orphaned_escrows import EscrowRecord
from atelier.showcase.model import PurchaseState
from atelier.workshops.model import Enrolment, EnrolmentState

# In these states an enrolment has not paid, whatever its price.
WITHOUT_FEE = frozenset({EnrolmentState.WAITING, EnrolmentState.OFFERED, EnrolmentState.LAPSED})


class DynamoEscrowRecords:
    """EscrowRecords on DynamoDB."""

    def __init__(self, community_table: str) -> None:
        for item in (PurchaseItem, EnrolmentItem, WorkshopPlaceItem):
            item.bind(community_table)

    def record_of(self, workspace_id: str, escrow: Movement) -> EscrowRecord:
        if "listing" in escrow.facts:
            return _purchase_record(workspace_id, str(escrow.facts["listing"]), escrow.subject)
        return _enrolment_record(str(escrow.facts["workshop"]), escrow.subject)


def _purchase_record(workspace_id: str, listing_id: str, purchase_id: str) -> EscrowRecord:
    try:
        purchase = purchase_of(PurchaseItem.get(workspace_id, PURCHASE + listing_id, consistent_read=True))
    except DoesNotExist:
        return EscrowRecord.MISSING
    if purchase.id != purchase_id:
        return EscrowRecord.MISSING
    if purchase.pays_at is not None:
        return EscrowRecord.WAITS
    return EscrowRecord.GIVEN_BACK if purchase.state is PurchaseState.REFUNDED else EscrowRecord.PAID


def _enrolment_record(workshop_id: str, enrolment_id: str) -> EscrowRecord:
    """An escrow does not say who has enrolled, since educators see its facts; so it is looked for in the workshop."""
    try:
        owner = WorkshopPlaceItem.get(workshop_id, PLACE, consistent_read=True).workspace_id
    except DoesNotExist:
        return EscrowRecord.MISSING
    of_workshop = EnrolmentItem.sk.startswith(f"{ENROLMENT}{workshop_id}#")
    is_it = EnrolmentItem.enrolment_id == enrolment_id
    found = next(iter(EnrolmentItem.query(owner, of_workshop, is_it, consistent_read=True)), None)
    return EscrowRecord.MISSING if found is None else _state_of(enrolment_of(found))


def _state_of(enrolment: Enrolment) -> EscrowRecord:
    if enrolment.has_escrow:
        return EscrowRecord.WAITS
    is_unpaid = enrolment.state in WITHOUT_FEE or enrolment.refunded_credits >= enrolment.price_credits
    return EscrowRecord.GIVEN_BACK if is_unpaid else EscrowRecord.PAID
