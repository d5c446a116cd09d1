"""The clean-up of the media bucket and of archives, composed."""

from __future__ import annotations

from functools import partial

from atelier.adapters.aws.cleaned_bucket import S3CleanedBucket, S3CleanUpReports
from atelier.adapters.aws.dynamodb.archived_assets import (
    DynamoArchivedAssets,
    DynamoCleanUpNotices,
    held_by_avatars,
    held_by_characters,
    held_by_lineage,
)
from atelier.adapters.aws.dynamodb.documents import DocumentItem
from atelier.adapters.aws.dynamodb.identity.mails import DynamoMails
from atelier.adapters.aws.dynamodb.moves.holds import DynamoMoveHold
from atelier.adapters.aws.events import EventBridgeBus
from atelier.clock import Clock, system_clock
from atelier.library.archive_notice import request_notice_mail
from atelier.library.clean_archived import CleanArchivedDeps, CleanUpNotice, days_kept
from atelier.library.clean_up import CleanUpDeps
from atelier.settings import EventBus, EventsBucket, LibraryTable, MediaBucket
from atelier.wiring import identity, ledger
from atelier.wiring.audit_log import bind_events
from atelier.wiring.library import assets, stored_files
from atelier.wiring.prices import prices


def clean_up_deps(clock: Clock = system_clock) -> CleanUpDeps:
    """The dependencies of a clean-up."""
    return CleanUpDeps(
        S3CleanedBucket(MediaBucket.read().bucket),
        assets(),
        stored_files(),
        S3CleanUpReports(EventsBucket.read().name),
        (DynamoMoveHold(LibraryTable.read().name).needs,),
        archive_deps(clock),
        EventBridgeBus(EventBus.read().name),
    )


def archive_deps(clock: Clock = system_clock) -> CleanArchivedDeps:
    """The dependencies of cleaning archives."""
    table = LibraryTable.read().name
    DynamoCleanUpNotices.bind(table)
    DynamoArchivedAssets.bind(table)
    DocumentItem.bind(table)
    bind_events()
    identity.accounts()  # Binds the items of workspaces and users to their table.

    def tell(workspace_id: str, notice: CleanUpNotice) -> None:
        owner_of = identity.accounts().owner_of
        request_notice_mail(workspace_id, notice, owner_of=owner_of, mails=DynamoMails(), now=clock())

    # Pages and listings add theirs.
    holds = (held_by_lineage, held_by_characters, held_by_avatars)
    days = partial(days_kept, catalogue=prices(), wallets=ledger.wallets())
    return CleanArchivedDeps(DynamoArchivedAssets(), stored_files(), DynamoCleanUpNotices(), holds, days, tell)
