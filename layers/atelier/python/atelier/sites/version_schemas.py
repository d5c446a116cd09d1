"""HTTP schemas of versions, and of what is made of them: differences and previews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.errors import NotFound
from atelier.lazy_model import LazyModel
from atelier.sites.diff import FieldDiff, PageDiff, diff_parts
from atelier.sites.manage_parts import PartEdit
from atelier.sites.model import PageContent, PageVersion, PartVersion
from atelier.sites.ports import VersionPage
from atelier.sites.preview import Preview
from atelier.sites.save_page import PageEdit
from atelier.sites.schemas import STRICT, ContentView, Line, Version, content_fields

# The names of people, by id; those who have no account any more are left out.
NamesOf = Callable[[Iterable[str]], Mapping[str, str]]


class RestoreVersionRequest(LazyModel):
    """`base_version`: the newest version that you have read. `note`: of the new version."""

    model_config = STRICT

    note: Line = ""
    base_version: Version | None = None

    def edit(self, workspace_id: str, site_id: str, user_id: str) -> PageEdit:
        """The version to store, whose content is the restored one."""
        nothing = PageContent("/", "")
        return PageEdit(workspace_id, site_id, user_id, nothing, self.note, base_version=self.base_version)

    def part_edit(self, version: PartVersion, user_id: str) -> PartEdit:
        """The version of a part to store, which is the one to restore."""
        part, note = version.part, self.note or f"Version {version.part.version}"
        edit = PartEdit(part.workspace_id, user_id, part.kind, part.name, part.html, part.category, part.css, part.js)
        return replace(edit, parameters=part.parameters, note=note, base_version=self.base_version)


class DiffQuery(LazyModel):
    """Which versions to compare; without `to` the newest."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    before: Version = Field(alias="from")
    after: Version | None = Field(default=None, alias="to")


class FieldDiffView(LazyModel):
    field: str
    before: Any
    after: Any


class BlockDiffView(LazyModel):
    """A block that differs. `lines`: a unified diff of its texts."""

    block_id: str
    change: Literal["added", "removed", "changed", "moved"]
    lines: list[str]


class PageDiffView(LazyModel):
    """What the version `to` changed of the version `from`: fields of the page, then blocks."""

    from_version: int
    to_version: int
    fields: list[FieldDiffView]
    blocks: list[BlockDiffView]


class PartDiffView(LazyModel):
    """What the version `to` changed of the version `from` of a part. `lines`: a unified diff of its texts."""

    from_version: int
    to_version: int
    fields: list[FieldDiffView]
    lines: list[str]


class PreviewRequest(LazyModel):
    """Which version to show; without one the newest."""

    model_config = STRICT

    version: Version | None = None


class PagePreviewView(LazyModel):
    """A signed address, which shows one version of the page until it expires."""

    url: str
    version: int
    expires_at: datetime


class PageVersionView(LazyModel):
    """A saved version. `user_name`: null when the person has no account any more. `generation_id`: the generation that
    wrote it, null if a person did."""

    number: int
    user_id: str
    user_name: str | None
    note: str
    generation_id: str | None
    was_published: bool
    title: str
    path: str
    created_at: datetime


class PageVersionEnvelope(LazyModel):
    version: PageVersionView
    content: ContentView


class PageVersionList(LazyModel):
    items: list[PageVersionView]
    next_cursor: str | None


def version_in(path: Mapping[str, str]) -> int:
    """The number of a version in a request's path. Raises NotFound."""
    text = path["version"]
    if not (text.isascii() and text.isdecimal() and 0 < len(text) < 10):
        raise NotFound
    return int(text)


def diff_view(diff: PageDiff, before: int, after: int) -> PageDiffView:
    return PageDiffView(
        from_version=before,
        to_version=after,
        fields=_fields(diff.fields),
        blocks=[
            BlockDiffView(block_id=each.block_id, change=each.change.value, lines=list(each.lines))
            for each in diff.blocks
        ],
    )


def part_diff_view(before: PartVersion, after: PartVersion) -> PartDiffView:
    diff, numbers = diff_parts(before.part, after.part), (before.part.version, after.part.version)
    return PartDiffView(
        from_version=numbers[0], to_version=numbers[1], fields=_fields(diff.fields), lines=list(diff.lines)
    )


def _fields(fields: Sequence[FieldDiff]) -> list[FieldDiffView]:
    return [FieldDiffView(field=each.field, before=each.before, after=each.after) for each in fields]


def preview_view(preview: Preview) -> PagePreviewView:
    return PagePreviewView(url=preview.url, version=preview.version, expires_at=preview.expires_at)


def version_view(version: PageVersion, names: Mapping[str, str]) -> PageVersionView:
    return PageVersionView(
        number=version.number,
        user_id=version.user_id,
        user_name=names.get(version.user_id),
        note=version.note,
        generation_id=version.generation_id,
        was_published=version.was_published,
        title=version.content.title,
        path=version.content.path,
        created_at=version.created_at,
    )


def version_list(page: VersionPage, names_of: NamesOf) -> PageVersionList:
    names = names_of({version.user_id for version in page.items})
    next_key = None if page.next_number is None else f"v{page.next_number}"
    items = [version_view(each, names) for each in page.items]
    return PageVersionList(items=items, next_cursor=cursors.encode(next_key))


def version_envelope(version: PageVersion, names_of: NamesOf) -> PageVersionEnvelope:
    view = version_view(version, names_of([version.user_id]))
    return PageVersionEnvelope(version=view, content=ContentView(**content_fields(version.content)))
