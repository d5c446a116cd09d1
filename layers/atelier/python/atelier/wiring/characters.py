"""Characters, composed."""

from __future__ import annotations

from datetime import datetime
from functools import cache

from atelier import cursors
from atelier.adapters.aws.dynamodb.documents import DynamoCharacters
from atelier.caller import Caller
from atelier.library import documents
from atelier.library.character import Character, check_references
from atelier.library.character_schemas import (
    ChangeCharacterRequest,
    CharacterList,
    CharacterQuery,
    CharacterView,
    CreateCharacterRequest,
    character_view,
)
from atelier.settings import LibraryTable, RequestsTable
from atelier.wiring.library import assets


@cache
def characters() -> DynamoCharacters:
    """The characters of this deployment."""
    store = DynamoCharacters()
    store.bind(LibraryTable.read().name)
    return store


def create(
    caller: Caller, body: CreateCharacterRequest, idempotency_key: str | None, now: datetime
) -> tuple[CharacterView, bool]:
    """A new character of a verified caller's workspace, and whether it had been created before under the same key."""
    from atelier.adapters.aws.dynamodb.idempotency import DynamoIdempotencyKeys

    keys = DynamoIdempotencyKeys()
    keys.bind(RequestsTable.read().name)
    new = body.new(caller.workspace_id, caller.user_id, now)
    check_references(new.workspace_id, new.reference_asset_ids, assets=assets())
    key = f"characters {idempotency_key}" if idempotency_key else None
    made, replayed = documents.create_document(
        new, key=key, fingerprint=body.fingerprint(), store=characters(), keys=keys
    )
    return character_view(made), replayed


def read(workspace_id: str, character_id: str) -> CharacterView:
    """One character."""
    return character_view(characters().get(workspace_id, character_id))


def change(workspace_id: str, character_id: str, body: ChangeCharacterRequest, now: datetime) -> CharacterView:
    """Change a character, and return it."""

    def update(seen: Character) -> Character:
        after = body.change(seen)
        if after.reference_asset_ids != seen.reference_asset_ids:
            check_references(workspace_id, after.reference_asset_ids, assets=assets())
        return after

    return character_view(documents.change_document(workspace_id, character_id, update, store=characters(), now=now))


def remove(workspace_id: str, character_id: str) -> None:
    """Remove a character; results made with it stay as they are."""
    characters().delete(workspace_id, character_id)


def list_characters(workspace_id: str, query: CharacterQuery) -> CharacterList:
    """One page of characters, newest first."""
    page = characters().list(workspace_id, cursors.decode(query.cursor, "chr_"), query.limit)
    return CharacterList(items=list(map(character_view, page.documents)), next_cursor=cursors.encode(page.next_id))
