"""HTTP schemas of exports of everything, and who gets which view."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from pydantic import ConfigDict, Field

from atelier import cursors
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.exports.model import ExportStatus
from atelier.exports.request_whole_export import WholeExportDeps, request_whole_export
from atelier.exports.whole_export import WholeExport
from atelier.ids import new_id
from atelier.lazy_model import LazyModel


class WholeExportQuery(LazyModel):
    """A page of exports of everything."""

    model_config = ConfigDict(extra="ignore")

    limit: int = Field(default=25, ge=1, le=100)
    cursor: Annotated[str, Field(max_length=200)] | None = None


class WholeExportFileView(LazyModel):
    """One zip file. `url`: signed for some minutes; read the export again for a new one."""

    name: str
    size_bytes: int
    url: str
    url_expires_at: datetime


class WholeExportView(LazyModel):
    """An export of everything. `files`: the zip files, once the export has succeeded and until `expires_at`; README.txt
    in the first one says what is in them. `with_account`: the account of the workspace's owner is in it. `failure`: why
    there are no files."""

    id: str
    status: ExportStatus
    user_id: str
    with_account: bool
    created_at: datetime
    ended_at: datetime | None
    size_bytes: int
    files: list[WholeExportFileView]
    failure: str | None
    expires_at: datetime | None


class WholeExportEnvelope(LazyModel):
    export: WholeExportView


class WholeExportList(LazyModel):
    """A page of exports of everything, newest first."""

    items: list[WholeExportView]
    next_cursor: str | None


def create_whole_export(
    deps: WholeExportDeps,
    caller: Caller,
    idempotency_key: str | None,
    origin: Origin,
    now: datetime,
    *,
    personal_workspace: Callable[[str], str],
) -> tuple[WholeExportEnvelope, bool]:
    """A new export of a verified caller's workspace, with the account of a caller whose personal workspace it is; and
    whether it had been requested before under the same key. Raises Conflict, IdempotencyMismatch."""
    with_account = personal_workspace(caller.user_id) == caller.workspace_id
    new = WholeExport(new_id("exp", now), caller.workspace_id, caller.user_id, with_account, now)
    export, replayed = request_whole_export(new, idempotency_key, origin, deps=deps, now=now)
    return WholeExportEnvelope(export=_view(export, deps, now)), replayed


def read_whole_export(deps: WholeExportDeps, caller: Caller, export_id: str, now: datetime) -> WholeExportEnvelope:
    """One export; raises NotFound."""
    return WholeExportEnvelope(export=_view(deps.store.get(caller.workspace_id, export_id), deps, now))


def list_whole_exports(
    deps: WholeExportDeps, caller: Caller, query: WholeExportQuery, now: datetime
) -> WholeExportList:
    """A page of exports of everything."""
    page = deps.store.list(caller.workspace_id, cursors.decode(query.cursor, "exp_"), query.limit)
    return WholeExportList(
        items=[_view(each, deps, now) for each in page.items], next_cursor=cursors.encode(page.next_id)
    )


def _view(export: WholeExport, deps: WholeExportDeps, now: datetime) -> WholeExportView:
    files = list[WholeExportFileView]()
    if export.expires_at is not None and now < export.expires_at:
        for number, file in enumerate(export.files, 1):
            name = export.file_name(number)
            url, until = deps.urls.url(file.key, name, now)
            files.append(WholeExportFileView(name=name, size_bytes=file.size_bytes, url=url, url_expires_at=until))
    return WholeExportView(
        id=export.id,
        status=export.status,
        user_id=export.user_id,
        with_account=export.with_account,
        created_at=export.created_at,
        ended_at=export.ended_at,
        size_bytes=sum(file.size_bytes for file in export.files),
        files=files,
        failure=export.failure,
        expires_at=export.expires_at,
    )
