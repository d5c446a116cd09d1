"""What follows the deletion of workspaces and accounts, composed."""

from __future__ import annotations

from atelier.adapters.aws.dynamodb.workspaces.store import DynamoWorkspaces
from atelier.billing.follow_workspace import follow_change, follow_workspace
from atelier.clock import system_clock
from atelier.events.workspace_events import AccountChanged, WorkspaceChanged
from atelier.settings import IdentityTable
from atelier.wiring import payments


def follow(change: WorkspaceChanged | AccountChanged) -> None:
    """Let a plan follow the change of its workspace."""
    follow_change(change, payments.services(), follow=let_plan_follow)


def let_plan_follow(workspace_id: str) -> None:
    """Let a plan follow its workspace, as that is now."""
    DynamoWorkspaces.bind(IdentityTable.read().name)
    is_being_deleted, deps = DynamoWorkspaces().is_being_deleted, payments.billing_deps(system_clock)
    follow_workspace(workspace_id, is_being_deleted=is_being_deleted, deps=deps)
