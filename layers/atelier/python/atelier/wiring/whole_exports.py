"""The job that exports everything, composed. Apart from other exports, because it reads each table."""

from __future__ import annotations

from functools import partial

from atelier.adapters.aws.dynamodb.exports.whole_exports import RecordsSection
from atelier.adapters.aws.exported_files import S3FilesSection
from atelier.adapters.aws.zip_files import S3ZipFiles
from atelier.clock import Clock, system_clock
from atelier.exports.whole_ports import Section
from atelier.exports.whole_sections import LogSection, ReadmeSection, WalletProofSection
from atelier.exports.write_whole_export import WriteWholeExportDeps
from atelier.item_kinds import USER, WORKSPACE, exported_kinds
from atelier.settings import (
    AnalyticsTable,
    AuditArchive,
    BillingTable,
    CommunityTable,
    ExportsBucket,
    ExportsTable,
    GenerationsTable,
    IdentityTable,
    LedgerTable,
    LibraryTable,
    MediaBucket,
    NotificationsTable,
    ProvidersTable,
    SitesTable,
    WebhooksTable,
)
from atelier.wiring import audit_log, exports, seals


def write_whole_deps(clock: Clock = system_clock) -> WriteWholeExportDeps:
    """The dependencies of writing zip files."""
    return WriteWholeExportDeps(exports.whole_store(), _sections(clock), S3ZipFiles(ExportsBucket.read().name), clock)


def _sections(clock: Clock) -> dict[str, Section]:
    tables = {
        "identity": IdentityTable.read().name,
        "ledger": LedgerTable.read().name,
        "generations": GenerationsTable.read().name,
        "library": LibraryTable.read().name,
        "community": CommunityTable.read().name,
        "notifications": NotificationsTable.read().name,
        "providers": ProvidersTable.read().name,
        "billing": BillingTable.read().name,
        "analytics": AnalyticsTable.read().name,
        "exports": ExportsTable.read().name,
        "webhooks": WebhooksTable.read().name,
        "sites": SitesTable.read().name,
    }
    archive, media = AuditArchive.read().bucket, MediaBucket.read().bucket
    return {
        "readme": ReadmeSection(),
        **{str(kind.file): RecordsSection(tables[kind.table], kind) for kind in exported_kinds()},
        "proof": WalletProofSection(partial(seals.proof, now=clock())),
        "audit": LogSection(WORKSPACE, audit_log.seals()),
        "account audit": LogSection(USER, audit_log.seals()),
        "archived audit": S3FilesSection(archive, "", WORKSPACE, "audit/archive"),
        "archived account audit": S3FilesSection(archive, "", USER, "audit/archive/account"),
        "media": S3FilesSection(media, "media/", WORKSPACE, "media"),
    }
