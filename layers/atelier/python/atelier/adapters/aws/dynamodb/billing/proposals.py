"""ProposalStore on DynamoDB.

pk price-proposals   sk prp_…          one proposal
pk price-proposals   sk open#pro@2     the open proposal for a version"""

from __future__ import annotations

from collections.abc import Sequence

from pynamodb.attributes import JSONAttribute, UnicodeAttribute
from pynamodb.exceptions import DoesNotExist

from atelier.adapters.aws.dynamodb import ConditionsFailed, Item, Transaction, newest_page, write_transaction
from atelier.adapters.aws.dynamodb.audit_log import save_events
from atelier.adapters.aws.dynamodb.ledger.price_list import put_version
from atelier.audit_log.model import AuditEvent
from atelier.billing.price_proposals import (
    Proposal,
    ProposalChanged,
    ProposalExists,
    ProposalPage,
    ProposalState,
)
from atelier.catalogue.price_list import Published, PublishedVersion
from atelier.clock import parse_rfc3339, rfc3339
from atelier.errors import NotFound

BUSY = "Prices are being changed. Try again."
TRIES_MAX = 5
PROPOSALS, PREFIX, OPEN_PREFIX = "price-proposals", "prp_", "open#"


class ProposalItem(Item):
    """One proposal."""

    kind = UnicodeAttribute()
    before = JSONAttribute()
    entry = JSONAttribute()
    reason = UnicodeAttribute()
    proposed_by = UnicodeAttribute()
    proposed_at = UnicodeAttribute()
    state = UnicodeAttribute()
    decided_by = UnicodeAttribute(null=True)
    decided_at = UnicodeAttribute(null=True)


class OpenProposalItem(Item):
    """Which proposal for a version is open: there is one at most."""

    proposal_id = UnicodeAttribute()


class DynamoProposals:
    """ProposalStore on DynamoDB."""

    @staticmethod
    def bind(table_name: str) -> None:
        """Name the table of billing. What is published and audit events are bound by their own adapters."""
        ProposalItem.bind(table_name)
        OpenProposalItem.bind(table_name)

    def get(self, id: str) -> Proposal:
        try:
            return _decode(ProposalItem.get(PROPOSALS, id, consistent_read=True))
        except DoesNotExist as error:
            raise NotFound("There is no such proposal.") from error

    def open_for(self, version: str) -> Proposal | None:
        try:
            marker = OpenProposalItem.get(PROPOSALS, OPEN_PREFIX + version, consistent_read=True)
        except DoesNotExist:
            return None
        return self.get(marker.proposal_id)

    def page(self, after: str | None, limit: int) -> ProposalPage:
        bounds = PREFIX, PREFIX + "~"
        items, next_id = newest_page(ProposalItem, PROPOSALS, bounds, matching=None, after=after, limit=limit)
        return ProposalPage(tuple(map(_decode, items)), next_id)

    def add(self, proposal: Proposal, *, events: Sequence[AuditEvent]) -> None:
        def write_all(write: Transaction) -> None:
            marker = OpenProposalItem(PROPOSALS, OPEN_PREFIX + proposal.version, proposal_id=proposal.id)
            write.save(marker, OpenProposalItem.pk.does_not_exist(), part="open")
            write.save(_item(proposal))
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise ProposalExists from error

    def withdraw(self, withdrawn: Proposal, *, events: Sequence[AuditEvent]) -> None:
        self._decide(withdrawn, None, events)

    def publish(self, published: Proposal, before: Published, *, events: Sequence[AuditEvent]) -> None:
        self._decide(published, before, events)

    @staticmethod
    def _decide(decided: Proposal, before: Published | None, events: Sequence[AuditEvent]) -> None:
        assert decided.decided_at is not None
        assert decided.decided_by is not None
        at, by = decided.decided_at, decided.decided_by

        def write_all(write: Transaction) -> None:
            still_open = ProposalItem.state == ProposalState.OPEN.value
            if before is not None:
                still_open &= ProposalItem.proposed_by != by
                put_version(write, before, PublishedVersion(decided.kind, decided.entry, at))
            actions = [
                ProposalItem.state.set(decided.state.value),
                ProposalItem.decided_by.set(by),
                ProposalItem.decided_at.set(rfc3339(at)),
            ]
            write.update(ProposalItem(PROPOSALS, decided.id), actions, still_open, part="proposal")
            write.delete(OpenProposalItem(PROPOSALS, OPEN_PREFIX + decided.version))
            save_events(write, events)

        try:
            write_transaction(write_all, busy=BUSY, tries_max=TRIES_MAX)
        except ConditionsFailed as error:
            raise ProposalChanged from error


def _item(proposal: Proposal) -> ProposalItem:
    return ProposalItem(
        PROPOSALS,
        proposal.id,
        kind=proposal.kind,
        before=dict(proposal.before),
        entry=dict(proposal.entry),
        reason=proposal.reason,
        proposed_by=proposal.proposed_by,
        proposed_at=rfc3339(proposal.proposed_at),
        state=proposal.state.value,
    )


def _decode(item: ProposalItem) -> Proposal:
    return Proposal(
        item.sk,
        "pack" if item.kind == "pack" else "tier",
        item.before,
        item.entry,
        item.reason,
        item.proposed_by,
        parse_rfc3339(item.proposed_at),
        ProposalState(item.state),
        item.decided_by,
        parse_rfc3339(item.decided_at) if item.decided_at else None,
    )
