"""Reports: the sums of a range by period and group, with zeros, totals and the range before."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from atelier.analytics import measures
from atelier.analytics.model import Counts, Dataset, total
from atelier.analytics.period import PERIODS_MAX, Period, Span, floor, shift, whole_span
from atelier.analytics.ports import SumReads
from atelier.analytics.read_sums import Grouped, Key, Selection, read_series, read_total
from atelier.analytics.schemas import CreditsQuery, ReportQuery
from atelier.dataclass import dataclass
from atelier.errors import Forbidden, ValidationFailed

# Lambda answers with 6 MB at most, in which a row of the usage report has up to 1 kB.
ROWS_MAX = 5000
# The streams are read in batches that are collected for five minutes at most (SealWindowSeconds).
COUNTED_AFTER = timedelta(minutes=6)
PERSONAL = {"user", "token"}
Measure = Callable[[Counts, Counts], Mapping[str, Any]]


class ReportKind(StrEnum):
    """The reports."""

    USAGE = "usage"
    COST = "cost"
    PROVIDER = "provider"
    CREDITS = "credits"
    USERS = "users"
    MODELS = "models"


@dataclass(frozen=True, slots=True)
class _Form:
    """What a report says, by what it groups without `group_by`, and by which size its groups are sorted."""

    measure: Measure
    dimensions: tuple[str, ...] = ()
    dataset: Dataset = Dataset.USAGE
    size: Callable[[Counts], int] = lambda counts: counts.get("requests", 0)


_FORMS = {
    ReportKind.USAGE: _Form(measures.usage),
    ReportKind.COST: _Form(measures.costs, size=measures.cost),
    ReportKind.PROVIDER: _Form(measures.scorecard, ("provider",), size=lambda counts: counts.get("attempts", 0)),
    ReportKind.CREDITS: _Form(measures.credits, dataset=Dataset.CREDITS),
    ReportKind.USERS: _Form(measures.usage, ("user",)),
    ReportKind.MODELS: _Form(measures.models, ("model",), size=measures.results),
}


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a report. sees_members: whether they may read what single members did; otherwise only their own."""

    workspace_id: str
    user_id: str
    sees_members: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a report says, before it is written. `groups` and `earlier`: the sums of the range and of the range before,
    by group; without `group_by` there is the one group ()."""

    form: _Form
    span: Span
    selection: Selection
    series: Mapping[datetime, Grouped]
    groups: Grouped
    earlier: Grouped | None
    last_days: Mapping[Key, datetime] | None


def read_report(
    kind: ReportKind, query: ReportQuery | CreditsQuery, reader: Reader, now: datetime, reads: SumReads
) -> dict[str, Any]:
    """A report as the API answers it: see `schemas.py`. Raises ValidationFailed and Forbidden."""
    found = read_sums(kind, query, reader, now, reads)
    _check_size(found.span, found.groups, found.earlier or {})
    span, before = found.span, found.span.previous()
    group_by = list(found.selection.group_by)
    return {
        **_range(span),
        "period": span.period.value,
        "group_by": group_by,
        "time_zone": "UTC",
        "complete_until": min(span.end, now - COUNTED_AFTER),
        "series": list(_series(found)),
        "groups": _groups(found, found.groups) if group_by else [],
        "totals": _totals(found.form, found.groups),
        "previous": None
        if found.earlier is None
        else {
            **_range(before),
            "totals": _totals(found.form, found.earlier),
            "groups": _groups(found, found.earlier) if group_by else [],
        },
    }


def read_sums(
    kind: ReportKind, query: ReportQuery | CreditsQuery, reader: Reader, now: datetime, reads: SumReads
) -> Found:
    """The sums of a report. Raises ValidationFailed and Forbidden."""
    form, span = _FORMS[kind], _span(query, now)
    selection = _selection(form, query, reader)
    last_days: dict[Key, datetime] | None = None
    # Months do not say on which day a member was active, so the days are read in their place.
    by_days = kind is ReportKind.USERS and span.period is Period.MONTHLY
    if by_days:
        _check_length(Span(Period.DAILY, span.first, span.end))
    series = read_series(selection, Span(Period.DAILY, span.first, span.end) if by_days else span, reads)
    if kind is ReportKind.USERS:
        last_days = _last_days(series)
    series = _by_month(series) if by_days else series
    before = span.previous()
    earlier = read_total(selection, before.first, before.end, reads) if query.previous else None
    groups = _merge(series.values())
    if not selection.group_by:
        groups = groups or {(): {}}
    return Found(form, span, selection, series, groups, earlier, last_days)


def _span(query: ReportQuery | CreditsQuery, now: datetime) -> Span:
    """The range of a query. Raises ValidationFailed for one that is empty or too long."""
    span = whole_span(query.period, query.begin, query.end, now)
    if span.first >= span.end:
        raise ValidationFailed([{"path": "query.from", "message": "must be before `to`"}])
    _check_length(span)
    return span


def _check_length(span: Span) -> None:
    most = PERIODS_MAX[span.period]
    if shift(span.period, span.first, most) < span.end:
        message = f"a range that is read in periods of the kind {span.period.value} has at most {most} of them"
        raise ValidationFailed([{"path": "query.from", "message": message}])


def _selection(form: _Form, query: ReportQuery | CreditsQuery, reader: Reader) -> Selection:
    """What the query is about. Raises Forbidden when it would show what another member did."""
    if isinstance(query, CreditsQuery):
        return Selection(reader.workspace_id, form.dataset)
    group_by, filters = query.dimensions or form.dimensions, query.filters
    is_own = filters.get("user") == reader.user_id
    if PERSONAL & {*group_by, *filters} and not (reader.sees_members or is_own):
        raise Forbidden("Only owners and admins may read what single members did; ask for `user=` with your own id.")
    return Selection(reader.workspace_id, form.dataset, group_by, filters)


def _check_size(span: Span, groups: Grouped, earlier: Grouped) -> None:
    rows = (len(span.starts()) + 1) * len(groups) + len(earlier)
    if rows > ROWS_MAX:
        message = (
            f"this would be {rows} rows, and {ROWS_MAX} are allowed: group by less, filter, or take a shorter range"
        )
        raise ValidationFailed([{"path": "query.group_by", "message": message}])


def _merge(parts: Iterable[Grouped]) -> Grouped:
    result: Grouped = {}
    for part in parts:
        for key, counts in part.items():
            kept = result.setdefault(key, {})
            for name, value in counts.items():
                kept[name] = kept.get(name, 0) + value
    return result


def _by_month(days: Mapping[datetime, Grouped]) -> dict[datetime, Grouped]:
    months: dict[datetime, list[Grouped]] = {}
    for day, groups in days.items():
        months.setdefault(floor(Period.MONTHLY, day), []).append(groups)
    return {month: _merge(parts) for month, parts in months.items()}


def _last_days(series: Mapping[datetime, Grouped]) -> dict[Key, datetime]:
    """The last period of each group in which there was a request."""
    found: dict[Key, datetime] = {}
    for start in sorted(series):
        found |= {key: start for key, counts in series[start].items() if counts.get("requests", 0) > 0}
    return found


def _series(found: Found) -> Iterator[dict[str, Any]]:
    """Each period with each group of the range, zeros too."""
    keys = _sorted(found.form, found.groups)
    for start in found.span.starts():
        groups = found.series.get(start, {})
        whole = total(groups.values())
        for key in keys:
            sums = found.form.measure(groups.get(key, {}), whole)
            yield {"period_start": start, "group": _named(found.selection, key), **sums}


def _groups(found: Found, groups: Grouped) -> list[dict[str, Any]]:
    whole, rows = total(groups.values()), list[dict[str, Any]]()
    for key in _sorted(found.form, groups):
        row = {"group": _named(found.selection, key), **found.form.measure(groups[key], whole)}
        if found.last_days is not None and groups is found.groups:
            day = found.last_days.get(key)
            row["last_day_active"] = day.date().isoformat() if day else None
        rows.append(row)
    return rows


def _totals(form: _Form, groups: Grouped) -> Mapping[str, Any]:
    whole = total(groups.values())
    return form.measure(whole, whole)


def _sorted(form: _Form, groups: Grouped) -> list[Key]:
    """The largest first, and the same order for the same sums."""
    return sorted(groups, key=lambda key: (-form.size(groups[key]), key))


def _named(selection: Selection, key: Key) -> dict[str, str | None]:
    return {name: value or None for name, value in zip(selection.group_by, key, strict=True)}


def _range(span: Span) -> dict[str, Any]:
    return {"from": span.first, "to": span.end}
