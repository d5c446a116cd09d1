"""Characters over HTTP."""

from __future__ import annotations

from functools import partial

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.library.character_schemas import (
    ChangeCharacterRequest,
    CharacterEnvelope,
    CharacterList,
    CharacterQuery,
    CreateCharacterRequest,
)
from atelier.wiring import auth, characters

api = Api("characters", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="characters.read")
manage = partial(api.route, permission="characters.manage", errors=(404, 503))


@read("/api/characters", query=CharacterQuery, answer=CharacterList)
def list_characters(request: Request[Empty]) -> Response:
    """List the workspace's characters, newest first."""
    return Response(characters.list_characters(request.caller.workspace_id, request.query))


@manage("POST", "/api/characters", body=CreateCharacterRequest, answer=CharacterEnvelope, statuses=(201,))
def create_character(request: Request[CreateCharacterRequest]) -> Response:
    """Create a character."""
    character, replayed = characters.create(request.caller, request.body, request.idempotency_key, request.now)
    headers = {"Location": f"/api/characters/{character.id}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
    return Response(CharacterEnvelope(character=character), status=201, headers=headers)


@read("/api/characters/<character_id>", answer=CharacterEnvelope, errors=(404,))
def get_character(request: Request[Empty]) -> Response:
    """Get one character."""
    character = characters.read(request.caller.workspace_id, request.path_id("character_id", "chr"))
    return Response(CharacterEnvelope(character=character))


@manage("PUT", "/api/characters/<character_id>", body=ChangeCharacterRequest, answer=CharacterEnvelope)
def change_character(request: Request[ChangeCharacterRequest]) -> Response:
    """Change the fields that the body names."""
    character_id = request.path_id("character_id", "chr")
    character = characters.change(request.caller.workspace_id, character_id, request.body, request.now)
    return Response(CharacterEnvelope(character=character))


@manage("DELETE", "/api/characters/<character_id>", statuses=(204,))
def remove_character(request: Request[Empty]) -> Response:
    """Remove a character; results made with it stay."""
    characters.remove(request.caller.workspace_id, request.path_id("character_id", "chr"))
    return Response(status=204)
