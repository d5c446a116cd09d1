"""HTTP schemas of charts: those of reports, and how the chart is drawn."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from atelier.analytics.chart import Theme
from atelier.analytics.schemas import CreditsQuery, ReportQuery
from atelier.lazy_model import LazyModel


class Form(StrEnum):
    """A picture, or a page with a table of the same values."""

    SVG = "svg"
    HTML = "html"


class _Drawing(LazyModel):
    theme: Theme = Field(default=Theme.LIGHT, description="What the picture stands on; its background is transparent.")
    language: Literal["en", "de"] = "en"
    format: Form = Field(default=Form.SVG, description="`html`: the same values as a table.")


class ChartQuery(ReportQuery, _Drawing):
    """The query of a report, without `previous`, and how the chart is drawn."""


class CreditsChartQuery(CreditsQuery, _Drawing):
    """The query of the report of credits, without `previous`, and how the chart is drawn."""
