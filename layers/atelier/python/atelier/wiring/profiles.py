"""Profiles of users, and deleting their accounts, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier.audit_log.model import Origin
from atelier.identity import delete_account, profile
from atelier.identity.delete_account import DeleteAccountDeps
from atelier.identity.device import device_of
from atelier.identity.model import SignInResult, User
from atelier.identity.profile import AvatarImages, ProfileChanges
from atelier.settings import LibraryTable
from atelier.wiring import identity


def user(user_id: str) -> User:
    """A user."""
    return identity.profiles().user(user_id)


def change(user_id: str, workspace_id: str, changes: ProfileChanges, origin: Origin, now: datetime) -> User:
    """Change what a person says about themselves."""
    return profile.change_profile(
        user_id, workspace_id, changes, origin, profiles=identity.profiles(), images=_images(), now=now
    )


def request_deletion(user_id: str, origin: Origin, now: datetime) -> datetime:
    """Request the deletion of an account; returns when it is due."""
    return delete_account.request_deletion(user_id, origin, deps=_deletion_deps(), now=now)


def restore(ticket: str, origin: Origin, now: datetime) -> SignInResult:
    """Take back the deletion of an account, and sign in."""
    return delete_account.restore_account(ticket, device_of(origin), origin, deps=_deletion_deps(), now=now)


@cache
def _images() -> AvatarImages:
    # Imported on first use: only who changes the avatar needs the library.
    from atelier.adapters.aws.dynamodb.library import DynamoAssets

    DynamoAssets.bind(LibraryTable.read().name)
    return DynamoAssets()


@cache
def _deletion_deps() -> DeleteAccountDeps:
    return DeleteAccountDeps(identity.profiles(), identity.sessions(), identity.sign_in_deps())
