"""Change the price list, as administrators of the platform do: one proposes the next version of a tier or pack, another
one publishes it (four eyes). It is checked as the files are, brought to Stripe first, and on sale from the transaction
on that publishes it. A version that was published never changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from atelier.audit_log.model import PLATFORM_LOG, AuditEvent, Origin, audit_event
from atelier.billing.adjustments import ForeignEyesNeeded
from atelier.billing.check_prices import Changes, Document, check_entry, find_newest, with_published
from atelier.catalogue.price_list import EntryKind, Published, PublishedVersion
from atelier.dataclass import dataclass
from atelier.errors import Conflict
from atelier.ids import new_id


class ProposalState(StrEnum):
    """What became of a proposal. Only an open one changes any more."""

    OPEN = "open"
    PUBLISHED = "published"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Proposal:
    """The proposed next version of a tier or pack. before, entry: the present version and the proposed one, as in the
    compiled catalogue."""

    id: str
    kind: EntryKind
    before: Mapping[str, Any]
    entry: Mapping[str, Any]
    reason: str
    proposed_by: str
    proposed_at: datetime
    state: ProposalState = ProposalState.OPEN
    decided_by: str | None = None
    decided_at: datetime | None = None

    @property
    def version(self) -> str:
        """The id of the proposed version, such as `pro@2`."""
        return str(self.entry["id"])

    @property
    def differences(self) -> dict[str, tuple[Any, Any]]:
        """The fields in which the version differs from the present one: before, after."""
        return {
            name: (self.before.get(name), value)
            for name, value in self.entry.items()
            if name != "id" and self.before.get(name) != value
        }


@dataclass(frozen=True, slots=True)
class ProposalPage:
    """Proposals, newest first, and the id after which the next page begins; None on the last page."""

    proposals: tuple[Proposal, ...]
    next_id: str | None


@dataclass(frozen=True, slots=True)
class StripeSteps:
    """How Stripe differed from a price list, as a table for people. left: steps that were not done."""

    steps: int
    left: int
    table: str


class ProposalExists(Exception):
    """There is an open proposal for this version."""


class ProposalChanged(Exception):
    """The proposal, or what is published, is no longer as it was read."""


class ProposalStore(Protocol):
    """Proposals. Each change is one transaction, with its events."""

    def get(self, id: str) -> Proposal:
        """Raises NotFound."""
        ...

    def open_for(self, version: str) -> Proposal | None:
        """The open proposal for a version."""
        ...

    def page(self, after: str | None, limit: int) -> ProposalPage: ...

    def add(self, proposal: Proposal, *, events: Sequence[AuditEvent]) -> None:
        """Raises ProposalExists."""
        ...

    def withdraw(self, withdrawn: Proposal, *, events: Sequence[AuditEvent]) -> None:
        """Raises ProposalChanged."""
        ...

    def publish(self, published: Proposal, before: Published, *, events: Sequence[AuditEvent]) -> None:
        """Put the version into the price list. before: what was published until now. Raises ProposalChanged."""
        ...


class PublishedPrices(Protocol):
    """What is published."""

    def read(self, *, consistent: bool) -> Published: ...


class PriceSync(Protocol):
    """Brings the price list to Stripe."""

    def __call__(self, proposed: Sequence[PublishedVersion], *, apply: bool) -> StripeSteps:
        """Compare the price list with these versions in it, and write the differences if `apply`. Raises
        Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class ProposalDeps:
    """Dependencies. document: what the files say."""

    store: ProposalStore
    published: PublishedPrices
    document: Document
    sync: PriceSync


