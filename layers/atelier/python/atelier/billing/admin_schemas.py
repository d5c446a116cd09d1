"""The requests and views of wallets for administrators of the platform."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from atelier import cursors
from atelier.audit_log.reason import Reason
from atelier.billing.adjustments import Adjustment, AdjustmentPage, AdjustmentState, NewAdjustment
from atelier.errors import NotFound, ValidationFailed
from atelier.ids import is_id
from atelier.lazy_model import LazyModel
from atelier.ledger.model import Wallet
from atelier.ledger.orphaned_escrows import EscrowRecord, OrphanedEscrow
from atelier.ledger.schemas import GrantView, grant_views

CREDITS_MAX = 10_000_000
CURSOR_PREFIX = "adj_"


class AdjustRequest(LazyModel):
    """Correct a wallet."""

    model_config = ConfigDict(extra="forbid")

    credits: int = Field(ge=-CREDITS_MAX, le=CREDITS_MAX, description="Given, or with a minus taken; never zero.")
    reason: Reason = Field(description="In the statement of the workspace, and in the audit logs.")

    @model_validator(mode="after")
    def _changes_something(self) -> AdjustRequest:
        if self.credits == 0:
            raise ValueError("credits: an adjustment changes something")
        return self

    def new(self, workspace_id: str, idempotency_key: str) -> NewAdjustment:
        """The request as a value."""
        return NewAdjustment(workspace_id, self.credits, self.reason, idempotency_key)


class FreezeRequest(LazyModel):
    """Freeze a wallet."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(description="For the audit logs; the workspace's own log shows it too.")


class AdjustmentQuery(LazyModel):
    """Which adjustments are listed, newest first."""

    model_config = ConfigDict(extra="ignore")

    state: AdjustmentState | None = None
    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class AdjustmentView(LazyModel):
    """A correction of a wallet."""

    id: str
    workspace_id: str
    credits: int
    reason: str
    state: AdjustmentState = Field(description="`pending`: another administrator has to approve it.")
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None


class AdjustmentEnvelope(LazyModel):
    """One adjustment."""

    adjustment: AdjustmentView


class AdjustmentList(LazyModel):
    """A page of adjustments."""

    items: list[AdjustmentView]
    next_cursor: str | None


class AdminWalletView(LazyModel):
    """A wallet as it is stored: what is due is not booked yet."""

    workspace_id: str
    tier: str = Field(description="With its version, as it holds now.", examples=["pro@1"])
    tier_ends_at: datetime | None
    available: int = Field(description="Spendable credits.")
    held: int
    debt: int
    holds_open: int
    entries: int = Field(description="The number of movements.")
    frozen_at: datetime | None = Field(description="Since when nothing new can be spent.")
    grants: list[GrantView]


class EndEscrowRequest(LazyModel):
    """Give the credits of an orphaned escrow back."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(description="In the statement of the workspace, and in the audit logs.")


class OrphanedEscrowView(LazyModel):
    """Credits that are held for a purchase or an enrolment which does not wait for them."""

    id: str = Field(description="Of the purchase or the enrolment.")
    credits: int
    at: datetime
    record: EscrowRecord = Field(
        description="What the purchase or enrolment says: it is not there, was given back, or was paid."
    )
    can_be_given_back: bool = Field(description="False = somebody else was promised the credits.")


class OrphanedEscrowList(LazyModel):
    """The orphaned escrows of a wallet, newest first."""

    items: list[OrphanedEscrowView]


class AdminWalletEnvelope(LazyModel):
    """One wallet."""

    wallet: AdminWalletView


def required_key(idempotency_key: str | None) -> str:
    """The key of a request that must have one, because credits would move twice. Raises ValidationFailed."""
    if idempotency_key is None:
        raise ValidationFailed([{"path": "header.Idempotency-Key", "message": "is needed here"}])
    return idempotency_key


def status_of(adjustment: Adjustment) -> int:
    """The status of the response to a request for an adjustment: 201, or 202 while it waits for somebody."""
    return 202 if adjustment.state is AdjustmentState.PENDING else 201


def adjustment_envelope(adjustment: Adjustment) -> AdjustmentEnvelope:
    """The response with one adjustment."""
    return AdjustmentEnvelope(adjustment=_view(adjustment))


def adjustment_list(page: AdjustmentPage) -> AdjustmentList:
    """The response with a page of adjustments."""
    return AdjustmentList(items=list(map(_view, page.adjustments)), next_cursor=cursors.encode(page.next_id))


def payment_id_of(id: str) -> str:
    """The id in a path of a purchase or an enrolment. Raises NotFound."""
    if not any(is_id(id, prefix) for prefix in ("pur", "enr")):
        raise NotFound
    return id


def orphaned_escrow_list(orphans: Sequence[OrphanedEscrow]) -> OrphanedEscrowList:
    """The response with the orphaned escrows of a wallet."""
    return OrphanedEscrowList(
        items=[
            OrphanedEscrowView(
                id=each.payment_id,
                credits=each.credits,
                at=each.escrow.at,
                record=each.record,
                can_be_given_back=each.can_be_given_back,
            )
            for each in orphans
        ]
    )


def admin_wallet(wallet: Wallet, now: datetime) -> AdminWalletEnvelope:
    """The response with a wallet."""
    view = AdminWalletView(
        workspace_id=wallet.workspace_id,
        tier=wallet.tier_at(now),
        tier_ends_at=wallet.tier_ends_at,
        available=wallet.spendable(now),
        held=wallet.held,
        debt=wallet.debt,
        holds_open=wallet.holds_open,
        entries=wallet.written,
        frozen_at=wallet.frozen_at,
        grants=grant_views(wallet.grants, now),
    )
    return AdminWalletEnvelope(wallet=view)


def _view(adjustment: Adjustment) -> AdjustmentView:
    return AdjustmentView.model_validate(adjustment, from_attributes=True)
