"""Moves of projects, composed. Imported where it is used, because few requests move a project."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from atelier.settings import LibraryTable

if TYPE_CHECKING:
    from atelier.adapters.aws.dynamodb.moves.store import DynamoMoves
    from atelier.moves.begin import BeginDeps
    from atelier.moves.go_on import MoveDeps


@cache
def moves() -> DynamoMoves:
    """The moves of this deployment."""
    from atelier.adapters.aws.dynamodb.moves.store import DynamoMoves
    from atelier.wiring import generations, ledger, library, projects, workspaces

    # A move begins under a condition on the target's members.
    workspaces.members()
    store = DynamoMoves(projects.projects(), library.assets(), generations.store(), ledger.wallets())
    store.bind(LibraryTable.read().name)
    return store


@cache
def begin_deps() -> BeginDeps:
    """The dependencies of beginning a move."""
    from atelier.moves.begin import BeginDeps
    from atelier.wiring import ledger, projects, workspaces

    return BeginDeps(moves(), projects.projects(), workspaces.workspaces(), workspaces.members(), ledger.quota_of)


@cache
def move_deps() -> MoveDeps:
    """The dependencies of continuing a move."""
    from atelier.moves.go_on import MoveDeps
    from atelier.wiring import ledger, library

    return MoveDeps(moves(), library.assets(), library.stored_files(), ledger.quota_of)


def addresses(records: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """(source, project) of the moves in a batch of the library table's stream."""
    from atelier.adapters.aws.dynamodb.moves.items import move_addresses

    return move_addresses(records)
