"""Request an export: it is recorded with an audit event, and the table's stream starts its job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from atelier.audit_log.model import Origin, audit_event
from atelier.clock import rfc3339
from atelier.dataclass import dataclass
from atelier.errors import ValidationFailed
from atelier.exports.columns import filters_of
from atelier.exports.model import OPEN_EXPORTS_MAX, Export, ExportDataset
from atelier.exports.ports import ExportExists, ExportStore, ExportUrls
from atelier.idempotency import IdempotencyKeys


@dataclass(frozen=True, slots=True)
class ExportDeps:
    """Dependencies of requesting and reading exports."""

    store: ExportStore
    keys: IdempotencyKeys
    urls: ExportUrls


def request_export(
    new: Export,
    idempotency_key: str | None,
    request_fingerprint: str,
    origin: Origin,
    *,
    deps: ExportDeps,
    now: datetime,
) -> tuple[Export, bool]:
    """The new export, and whether the same request had created it before. Raises ValidationFailed for a filter that the
    dataset does not have, Conflict when too many exports are open, IdempotencyMismatch."""
    require_filters(new.dataset, new.filters)
    if idempotency_key is not None:
        id = deps.keys.reserve(new.workspace_id, f"exports {idempotency_key}", request_fingerprint, new.id)
        new = replace(new, id=id)
    event = audit_event(
        new.workspace_id,
        "export.requested",
        origin,
        now,
        target=new.id,
        dataset=new.dataset.value,
        format=new.format.value,
        begin=rfc3339(new.begin),
        end=rfc3339(new.end),
    )
    try:
        deps.store.create(new, OPEN_EXPORTS_MAX, [event])
    except ExportExists:
        return deps.store.get(new.workspace_id, new.id), True
    return new, False


def require_filters(dataset: ExportDataset, filters: Mapping[str, str]) -> None:
    """Raises ValidationFailed for filters that are none of the dataset's columns."""
    known = filters_of(dataset)
    wrong = [name for name in filters if name not in known]
    if wrong:
        message = f"is no filter of {dataset.value}, which has {', '.join(known)}"
        raise ValidationFailed([{"path": f"filters.{name}", "message": message} for name in wrong])
