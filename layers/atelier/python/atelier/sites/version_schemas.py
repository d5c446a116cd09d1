"""HTTP schemas of what is made of versions: differences and previews."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from atelier.lazy_model import LazyModel
from atelier.sites.diff import PageDiff
from atelier.sites.preview import Preview
from atelier.sites.schemas import STRICT, Version


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


class PreviewRequest(LazyModel):
    """Which version to show; without one the newest."""

    model_config = STRICT

    version: Version | None = None


class PagePreviewView(LazyModel):
    """A signed address, which shows one version of the page until it expires."""

    url: str
    version: int
    expires_at: datetime


def diff_view(diff: PageDiff, before: int, after: int) -> PageDiffView:
    return PageDiffView(
        from_version=before,
        to_version=after,
        fields=[FieldDiffView(field=each.field, before=each.before, after=each.after) for each in diff.fields],
        blocks=[
            BlockDiffView(block_id=each.block_id, change=each.change.value, lines=list(each.lines))
            for each in diff.blocks
        ],
    )


def preview_view(preview: Preview) -> PagePreviewView:
    return PagePreviewView(url=preview.url, version=preview.version, expires_at=preview.expires_at)
