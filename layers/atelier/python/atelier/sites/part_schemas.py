"""HTTP schemas of components and sections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from atelier import cursors
from atelier.lazy_model import LazyModel
from atelier.sites.manage_parts import PartEdit, SavedPart
from atelier.sites.model import NamedUse, Part, PartKind, PartParameter, PartVersion
from atelier.sites.ports import PartPage, PartVersionPage
from atelier.sites.schemas import STRICT, Code, Line, Name, RemovalView, Version, removal_views
from atelier.sites.version_schemas import NamesOf

ParameterName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class PartParameterModel(LazyModel):
    """A value that each use may set: `{{ name }}` in the HTML and CSS."""

    model_config = STRICT

    name: ParameterName
    default: Annotated[str, Field(max_length=5000)] = ""


class PartRequest(LazyModel):
    """A new component or section. `<slot name="…">` in the HTML marks where a use puts its own HTML."""

    model_config = STRICT

    name: Name
    html: Code
    category: Line = ""
    css: Code = ""
    js: Code = ""
    parameters: Annotated[list[PartParameterModel], Field(max_length=40)] = []
    note: Line = ""

    def edit(self, workspace_id: str, user_id: str, kind: PartKind, idempotency_key: str | None) -> PartEdit:
        """The part to store."""
        parameters = tuple(PartParameter(each.name, each.default) for each in self.parameters)
        return PartEdit(
            workspace_id,
            user_id,
            kind,
            self.name,
            self.html,
            self.category,
            self.css,
            self.js,
            parameters,
            self.note,
            idempotency_key=idempotency_key,
        )


class ChangePartRequest(PartRequest):
    """A whole component or section as it shall be. `base_version`: the version that it was made from."""

    base_version: Version

    def changed(self, workspace_id: str, user_id: str, kind: PartKind) -> PartEdit:
        """The part to store."""
        return replace(self.edit(workspace_id, user_id, kind, None), base_version=self.base_version)


class PartView(LazyModel):
    """A component or section in its newest version. `slots`: the names in its HTML."""

    id: str
    kind: Literal["component", "section"]
    name: str
    category: str
    html: str
    css: str
    js: str
    parameters: list[PartParameterModel]
    slots: list[str]
    version: int
    user_id: str
    created_at: datetime
    updated_at: datetime


class PartEnvelope(LazyModel):
    """`merged` and `removed` as for a page."""

    part: PartView
    removed: list[RemovalView] = []
    merged: bool = False


class PartList(LazyModel):
    items: list[PartView]
    next_cursor: str | None


class PartVersionView(LazyModel):
    """A saved version. `user_name`: null when the person has no account any more."""

    number: int
    user_id: str
    user_name: str | None
    note: str
    created_at: datetime
    part: PartView


class PartVersionEnvelope(LazyModel):
    version: PartVersionView


class PartVersionList(LazyModel):
    items: list[PartVersionView]
    next_cursor: str | None


class PartUseView(LazyModel):
    """A page that uses it: in its newest version (`in_draft`), in its published one, or in both. Title and path are of
    the newest version."""

    site_id: str
    site_name: str | None = Field(description="null = the site is being removed.")
    page_id: str
    page_title: str | None = Field(description="null = the page is being removed.")
    page_path: str | None
    in_draft: bool
    is_published: bool


class PartUseList(LazyModel):
    items: list[PartUseView]
    next_cursor: str | None = None


def part_view(part: Part) -> PartView:
    return PartView(
        id=part.id,
        kind=part.kind.value,
        name=part.name,
        category=part.category,
        html=part.html,
        css=part.css,
        js=part.js,
        parameters=[PartParameterModel(name=each.name, default=each.default) for each in part.parameters],
        slots=list(part.slots),
        version=part.version,
        user_id=part.user_id,
        created_at=part.created_at,
        updated_at=part.updated_at,
    )


def part_envelope(saved: SavedPart) -> PartEnvelope:
    return PartEnvelope(part=part_view(saved.part), removed=removal_views(saved.removed), merged=saved.is_merged)


def part_list(page: PartPage) -> PartList:
    return PartList(items=list(map(part_view, page.items)), next_cursor=cursors.encode(page.next_id))


def part_version_view(version: PartVersion, names: Mapping[str, str]) -> PartVersionView:
    part = version.part
    return PartVersionView(
        number=part.version,
        user_id=part.user_id,
        user_name=names.get(part.user_id),
        note=version.note,
        created_at=part.updated_at,
        part=part_view(part),
    )


def part_version_envelope(version: PartVersion, names_of: NamesOf) -> PartVersionEnvelope:
    return PartVersionEnvelope(version=part_version_view(version, names_of([version.part.user_id])))


def part_version_list(page: PartVersionPage, names_of: NamesOf) -> PartVersionList:
    names = names_of({version.part.user_id for version in page.items})
    next_key = None if page.next_number is None else f"v{page.next_number}"
    items = [part_version_view(each, names) for each in page.items]
    return PartVersionList(items=items, next_cursor=cursors.encode(next_key))


def use_list(uses: list[NamedUse]) -> PartUseList:
    views = [
        PartUseView(
            site_id=each.use.site_id,
            site_name=each.site_name,
            page_id=each.use.page_id,
            page_title=each.page_title,
            page_path=each.page_path,
            in_draft=each.use.in_draft,
            is_published=each.use.is_published,
        )
        for each in uses
    ]
    return PartUseList(items=views)
