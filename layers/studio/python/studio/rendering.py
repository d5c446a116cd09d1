"""Templates: Jinja2, escaping everything; an undefined name is an error."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from studio.formats import FILTERS
from studio.strings import LANGUAGES

FOLDER = Path(__file__).parent


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.filters.update(FILTERS)
    available: dict[str, Any] = {"static": static_path, "languages": LANGUAGES}
    environment.globals.update(available)
    return environment


def render(template: str, values: Mapping[str, Any]) -> str:
    """The text of a template. Raises jinja2's errors for a mistake in the template."""
    return _environment().get_template(template).render(values)


@cache
def _static_files() -> Mapping[str, str]:
    return json.loads((FOLDER / "static_files.json").read_text("utf-8"))


def static_path(name: str) -> str:
    """The path of a static file, which changes with its content. Raises KeyError for a name that is not listed."""
    return _static_files()[name]


@dataclass(frozen=True, slots=True)
class Style:
    """A stylesheet as pages contain it. `source`: what allows it in the Content-Security-Policy, its hash."""

    element: Markup
    source: str


@cache
def style(name: str) -> Style:
    """A stylesheet of the folder `styles`. It is in the page, so that a page is shown as soon as it has arrived."""
    text = (FOLDER / "styles" / name).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    # The text is a file of this layer; nothing that somebody wrote is in it.
    return Style(Markup(f"<style>{text}</style>"), f"'sha256-{digest}'")  # nosec B704
