"""Templates: Jinja2, escaping everything; an undefined name is an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
