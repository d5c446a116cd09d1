"""Charts as SVG, drawn by pygal.

What pygal writes for its own script in a page is taken out: the script itself, which comes even with `js=[]`, tooltips,
and a description for each bar. What is left is the same for the same chart, and needs nothing but itself.
"""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET  # nosec B405 - elements are written, none is parsed

from pygal import Line as LineChart  # pyright: ignore[reportMissingTypeStubs]
from pygal import StackedBar  # pyright: ignore[reportMissingTypeStubs]
from pygal.etree import etree  # pyright: ignore[reportMissingTypeStubs]
from pygal.style import Style  # pyright: ignore[reportMissingTypeStubs]

from atelier.analytics.chart import Chart, Shape, Theme, ticks

# Otherwise pygal takes lxml where it is installed, whose output differs.
etree.to_etree()  # pyright: ignore[reportUnknownMemberType]

WIDTH, HEIGHT = 840, 360
LABELS_MAX = 7
# Each has a contrast of 3 : 1 with the pages that the themes are for (WCAG 2.2, 1.4.11).
COLORS = {
    Theme.LIGHT: ("#0b6e99", "#c2571a", "#3f7d20", "#8a4fa3", "#9a6b00", "#c03b5a", "#6b7280"),
    Theme.DARK: ("#5ab4dc", "#f0a060", "#8fce6a", "#c79be0", "#e6c34a", "#f08aa0", "#a0a7b4"),
}
INK = {Theme.LIGHT: ("#24292f", "#b8bec6"), Theme.DARK: ("#e6e8eb", "#4a515b")}
SURPLUS = ("script", "desc", "title")
# The legend: its columns, by whether a name is long, and the height of a row.
COLUMNS, COLUMNS_OF_LONG, LONG_NAME, ROW = 4, 2, 22, 20
FONTS = "system-ui, sans-serif"


class PygalCharts:
    """A ChartPainter."""

    def svg(self, chart: Chart, theme: Theme) -> bytes:
        drawn = (LineChart if chart.shape is Shape.LINES else StackedBar)(**_options(chart, theme))
        for line in chart.lines:
            drawn.add(line.name, list(line.values))  # pyright: ignore[reportUnknownMemberType]
        root: ET.Element = drawn.render_tree()  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        _clean(root)  # pyright: ignore[reportUnknownArgumentType]
        _describe(root, chart)  # pyright: ignore[reportUnknownArgumentType]
        return ET.tostring(root, encoding="utf-8", xml_declaration=True)  # pyright: ignore[reportUnknownArgumentType]


def _options(chart: Chart, theme: Theme) -> dict[str, Any]:
    values = [value for line in chart.lines for value in line.values if value is not None]
    stacks = list(zip(*(line.values for line in chart.lines), strict=True)) if chart.shape is Shape.STACKED_BARS else []
    highest = [sum(value for value in stack if value and value > 0) for stack in stacks] or values
    lowest = [sum(value for value in stack if value and value < 0) for stack in stacks] or [0]
    every = -(-len(chart.labels) // LABELS_MAX)
    columns = COLUMNS_OF_LONG if any(len(line.name) > LONG_NAME for line in chart.lines) else COLUMNS
    rows = -(-len(chart.lines) // columns)
    return {
        "style": _style(theme, 2 if chart.shape is Shape.LINES else 0),
        "js": [],
        "width": WIDTH,
        "height": HEIGHT,
        "title": chart.title,
        "x_labels": list(chart.labels),
        "x_labels_major": list(chart.labels[::every]),
        "show_minor_x_labels": False,
        "y_labels": ticks(min(lowest, default=0), max(highest, default=0), whole=chart.digits == 0),
        "value_formatter": chart.text,
        "truncate_label": -1,
        "truncate_legend": 48,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": columns,
        "legend_box_size": 12,
        "margin": 12,
        # pygal rounds the number of the legend's rows down, and cuts off the last one.
        "margin_bottom": 12 + ROW * (rows - len(chart.lines) // columns),
        "spacing": 12,
        "dots_size": 2.5,
        "no_data_text": "–",
    }


def _style(theme: Theme, stroke_width: int) -> Style:
    ink, rule = INK[theme]
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground=ink,
        foreground_strong=ink,
        foreground_subtle=rule,
        guide_stroke_color=rule,
        major_guide_stroke_color=rule,
        guide_stroke_dasharray="1,3",
        major_guide_stroke_dasharray="1,3",
        colors=COLORS[theme],
        opacity="1",
        opacity_hover="1",
        stroke_width=str(stroke_width),
        stroke_width_hover=str(stroke_width),
        transition="0s",
        font_family=FONTS,
        title_font_size=17,
        label_font_size=12,
        major_label_font_size=12,
        legend_font_size=13,
    )


def _clean(root: ET.Element) -> None:
    """Takes out comments (they contain the day), scripts, and what only the script would use."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (ET.Comment, *SURPLUS) or "tooltip" in child.get("class", "").split():
                parent.remove(child)


def _describe(root: ET.Element, chart: Chart) -> None:
    """One picture for who listens to the page: its title and its description."""
    identity = root.attrib["id"]
    # pygal's id is a new one each time; style rules contain it.
    for element in root.iter():
        element.text = element.text.replace(identity, "chart") if element.text else element.text
        for name, value in element.attrib.items():
            element.set(name, value.replace(identity, "chart"))
    root.attrib |= {
        "width": str(WIDTH),
        "height": str(HEIGHT),
        "role": "img",
        "aria-labelledby": "chart-title chart-description",
        "lang": chart.language,
    }
    for place, (name, part, text) in enumerate(
        [("title", "chart-title", chart.title), ("desc", "chart-description", chart.description)]
    ):
        element = ET.Element(name, {"id": part})
        element.text = text
        root.insert(place, element)