def propose(
    name: str, changes: Changes, reason: str, origin: Origin, *, deps: ProposalDeps, now: datetime
) -> tuple[Proposal, bool]:
    """Propose the next version of a tier or pack by what differs in it from the present one; whether the same was
    proposed before. Raises NotFound, ValidationFailed as the check of the files says, and Conflict while there is
    another proposal for that version."""
    document = with_published(deps.document, deps.published.read(consistent=True).versions)
    kind, before = find_newest(document, name)
    entry = check_entry(document, kind, before, changes)
    proposal = Proposal(new_id("prp", now), kind, before, entry, reason, _user_of(origin), now)
    try:
        deps.store.add(proposal, events=[_event("prices.proposed", proposal, origin, now)])
    except ProposalExists as error:
        known = deps.store.open_for(proposal.version)
        if known is not None and (known.entry, known.proposed_by) == (proposal.entry, proposal.proposed_by):
            return known, True
        raise Conflict("There is another proposal for this version. Publish or withdraw it first.") from error
    return proposal, False


def withdraw(id: str, origin: Origin, *, deps: ProposalDeps, now: datetime) -> Proposal:
    """Withdraw a proposal, one's own or another's. Repeating it changes nothing. Raises NotFound, Conflict for a
    published one."""
    found = deps.store.get(id)
    if found.state is ProposalState.OPEN:
        withdrawn = replace(found, state=ProposalState.WITHDRAWN, decided_by=_user_of(origin), decided_at=now)
        try:
            deps.store.withdraw(withdrawn, events=[_event("prices.withdrawn", found, origin, now)])
        except ProposalChanged:
            found = deps.store.get(id)
        else:
            return withdrawn
    if found.state is not ProposalState.WITHDRAWN:
        raise Conflict("This version has been published.")
    return found


def publish(id: str, origin: Origin, *, apply: bool, deps: ProposalDeps, now: datetime) -> tuple[Proposal, StripeSteps]:
    """Publish a proposed version, or only say what would change at Stripe. Stripe has the version's prices before it is
    on sale, and gets them again when a run died in between. Repeating it changes nothing more. Raises NotFound,
    ForeignEyesNeeded for one's own proposal, ValidationFailed when the version is not valid any more, Unavailable, and
    Conflict for a withdrawn proposal, one for a version that is not the next any more, and where Stripe has a price of
    others in the way."""
    found = deps.store.get(id)
    if apply and found.proposed_by == _user_of(origin):
        raise ForeignEyesNeeded
    if found.state is ProposalState.WITHDRAWN:
        raise Conflict("This proposal was withdrawn.")
    if found.state is ProposalState.PUBLISHED:
        return found, deps.sync((), apply=apply)
    before = deps.published.read(consistent=True)
    document = with_published(deps.document, before.versions)
    if find_newest(document, found.version.partition("@")[0])[1] != found.before:
        raise Conflict("There is a newer version. Withdraw this proposal, and make another one.")
    check_entry(document, found.kind, found.before, found.entry)
    steps = deps.sync([PublishedVersion(found.kind, found.entry, now)], apply=apply)
    if not apply:
        return found, steps
    if steps.left:
        raise Conflict("Stripe has a price of others in the way.", table=steps.table)
    published = replace(found, state=ProposalState.PUBLISHED, decided_by=_user_of(origin), decided_at=now)
    try:
        deps.store.publish(published, before, events=[_event("prices.published", found, origin, now)])
    except ProposalChanged as error:
        published = deps.store.get(id)
        if published.state is not ProposalState.PUBLISHED:
            raise Conflict("Prices are being changed. Try again.") from error
    # Another version that was published meanwhile may have been missing in the comparison.
    deps.sync((), apply=True)
    return published, steps


def _event(action: str, proposal: Proposal, origin: Origin, now: datetime) -> AuditEvent:
    changed = ", ".join(f"{name}: {old} → {new}" for name, (old, new) in proposal.differences.items())
    facts: dict[str, Any] = {"version": proposal.version, "changed": changed, "reason": proposal.reason}
    return audit_event(PLATFORM_LOG, action, origin, now, target=proposal.id, **facts)


def _user_of(origin: Origin) -> str:
    assert origin.user_id, "an administrator has signed in"
    return origin.user_id
