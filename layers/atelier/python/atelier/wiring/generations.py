"""The store of generations, composed, and what most functions need of it. It imports little, for the functions that
accept no requests."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from atelier.adapters.aws.dynamodb.generations.store import DynamoGenerations
from atelier.adapters.media.keys import media_key
from atelier.generations import read_text as reading
from atelier.generations.model import Generation
from atelier.settings import GenerationsTable, MediaBucket
from atelier.wiring.ledger import wallets
from atelier.wiring.prices import prices
from atelier.wiring.projects import projects

if TYPE_CHECKING:
    from atelier.generations.finish import CloseDeps

# The longest text that is read into a response, in bytes. The gateway allows 10 MB for a response.
TEXT_BYTES_MAX = 4 * 1024 * 1024


@cache
def store() -> DynamoGenerations:
    """The generations of this deployment."""
    generations = DynamoGenerations()
    generations.bind(GenerationsTable.read().name)
    return generations


def close_deps() -> CloseDeps:
    """The dependencies of ending a generation without a result."""
    from atelier.generations.finish import CloseDeps

    projects()  # Binds the budgets' table: the closing transaction writes to it.
    return CloseDeps(store(), wallets(), prices())


def read_text(generation: Generation) -> str | None:
    """The content of a text or page result; None while there is none."""
    return reading.read_text(generation, _read_file)


def _read_file(workspace_id: str, sha256: str, format: str) -> bytes:
    # Imported here, because only texts are read into a response.
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore

    return S3MediaStore(MediaBucket.read().bucket).get(media_key(workspace_id, sha256, format), TEXT_BYTES_MAX)
