"""Workspaces, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.workspaces.members import DynamoMembers
from atelier.adapters.aws.dynamodb.workspaces.store import DynamoWorkspaces
from atelier.settings import IdentityTable
from atelier.wiring.idempotency import idempotency_keys
from atelier.wiring.ledger import wallets
from atelier.wiring.library import assets
from atelier.workspaces.manage import ManageDeps


@cache
def workspaces() -> DynamoWorkspaces:
    """The workspaces of this deployment."""
    wallets()  # Binds the wallet's items to their table: an organisation is created with its wallet.
    DynamoWorkspaces.bind(IdentityTable.read().name)
    return DynamoWorkspaces()


@cache
def members() -> DynamoMembers:
    """The members of this deployment's organisations."""
    DynamoMembers.bind(IdentityTable.read().name)
    return DynamoMembers()


@cache
def manage_deps() -> ManageDeps:
    """The dependencies of creating, changing, deleting and restoring workspaces."""
    return ManageDeps(workspaces(), idempotency_keys(), assets())
