"""Request an export of everything that a workspace has: it is recorded with an audit event, and the table's stream
starts its job."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from atelier.audit_log.model import Origin, audit_events
from atelier.dataclass import dataclass
from atelier.exports.ports import ExportExists, ExportUrls
from atelier.exports.whole_export import OPEN_TIME_MAX, WholeExport
from atelier.exports.whole_ports import WholeExportStore
from atelier.idempotency import IdempotencyKeys, fingerprint


@dataclass(frozen=True, slots=True)
class WholeExportDeps:
    """Dependencies of requesting and reading exports of everything."""

    store: WholeExportStore
    keys: IdempotencyKeys
    urls: ExportUrls


def request_whole_export(
    new: WholeExport, idempotency_key: str | None, origin: Origin, *, deps: WholeExportDeps, now: datetime
) -> tuple[WholeExport, bool]:
    """The new export, and whether the same request had created it before. Raises Conflict while another one is being
    written, IdempotencyMismatch."""
    if idempotency_key is not None:
        digest = fingerprint(new.user_id)
        id = deps.keys.reserve(new.workspace_id, f"whole-exports {idempotency_key}", digest, new.id)
        new = replace(new, id=id)
    logs = [new.workspace_id, *([new.user_id] if new.with_account else [])]
    events = audit_events(logs, "export.everything_requested", origin, now, target=new.id)
    try:
        deps.store.create(new, now - OPEN_TIME_MAX, events)
    except ExportExists:
        return deps.store.get(new.workspace_id, new.id), True
    return new, False
