"""A workspace as administrators of the platform see it."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from atelier.dataclass import dataclass
from atelier.lazy_model import LazyModel
from atelier.ledger.ports import WalletStore
from atelier.workspaces.ports import MemberStore, WorkspaceStore
from atelier.workspaces.schemas import (
    MemberView,
    QuotaUsageView,
    WorkspaceDetailsView,
    member_list,
    usage_view,
    workspace_details,
)
from atelier.workspaces.usage import UsageDeps, read_usage


@dataclass(frozen=True, slots=True)
class AdminViewDeps:
    """Dependencies."""

    workspaces: WorkspaceStore
    members: MemberStore
    wallets: WalletStore
    usage: UsageDeps


class AdminWorkspaceDetails(LazyModel):
    """A workspace with tier, quotas and members; a personal one has no list of members."""

    workspace: WorkspaceDetailsView
    owner_id: str
    tier: str = Field(description="With its version, as it holds now.", examples=["pro@1"])
    tier_ends_at: datetime | None
    quotas: list[QuotaUsageView]
    members: list[MemberView]


def show_workspace(workspace_id: str, *, deps: AdminViewDeps, now: datetime) -> AdminWorkspaceDetails:
    """A workspace, deleted ones too. Raises NotFound."""
    profile = deps.workspaces.profile(workspace_id)
    wallet = deps.wallets.wallet(workspace_id)
    members = deps.members.members(workspace_id) if profile.kind == "organization" else ()
    return AdminWorkspaceDetails(
        workspace=workspace_details(profile, "owner"),
        owner_id=profile.owner_id,
        tier=wallet.tier_at(now),
        tier_ends_at=wallet.tier_ends_at,
        quotas=usage_view(read_usage(workspace_id, deps=deps.usage, now=now)).quotas,
        members=member_list(members).items,
    )
