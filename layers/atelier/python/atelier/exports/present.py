"""Answer the requests about exports: who may see which dataset, and the views."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from atelier import cursors
from atelier.audit_log.model import Origin
from atelier.caller import Caller
from atelier.errors import Forbidden, NotFound
from atelier.exports.model import Export, ExportDataset
from atelier.exports.request_export import ExportDeps, request_export
from atelier.exports.schemas import ExportEnvelope, ExportList, ExportQuery, ExportRequest, ExportView
from atelier.idempotency import fingerprint

# What a caller must be allowed beside the route's permission, for each dataset.
NEEDED: Mapping[ExportDataset, str] = {
    ExportDataset.GENERATIONS: "generations.read",
    # It says what single members did.
    ExportDataset.USAGE: "member-analytics.read",
    ExportDataset.ENTRIES: "billing.read",
    ExportDataset.AUDIT: "audit.read",
    ExportDataset.PRODUCT_EVENTS: "exports.read",
}


def create_export(
    deps: ExportDeps, caller: Caller, body: ExportRequest, idempotency_key: str | None, origin: Origin, now: datetime
) -> tuple[ExportEnvelope, bool]:
    """A new export of a verified caller's workspace, and whether it had been requested before under the same key.
    Raises Forbidden for a dataset that the caller may not read, and what `request_export` raises."""
    if not caller.has_permission(NEEDED[body.dataset]):
        raise Forbidden(f"This export needs the permission {NEEDED[body.dataset]}.")
    new = body.new(caller.workspace_id, caller.user_id, now)
    digest = fingerprint(body.model_dump_json())
    export, replayed = request_export(new, idempotency_key, digest, origin, deps=deps, now=now)
    return ExportEnvelope(export=_view(export, deps, now)), replayed


def read_export(deps: ExportDeps, caller: Caller, export_id: str, now: datetime) -> ExportEnvelope:
    """One export; raises NotFound, also for a dataset that the caller may not read."""
    export = deps.store.get(caller.workspace_id, export_id)
    if not caller.has_permission(NEEDED[export.dataset]):
        raise NotFound
    return ExportEnvelope(export=_view(export, deps, now))


def list_exports(deps: ExportDeps, caller: Caller, query: ExportQuery, now: datetime) -> ExportList:
    """A page of the exports whose dataset the caller may read."""
    page = deps.store.list(caller.workspace_id, cursors.decode(query.cursor, "exp_"), query.limit)
    items = [_view(each, deps, now) for each in page.items if caller.has_permission(NEEDED[each.dataset])]
    return ExportList(items=items, next_cursor=cursors.encode(page.next_id))


def _view(export: Export, deps: ExportDeps, now: datetime) -> ExportView:
    has_file = export.expires_at is not None and now < export.expires_at
    url, until = deps.urls.url(export.key, export.file_name, now) if has_file else (None, None)
    return ExportView(
        id=export.id,
        dataset=export.dataset,
        format=export.format,
        begin=export.begin,
        end=export.end,
        cut_at=export.cut_at,
        filters=dict(export.filters),
        status=export.status,
        user_id=export.user_id,
        created_at=export.created_at,
        ended_at=export.ended_at,
        rows=export.rows,
        size_bytes=export.size_bytes,
        failure=export.failure,
        expires_at=export.expires_at,
        url=url,
        url_expires_at=until,
    )
