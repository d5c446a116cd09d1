"""The customer's pages."""

from __future__ import annotations

from infra.simulators.kit import html
from infra.simulators.kit.html import button, field, form, form_of, link, paragraph, redirect, rows, section, table
from infra.simulators.kit.messages import Response

__all__ = [
    "button",
    "field",
    "form",
    "form_of",
    "link",
    "page",
    "paragraph",
    "redirect",
    "rows",
    "section",
    "table",
]


def page(title: str, *blocks: str, status: int = 200) -> Response:
    """A page of these blocks of HTML."""
    return html.page(title, *blocks, about="A simulator of Stripe: no money moves.", status=status)
