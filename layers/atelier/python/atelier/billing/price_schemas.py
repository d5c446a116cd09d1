"""The requests and views of the price list for administrators of the platform."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.audit_log.reason import Reason
from atelier.billing.price_proposals import Proposal, ProposalPage, ProposalState, StripeSteps
from atelier.billing.tier_schemas import PackView, TierView, pack_view, tier_view
from atelier.catalogue.price_list import PriceList, Published
from atelier.catalogue.tiers import FREE
from atelier.lazy_model import LazyModel

PROPOSAL_CURSOR = "prp_"
Change = int | bool | Annotated[str, Field(max_length=200)] | Annotated[list[str], Field(max_length=500)] | None


class ProposeRequest(LazyModel):
    """Propose the next version of a tier or pack."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=30)] = Field(examples=["pro"])
    changes: dict[Annotated[str, Field(max_length=40)], Change] = Field(
        min_length=1,
        max_length=40,
        description="What differs from the present version, by the names of the price list's file.",
        examples=[{"price_month": 3100}],
    )
    reason: Reason = Field(description="For the audit log.")


class PublishRequest(LazyModel):
    """Publish a proposed version."""

    model_config = ConfigDict(extra="forbid")

    apply: bool = Field(default=False, description="false: only say what would change at Stripe.")


class ProposalQuery(LazyModel):
    """Which proposals are listed, newest first."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class TierVersions(LazyModel):
    """A tier with all its versions, the oldest first."""

    name: str
    on_sale: str | None = Field(description="The version that is sold.", examples=["pro@2"])
    versions: list[TierView]


class PackVersions(LazyModel):
    """A pack with all its versions, the oldest first."""

    name: str
    on_sale: str = Field(examples=["small@1"])
    versions: list[PackView]


class PublishedView(LazyModel):
    """A version that an administrator has published."""

    id: str = Field(examples=["pro@2"])
    published_at: datetime


class AdminTierList(LazyModel):
    """The price list with all versions. The tiers are in the order of their rank."""

    tiers: list[TierVersions]
    packs: list[PackVersions]
    published: list[PublishedView] = Field(description="The versions that are not from the files of the deployment.")


class DifferenceView(LazyModel):
    """A field that differs; both values as JSON."""

    field: str = Field(examples=["price_month"])
    before: str = Field(examples=["2900"])
    after: str = Field(examples=["3100"])


class ProposalView(LazyModel):
    """A proposed version of a tier or pack."""

    id: str
    kind: Literal["tier", "pack"]
    version: str = Field(examples=["pro@2"])
    present: str = Field(description="The version that it follows.", examples=["pro@1"])
    differences: list[DifferenceView]
    reason: str
    state: ProposalState
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None


class ProposalEnvelope(LazyModel):
    """One proposal."""

    proposal: ProposalView


class ProposalList(LazyModel):
    """A page of proposals."""

    items: list[ProposalView]
    next_cursor: str | None


class StripeStepsView(LazyModel):
    """How Stripe differs, or differed, from the price list with the version in it."""

    steps: int
    left: int = Field(description="Steps that were not done.")
    table: str = Field(description="One step a line.")


class PublishView(LazyModel):
    """A proposal, and what it changes at Stripe."""

    proposal: ProposalView
    stripe: StripeStepsView


def admin_tier_list(prices: PriceList, published: Published) -> AdminTierList:
    """The response with the whole price list."""
    return AdminTierList(
        tiers=[
            TierVersions(
                name=name,
                on_sale=newest.id if name == FREE or newest.prices else None,
                versions=[tier_view(tier) for tier in prices.tiers.values() if tier.name == name],
            )
            for name, newest in prices.newest_tiers.items()
        ],
        packs=[
            PackVersions(
                name=name,
                on_sale=newest.id,
                versions=[pack_view(pack) for pack in prices.packs.values() if pack.name == name],
            )
            for name, newest in prices.newest_packs.items()
        ],
        published=[PublishedView(id=each.id, published_at=each.published_at) for each in published.versions],
    )


def proposal_envelope(proposal: Proposal) -> ProposalEnvelope:
    """The response with one proposal."""
    return ProposalEnvelope(proposal=_view(proposal))


def proposal_list(page: ProposalPage) -> ProposalList:
    """The response with a page of proposals."""
    return ProposalList(items=list(map(_view, page.proposals)), next_cursor=cursors.encode(page.next_id))


def publish_view(proposal: Proposal, steps: StripeSteps) -> PublishView:
    """The response to a request for publishing."""
    return PublishView(
        proposal=_view(proposal), stripe=StripeStepsView(steps=steps.steps, left=steps.left, table=steps.table)
    )


def _view(proposal: Proposal) -> ProposalView:
    differences = [
        DifferenceView(field=name, before=json.dumps(before), after=json.dumps(after))
        for name, (before, after) in proposal.differences.items()
    ]
    return ProposalView(
        id=proposal.id,
        kind=proposal.kind,
        version=proposal.version,
        present=str(proposal.before["id"]),
        differences=differences,
        reason=proposal.reason,
        state=proposal.state,
        proposed_by=proposal.proposed_by,
        proposed_at=proposal.proposed_at,
        decided_by=proposal.decided_by,
        decided_at=proposal.decided_at,
    )
