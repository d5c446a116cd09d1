"""Charts of reports: as a picture, or as a table with the same values."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from html import escape

from atelier.analytics.chart import MONEY_DIGITS, Chart, Line, Shape
from atelier.analytics.chart_schemas import ChartQuery, CreditsChartQuery, Form
from atelier.analytics.chart_texts import CHART_TEXTS
from atelier.analytics.measures import GRANTED, cost
from atelier.analytics.model import Counts, total
from atelier.analytics.period import Period, Span
from atelier.analytics.ports import ChartPainter, SumReads
from atelier.analytics.report import Found, Reader, ReportKind, read_sums
from atelier.analytics.sketch import percentile
from atelier.dataclass import dataclass

SVG_TYPE, HTML_TYPE = "image/svg+xml", "text/html; charset=utf-8"
# More are hard to tell apart; the rest is one line.
LINES_MAX = 6
# Of a file that somebody opens by itself: no script, nothing from elsewhere.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# Figures of the present period change with each generation.
CACHE_CONTROL = "private, max-age=60"
Value = Callable[[Counts], float | None]


class ChartName(StrEnum):
    """The charts."""

    COST = "cost"
    USAGE = "usage"
    LATENCY = "latency"
    CREDITS = "credits"


@dataclass(frozen=True, slots=True)
class ChartDeps:
    """Dependencies."""

    reads: SumReads
    painter: ChartPainter


@dataclass(frozen=True, slots=True)
class ChartFile:
    """A file, or 304 without one when the caller has it already."""

    status: int
    data: bytes
    headers: dict[str, str]


def draw_chart(
    name: ChartName,
    query: ChartQuery | CreditsChartQuery,
    reader: Reader,
    known_tag: str | None,
    now: datetime,
    deps: ChartDeps,
) -> ChartFile:
    """The chart in the form that the query names. known_tag: the header If-None-Match. Raises what `read_sums`
    raises."""
    chart = build_chart(name, query, reader, now, deps.reads)
    is_picture = query.format is Form.SVG
    data = deps.painter.svg(chart, query.theme) if is_picture else table(chart)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": CACHE_CONTROL, "Vary": "Authorization, Atelier-Workspace"}
    if known_tag is not None and tag in known_tag:
        return ChartFile(304, b"", headers)
    headers |= {"Content-Type": SVG_TYPE if is_picture else HTML_TYPE, "Content-Security-Policy": POLICY}
    return ChartFile(200, data, headers)


def build_chart(
    name: ChartName, query: ChartQuery | CreditsChartQuery, reader: Reader, now: datetime, reads: SumReads
) -> Chart:
    """The values and words of a chart."""
    query = query.model_copy(update={"previous": False})
    if name is ChartName.COST and isinstance(query, ChartQuery) and query.group_by is None:
        query = query.model_copy(update={"group_by": "model"})
    kind = ReportKind.CREDITS if name is ChartName.CREDITS else ReportKind.USAGE
    found, texts = read_sums(kind, query, reader, now, reads), CHART_TEXTS[query.language]
    group_by = found.selection.group_by
    names = {"names": " & ".join(texts[each] for each in group_by)}
    title = texts["latency_by" if name is ChartName.LATENCY and group_by else name.value]
    title = " ".join([title, *([texts["by"].format(**names)] if group_by else []), texts[found.span.period.value]])
    chart = Chart(
        title,
        "",
        query.language,
        Shape.LINES if name is ChartName.LATENCY else Shape.STACKED_BARS,
        texts["period"],
        tuple(_label(found.span.period, start) for start in found.span.starts()),
        tuple(_lines(name, found, query.language)),
        digits={ChartName.COST: MONEY_DIGITS, ChartName.LATENCY: 1}.get(name, 0),
        prefix="$" if name is ChartName.COST else "",
        suffix=" s" if name is ChartName.LATENCY else "",
    )
    return replace(chart, description=_description(chart, found.span))


def table(chart: Chart) -> bytes:
    """The values as a page with a table, for those who do not see the picture."""
    head = "".join(
        f'<th scope="col">{escape(each)}</th>' for each in (chart.label_name, *(line.name for line in chart.lines))
    )
    rows = "".join(
        f'<tr><th scope="row">{escape(label)}</th>'
        + "".join(f"<td>{escape(chart.text(line.values[place]))}</td>" for line in chart.lines)
        + "</tr>\n"
        for place, label in enumerate(chart.labels)
    )
    title, language = escape(chart.title), escape(chart.language)
    return (
        f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><style>:root{color-scheme:light dark;font-family:system-ui,'
        "sans-serif}td{text-align:end}td,th{padding:.2rem .8rem}caption{font-weight:600}</style></head>\n"
        f"<body><p>{escape(chart.description)}</p>\n<table><caption>{title}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table></body></html>\n"
    ).encode()


def _lines(name: ChartName, found: Found, language: str) -> Iterable[Line]:
    texts, values = CHART_TEXTS[language], _VALUES[name]
    if not found.selection.group_by:
        lines = [
            Line(texts[each], tuple(value(counts) for counts in _by_period(found, [()])))
            for each, value in values.items()
        ]
        # What did not happen needs no place in the legend, unless nothing did.
        yield from [line for line in lines if any(line.values)] or lines[:1]
        return
    value = _GROUPED[name]
    keys = sorted(found.groups, key=lambda key: (-(value(found.groups[key]) or 0), key))
    # A percentile of the rest of them would say nothing.
    rest = keys[LINES_MAX:] if name is not ChartName.LATENCY else []
    if not keys:
        yield Line(texts["nothing"], tuple(value(counts) for counts in _by_period(found, [])))
    for key in keys[:LINES_MAX]:
        named = " · ".join(each or texts["none"] for each in key)
        yield Line(named, tuple(value(counts) for counts in _by_period(found, [key])))
    if rest:
        yield Line(texts["other"], tuple(value(counts) for counts in _by_period(found, rest)))


def _by_period(found: Found, keys: Sequence[tuple[str, ...]]) -> Iterable[Counts]:
    """The counts of some groups together, in each period."""
    for start in found.span.starts():
        groups = found.series.get(start, {})
        yield total(groups[key] for key in keys if key in groups)


def _label(period: Period, start: datetime) -> str:
    if period is Period.HOURLY:
        return f"{start:%m-%d %H:00}"
    return f"{start:%Y-%m}" if period is Period.MONTHLY else f"{start:%Y-%m-%d}"


def _description(chart: Chart, span: Span) -> str:
    texts = CHART_TEXTS[chart.language]
    form = "highest" if chart.shape is Shape.LINES else "sum"
    parts = [texts["range"].format(first=_label(span.period, span.first), end=_label(span.period, span.end))]
    for line in chart.lines:
        known = [value for value in line.values if value is not None]
        value = (max(known, default=None) if form == "highest" else sum(known)) if known else None
        parts.append(texts[form].format(name=line.name, value=chart.text(value)))
    return " ".join(parts)


def _dollars(counts: Counts) -> float:
    return cost(counts) / 1_000_000


def _counter(name: str, sign: int = 1) -> Value:
    return lambda counts: sign * counts.get(name, 0)


def _seconds(share: float) -> Value:
    def value(counts: Counts) -> float | None:
        found = percentile(counts, share)
        return None if found is None else found / 1000

    return value


def _granted(counts: Counts) -> float:
    return sum(value for name, value in counts.items() if name.startswith(GRANTED))


# The lines of a chart without groups, and the value of a group.
_VALUES: dict[ChartName, dict[str, Value]] = {
    ChartName.COST: {"cost": _dollars},
    ChartName.USAGE: {name: _counter(name) for name in ("succeeded", "failed", "cancelled", "expired")},
    ChartName.LATENCY: {"p50": _seconds(0.5), "p95": _seconds(0.95), "p99": _seconds(0.99)},
    ChartName.CREDITS: {
        "granted": _granted,
        **{name: _counter(name, -1) for name in ("spent", "expired", "revoked", "transferred")},
    },
}
_GROUPED: dict[ChartName, Value] = {
    ChartName.COST: _dollars,
    ChartName.USAGE: _counter("requests"),
    ChartName.LATENCY: _seconds(0.95),
}
