"""The library, composed: assets, characters and templates."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from atelier.adapters.aws.dynamodb.library import DynamoAssets
from atelier.settings import LibraryTable, MediaBucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from atelier.adapters.aws.dynamodb.documents import DynamoDocuments, DynamoTemplates
    from atelier.adapters.media.stored_files import MediaFiles
    from atelier.library.character import Character
    from atelier.library.feed_events import AssetChange
    from atelier.library.ports import StepFacts, TargetProjects
    from atelier.library.template import Template
    from atelier.resources import ResourceDeps


@cache
def assets() -> DynamoAssets:
    """The assets of this deployment."""
    store = DynamoAssets()
    store.bind(LibraryTable.read().name)
    return store


def asset_changes(records: Sequence[dict[str, Any]]) -> Iterator[AssetChange]:
    """The assets that were uploaded or deleted in a batch of the library table's stream."""
    from atelier.adapters.aws.dynamodb import asset_changes as of_assets

    return of_assets.asset_changes(records)


@cache
def stored_files() -> MediaFiles:
    """The files of assets."""
    # Imported here, because most requests remove no file.
    from atelier.adapters.aws.s3 import MediaStore
    from atelier.adapters.media.stored_files import MediaFiles

    return MediaFiles(MediaStore(MediaBucket.read().bucket))


@cache
def step_facts() -> StepFacts:
    """What is known of the steps of lineages."""
    # Imported here, because few requests ask for a lineage.
    from atelier.adapters.aws.dynamodb.showcase.step_facts import DynamoStepFacts
    from atelier.settings import CommunityTable, GenerationsTable, IdentityTable

    return DynamoStepFacts(CommunityTable.read().name, GenerationsTable.read().name, IdentityTable.read().name)


def target_projects() -> TargetProjects:
    """The projects to which assets are moved."""
    from atelier.wiring.projects import projects

    return projects()


@cache
def characters() -> DynamoDocuments[Character]:
    """The characters of this deployment."""
    # Imported here and below, because few requests name a character or a template.
    from atelier.adapters.aws.dynamodb.documents import DynamoDocuments
    from atelier.library.character import Character

    return DynamoDocuments(LibraryTable.read().name, "chr", Character)


@cache
def templates() -> DynamoTemplates:
    """The templates of this deployment."""
    from atelier.adapters.aws.dynamodb.documents import DynamoTemplates

    return DynamoTemplates(LibraryTable.read().name)


@cache
def character_deps() -> ResourceDeps[Character]:
    """The dependencies of the use cases of characters."""
    from atelier.library.character import check_references
    from atelier.resources import ResourceDeps
    from atelier.wiring.idempotency import idempotency_keys

    return ResourceDeps(characters(), idempotency_keys(), partial(check_references, assets()))


@cache
def template_deps() -> ResourceDeps[Template]:
    """The dependencies of the use cases of templates."""
    from atelier.resources import ResourceDeps
    from atelier.wiring.idempotency import idempotency_keys

    return ResourceDeps(templates(), idempotency_keys())
