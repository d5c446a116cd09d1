"""HTTP schemas of exports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field

from atelier.errors import ValidationFailed
from atelier.exports.model import Export, ExportDataset, ExportFormat, ExportStatus, range_of
from atelier.ids import new_id
from atelier.lazy_model import LazyModel

FilterName = Annotated[str, Field(max_length=40)]
FilterValue = Annotated[str, Field(min_length=1, max_length=200)]


class ExportRequest(LazyModel):
    """What is exported: the records of one dataset whose own time is in [from, to). The columns are those of the page
    docs/analytics_schema.md."""

    model_config = ConfigDict(extra="forbid")

    dataset: ExportDataset
    begin: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(
        alias="to", description="Not inclusive. What was written within the last minutes is not in it; see `cut_at`."
    )
    format: ExportFormat
    filters: dict[FilterName, FilterValue] = Field(
        default_factory=dict, max_length=10, description="Column → the value that it must have."
    )

    def new(self, workspace_id: str, user_id: str, now: datetime) -> Export:
        """The new export. Raises ValidationFailed for an empty time."""
        if self.begin >= self.end:
            raise ValidationFailed([{"path": "to", "message": "is not after `from`"}])
        begin, end, cut_at = range_of(self.dataset, self.begin, self.end, now)
        id = new_id("exp", now)
        return Export(id, workspace_id, user_id, self.dataset, self.format, begin, end, cut_at, now, dict(self.filters))


class ExportQuery(LazyModel):
    """A page of exports."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class ExportView(LazyModel):
    """An export. `cut_at`: what was written after is not in it, so the next export from `to` on goes on without a gap.
    `url`: where the file is, signed for some minutes; read the export again for a new one. `expires_at`: when the file
    is deleted. `failure`: why there is no file."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    dataset: ExportDataset
    format: ExportFormat
    begin: datetime = Field(serialization_alias="from")
    end: datetime = Field(serialization_alias="to")
    cut_at: datetime
    filters: dict[str, str]
    status: ExportStatus
    user_id: str
    created_at: datetime
    ended_at: datetime | None
    rows: int
    size_bytes: int
    failure: str | None
    expires_at: datetime | None
    url: str | None
    url_expires_at: datetime | None


class ExportEnvelope(LazyModel):
    export: ExportView


class ExportList(LazyModel):
    """A page of exports, newest first."""

    items: list[ExportView]
    next_cursor: str | None
