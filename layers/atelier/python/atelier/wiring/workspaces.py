"""Workspaces, composed."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.workspaces.members import DynamoMembers
from atelier.adapters.aws.dynamodb.workspaces.store import DynamoWorkspaces
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.identity.permissions import Role
from atelier.settings import IdentityTable, LedgerTable, RequestsTable
from atelier.wiring.audit_log import bind_events
from atelier.workspaces.model import Actor

# Each is imported by the function that needs it: most requests read workspaces and members alone.
if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.workspaces.invitations import DynamoInvitations
    from atelier.workspaces.admin_view import AdminViewDeps
    from atelier.workspaces.invitations import InvitationDeps
    from atelier.workspaces.manage import ManageDeps
    from atelier.workspaces.usage import UsageDeps


@cache
def workspaces() -> DynamoWorkspaces:
    """The workspaces of this deployment."""
    from atelier.adapters.aws.dynamodb.ledger.store import DynamoWallets

    DynamoWallets.bind(LedgerTable.read().name)  # An organisation is created with its wallet.
    DynamoWorkspaces.bind(IdentityTable.read().name)
    bind_events()
    return DynamoWorkspaces()


@cache
def members() -> DynamoMembers:
    """The members of this deployment's organisations."""
    DynamoMembers.bind(IdentityTable.read().name)
    bind_events()
    return DynamoMembers()


@cache
def invitations() -> DynamoInvitations:
    """The invitations of this deployment's organisations."""
    from atelier.adapters.aws.dynamodb.workspaces.invitations import DynamoInvitations

    DynamoInvitations.bind(IdentityTable.read().name)
    bind_events()
    return DynamoInvitations()


def actor(caller: Caller, origin: Origin) -> Actor:
    """The verified caller as somebody who changes members."""
    return Actor(caller.user_id, Role(caller.role), origin)


@cache
def invitation_deps() -> InvitationDeps:
    """The dependencies of inviting and accepting."""
    from atelier.adapters.aws.dynamodb.request_rates import DynamoRequestRates
    from atelier.wiring.ledger import quota_of
    from atelier.wiring.mails import link_key
    from atelier.workspaces.invitation_limits import InvitationLimits
    from atelier.workspaces.invitations import InvitationDeps

    DynamoRequestRates.bind(RequestsTable.read().name)
    return InvitationDeps(
        store=invitations(),
        members=members(),
        workspaces=workspaces(),
        key=link_key(),
        limits=InvitationLimits(DynamoRequestRates()),
        quota=partial(quota_of, "members"),
    )


@cache
def usage_deps() -> UsageDeps:
    """The dependencies of reading how much a workspace uses."""
    from atelier.adapters.aws.dynamodb.usage import SITES, read_usage
    from atelier.identity.api_calls import month_of_calls
    from atelier.library.check_room import stored_bytes
    from atelier.wiring.auth import call_counters
    from atelier.wiring.ledger import quota_of, wallets
    from atelier.wiring.library import assets
    from atelier.wiring.projects import projects
    from atelier.workspaces.usage import UsageDeps

    return UsageDeps(
        {
            "storage_bytes": lambda workspace_id, now: stored_bytes(workspace_id, assets=assets(), wallets=wallets()),
            "projects": lambda workspace_id, now: projects().count(workspace_id),
            "members": lambda workspace_id, now: workspaces().profile(workspace_id).members,
            "sites": lambda workspace_id, now: read_usage(workspace_id, SITES).used,
            "api_calls": lambda workspace_id, now: call_counters().used(workspace_id, month_of_calls(now)),
        },
        quota_of,
    )


@cache
def manage_deps() -> ManageDeps:
    """The dependencies of creating, changing, deleting and restoring workspaces."""
    from atelier.wiring.idempotency import idempotency_keys
    from atelier.wiring.library import assets
    from atelier.workspaces.manage import ManageDeps

    return ManageDeps(workspaces(), idempotency_keys(), assets())


@cache
def admin_view_deps() -> AdminViewDeps:
    """The dependencies of showing a workspace to an administrator of the platform."""
    from atelier.wiring.ledger import wallets
    from atelier.workspaces.admin_view import AdminViewDeps

    return AdminViewDeps(workspaces(), members(), wallets(), usage_deps())
