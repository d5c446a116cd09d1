"""Charts: what they show, what a picture is made of, and the table with the same values."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.adapters.charts.pygal_charts import PygalCharts
from atelier.analytics.chart import Chart, Theme, ticks
from atelier.analytics.chart_schemas import ChartQuery, CreditsChartQuery
from atelier.analytics.chart_texts import CHART_TEXTS
from atelier.analytics.draw_chart import LINES_MAX, ChartDeps, ChartFile, ChartName, build_chart, draw_chart
from atelier.analytics.model import Dataset, Group
from atelier.analytics.sketch import bucket
from atelier.errors import Forbidden
from tests.unit.analytics.sums_in_memory import SumsInMemory, at
from tests.unit.analytics.test_report import ADMIN, CANVAS, NOW, PAID, VIEWER, month

SVG = "{http://www.w3.org/2000/svg}"
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


def query_of(name: ChartName, **query: Any) -> ChartQuery | CreditsChartQuery:
    model = CreditsChartQuery if name is ChartName.CREDITS else ChartQuery
    return model.model_validate(NOVEMBER | query)


def chart(name: ChartName, sums: SumsInMemory, **query: Any) -> Chart:
    return build_chart(name, query_of(name, **query), ADMIN, NOW, sums)


def drawn(name: ChartName, sums: SumsInMemory, known_tag: str | None = None, **query: Any) -> ChartFile:
    return draw_chart(name, query_of(name, **query), ADMIN, known_tag, NOW, ChartDeps(sums, PygalCharts()))


def shown(found: Chart) -> dict[str, dict[str, float]]:
    """The values that are not zero, by line and label."""
    return {
        line.name: {label: value for label, value in zip(found.labels, line.values, strict=True) if value}
        for line in found.lines
    }


def test_cost_is_shown_by_model_in_dollars() -> None:
    found = chart(ChartName.COST, month())
    assert shown(found) == {"openai/gpt-image-1": {"2026-11-02": 0.001}, "local/canvas": {}}
    assert found.title == "Cost in US dollars by model by day"
    assert "openai/gpt-image-1: $0.001 in all." in found.description
    assert len(found.labels) == 30


def test_requests_are_shown_by_how_they_ended_or_by_group() -> None:
    assert shown(chart(ChartName.USAGE, month(), language="de", period="monthly")) == {
        "erfolgreich": {"2026-11": 8},
        "fehlgeschlagen": {"2026-11": 1},
    }
    by_project = shown(chart(ChartName.USAGE, month(), group_by="project,kind", period="monthly"))
    assert by_project == {"none · image": {"2026-11": 5}, "prj_a · image": {"2026-11": 4}}


def test_latency_is_shown_by_percentile_and_has_gaps() -> None:
    sums = SumsInMemory()
    sums.count(at("2026-11-02T10"), CANVAS, durations=100, **{bucket(1000): 90, bucket(8000): 10})
    median, _, highest = chart(ChartName.LATENCY, sums).lines
    assert (median.values[0], median.values[1]) == (None, pytest.approx(1, rel=0.03))
    assert highest.values[1] == pytest.approx(8, rel=0.03)


def test_credits_that_went_are_below_zero() -> None:
    sums = SumsInMemory()
    sums.count(at("2026-11-02T10"), Group(), Dataset.CREDITS, granted_daily=50, granted_promo=5, spent=30, expired=20)
    values = shown(chart(ChartName.CREDITS, sums))
    assert (values["granted"], values["spent"]) == ({"2026-11-02": 55}, {"2026-11-02": -30})


def test_small_groups_are_shown_together() -> None:
    sums = SumsInMemory()
    for number in range(LINES_MAX + 3):
        sums.count(at("2026-11-02T10"), Group(model=f"local/{number}"), requests=10 + number)
    found = shown(chart(ChartName.USAGE, sums, group_by="model"))
    assert list(found) == [*(f"local/{number}" for number in range(8, 2, -1)), "other"]
    assert found["other"] == {"2026-11-02": 10 + 11 + 12}


def test_a_chart_shows_no_more_than_its_report_would() -> None:
    with pytest.raises(Forbidden):
        build_chart(ChartName.USAGE, query_of(ChartName.USAGE, group_by="user"), VIEWER, NOW, month())


@pytest.mark.parametrize("theme", Theme)
@pytest.mark.parametrize("name", ChartName)
def test_a_picture_is_described_and_needs_nothing_but_itself(name: ChartName, theme: Theme) -> None:
    sums = month()
    hostile = '<script>alert("1")</script>&'
    sums.count(at("2026-11-03T10"), Group(model=hostile, kind="image"), requests=90, succeeded=90, durations=1)
    sums.count(at("2026-11-03T10"), Group(), Dataset.CREDITS, granted_daily=3)
    query = {"theme": theme} | ({} if name is ChartName.CREDITS else {"group_by": "model"})
    file = drawn(name, sums, **query)
    assert file.headers["Content-Type"] == "image/svg+xml"
    root = ET.fromstring(file.data)
    assert root.get("role") == "img"
    texts = {root.findtext(f"{SVG}title"), root.findtext(f"{SVG}desc")}
    expected = chart(name, sums, **query)
    assert texts == {expected.title, expected.description}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        *("svg", "title", "desc", "defs", "style", "g", "rect", "path", "line", "text", "circle"),
    }
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on") or "href" in name]
    text = file.data.decode().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|@font-face|<!--", text)
    assert (hostile in "".join(root.itertext())) == (name is not ChartName.CREDITS)
    drawing = [each for each in root.iter() if "reactive" in (each.get("class") or "").split()]
    assert len(drawing) > len(expected.lines)


@pytest.mark.parametrize("name", ChartName)
def test_the_same_values_are_the_same_file_which_is_sent_once(name: ChartName) -> None:
    first, again = drawn(name, month()), drawn(name, month())
    assert (first.data, first.headers) == (again.data, again.headers)
    known = drawn(name, month(), known_tag=f'"else", {first.headers["ETag"]}')
    assert (known.status, known.data, known.headers["ETag"]) == (304, b"", first.headers["ETag"])
    changed = month()
    changed.count(at("2026-11-09T01"), PAID, requests=1, succeeded=1, cost_usage_microusd=5_000_000, durations=1)
    changed.count(at("2026-11-09T01"), PAID, **{bucket(50): 1})
    changed.count(at("2026-11-09T01"), Group(), Dataset.CREDITS, spent=1)
    assert drawn(name, changed, known_tag=first.headers["ETag"]).status == 200


def test_nothing_is_a_picture_too() -> None:
    for name in ChartName:
        assert ET.fromstring(drawn(name, SumsInMemory()).data).findtext(f"{SVG}title")


def test_the_table_has_the_values_of_the_picture() -> None:
    sums = month()
    sums.count(at("2026-11-03T10"), Group(model="<b>&", kind="image"), cost_usage_microusd=1_234_567_890_000)
    file = drawn(ChartName.COST, sums, format="html", period="monthly", language="de")
    assert file.headers["Content-Type"] == "text/html; charset=utf-8"
    root = ET.fromstring(re.sub(r"<(meta)([^>]*)>", r"<\1\2/>", file.data.decode().partition("\n")[2]))
    rows = [[cell.text for cell in row] for row in root.iter("tr")]
    assert rows == [
        ["Zeitraum (UTC)", "<b>&", "openai/gpt-image-1", "local/canvas"],
        ["2026-11", "$1.234.567,89", "$0,001", "$0,00"],
    ]
    assert root.findtext(".//caption") == "Kosten in US-Dollar nach Modell je Monat"


def test_each_language_has_each_word() -> None:
    assert {frozenset(texts) for texts in CHART_TEXTS.values()} == {frozenset(CHART_TEXTS["en"])}


AMOUNTS = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 4))


@given(AMOUNTS, AMOUNTS, st.booleans())
def test_ticks_are_round_values_around_all_others(one: float, other: float, whole: bool) -> None:
    lowest, highest = sorted((one, other))
    found = ticks(lowest, highest, whole=whole)
    assert 2 <= len(found) <= 8
    assert found[0] <= lowest
    assert found[-1] >= highest
    assert 0 in found
    steps = {round(after - before, 6) for before, after in pairwise(found)}
    assert len(steps) == 1
    assert re.fullmatch(r"[125](\.0+)?e[+-]\d+", f"{steps.pop():.3e}")
    assert not whole or all(value == int(value) for value in found)
