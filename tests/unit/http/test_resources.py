"""A new small resource on the kit: its class, its schemas and one declaration give five routes."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from atelier.caller import Caller
from atelier.dataclass import dataclass
from atelier.errors import IdempotencyMismatch, NotFound
from atelier.http.api import Api
from atelier.http.resources import ResourceSchemas, declare_resource
from atelier.ids import new_id
from atelier.resources import ResourceDeps, ResourceExists, ResourcePage

CALLER = Caller("usr_" + "A" * 26, "wsp_" + "A" * 26, "owner")


@dataclass(frozen=True, slots=True)
class Note:
    id: str
    workspace_id: str
    user_id: str
    text: str
    created_at: datetime
    updated_at: datetime


class CreateNote(BaseModel):
    text: str

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Note:
        return Note(new_id("not", now), workspace_id, user_id, self.text, now, now)


class ChangeNote(BaseModel):
    text: str

    def change(self, before: Note) -> Note:
        return replace(before, text=self.text)


class NoteView(BaseModel):
    id: str
    text: str


class NoteEnvelope(BaseModel):
    note: NoteView


class NoteList(BaseModel):
    items: list[NoteView]
    next_cursor: str | None


class InMemoryNotes:
    """ResourceStore and IdempotencyKeys in memory."""

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self.bound: dict[str, tuple[str, str]] = {}

    def create(self, new: Note) -> None:
        if new.id in self.notes:
            raise ResourceExists
        self.notes[new.id] = new

    def get(self, workspace_id: str, resource_id: str) -> Note:
        if resource_id not in self.notes:
            raise NotFound
        return self.notes[resource_id]

    def list(self, workspace_id: str, after_id: str | None, limit: int) -> ResourcePage[Note]:
        ids = [each for each in sorted(self.notes, reverse=True) if after_id is None or each < after_id]
        page = tuple(self.notes[each] for each in ids[:limit])
        return ResourcePage(page, page[-1].id if len(ids) > limit else None)

    def change(self, before: Note, after: Note) -> None:
        self.notes[before.id] = after

    def delete(self, workspace_id: str, resource_id: str) -> None:
        self.get(workspace_id, resource_id)
        del self.notes[resource_id]

    def reserve(self, workspace_id: str, key: str, fingerprint: str, new_id: str) -> str:
        bound_id, bound = self.bound.setdefault(key, (new_id, fingerprint))
        if bound != fingerprint:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request.")
        return bound_id

    def find(self, workspace_id: str, key: str) -> str | None:
        return self.bound[key][0] if key in self.bound else None


def notes_api() -> Api:
    store = InMemoryNotes()
    api = Api("notes", gate=lambda: lambda *_, **__: CALLER)
    schemas = ResourceSchemas[Note](
        CreateNote, ChangeNote, NoteEnvelope, NoteList, lambda note: NoteView(id=note.id, text=note.text)
    )
    declare_resource(api, "note", "not", schemas, lambda: ResourceDeps(store, store))
    return api


def call(api: Api, method: str, path: str, body: Any = None, key: str | None = None, **query: str) -> dict[str, Any]:
    headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
    context = {"http": {"method": method, "path": path}, "authorizer": {"lambda": {"user_id": CALLER.user_id}}}
    event = {"requestContext": context, "headers": headers, "queryStringParameters": query}
    response = api.handler(event | ({"body": json.dumps(body)} if body is not None else {}), None)
    return {**response, "data": json.loads(response["body"]).get("data") if response["body"] else None}


def test_a_declared_resource_is_created_read_changed_and_removed() -> None:
    api = notes_api()
    made = call(api, "POST", "/api/notes", {"text": "a"})
    path = made["headers"]["Location"]
    assert (made["statusCode"], path) == (201, f"/api/notes/{made['data']['note']['id']}")
    assert call(api, "PUT", path, {"text": "b"})["data"]["note"]["text"] == "b"
    assert call(api, "GET", path)["data"]["note"]["text"] == "b"
    assert call(api, "DELETE", path)["statusCode"] == 204
    assert [call(api, method, path, {"text": "c"})["statusCode"] for method in ("GET", "PUT", "DELETE")] == [404] * 3


def test_a_repeated_key_creates_one_resource_and_refuses_another_body() -> None:
    api = notes_api()
    first, again = (call(api, "POST", "/api/notes", {"text": "a"}, key="k") for _ in range(2))
    assert first["data"] == again["data"]
    assert again["headers"]["Idempotent-Replayed"] == "true"
    assert call(api, "POST", "/api/notes", {"text": "b"}, key="k")["statusCode"] == 422


def test_resources_are_listed_by_cursor() -> None:
    api = notes_api()
    made = {call(api, "POST", "/api/notes", {"text": text})["data"]["note"]["id"] for text in "abc"}
    first = call(api, "GET", "/api/notes", limit="2")["data"]
    second = call(api, "GET", "/api/notes", cursor=first["next_cursor"])["data"]
    assert second["next_cursor"] is None
    assert len(first["items"]) == 2
    assert {note["id"] for note in first["items"] + second["items"]} == made


def test_a_resources_routes_name_its_permissions() -> None:
    permissions = {(route.method, route.permission) for route in notes_api().routes}
    reading, managing = {("GET", "notes.read")}, {(method, "notes.manage") for method in ("POST", "PUT", "DELETE")}
    assert permissions == reading | managing
