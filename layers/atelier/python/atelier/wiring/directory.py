"""What administrators of the platform do about people, composed."""

from __future__ import annotations

from functools import cache

from atelier.adapters.aws.dynamodb.identity.directory import DynamoUserDirectory
from atelier.identity.directory import DirectoryDeps
from atelier.settings import IdentityTable
from atelier.wiring import identity
from atelier.wiring.audit_log import bind_events


@cache
def deps() -> DirectoryDeps:
    """The dependencies of listing users and changing their state."""
    DynamoUserDirectory.bind(IdentityTable.read().name)
    bind_events()
    return DirectoryDeps(DynamoUserDirectory(), identity.sessions(), identity.revocations())
