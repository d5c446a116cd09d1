"""Values put into HTML and CSS, escaped for the place where they stand.

The HTML of blocks and parts has been through the sanitiser, which writes every attribute as `name="value"`; the values
of a part's parameters have not, so each is escaped for what it becomes: text, an address, or a value of CSS."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape, unescape

_NAME = r"\{\{ ?([a-z][a-z0-9_-]{0,39}) ?\}\}"
_PLACEHOLDER = re.compile(_NAME)
# An attribute, or a placeholder outside of one.
_PLACE = re.compile(r' ([a-z][a-z0-9:-]{0,39})="([^"]*)"|' + _NAME)
_URL_ATTRIBUTES = frozenset({"href", "src", "poster", "cite", "action", "formaction", "data"})
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,19}):")
_SCHEMES = frozenset({"http", "https", "mailto", "tel", "asset"})
_CSS_VALUE = re.compile(r"[\w #%.,+()-]{0,200}")
_CSS_FUNCTION = re.compile(r"([\w-]{0,200})\(")
_CSS_FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla", "oklch", "oklab", "calc", "min", "max", "clamp", "var"})
UNSAFE_URL = "#"


def safe_url(url: str) -> str:
    """The address, or `#` for one of a scheme that could run something. Browsers skip white space and control
    characters in a scheme, so they do not count here either."""
    plain = "".join(character for character in url if character > " ")
    scheme = _SCHEME.match(plain)
    return url.strip() if scheme is None or scheme[1].lower() in _SCHEMES else UNSAFE_URL


def css_value(value: str) -> str:
    """The value, or nothing for one that could leave its declaration or load something."""
    if not _CSS_VALUE.fullmatch(value):
        return ""
    return value if all(found[1].lower() in _CSS_FUNCTIONS for found in _CSS_FUNCTION.finditer(value)) else ""


def fill_html(html: str, values: Mapping[str, str]) -> str:
    """Sanitised HTML with its `{{ name }}` replaced."""
    if "{{" not in html:
        return html

    def fill(found: re.Match[str]) -> str:
        name, value, outside = found.groups()
        if outside is not None:
            return escape(values.get(outside, ""))
        if "{{" not in value:
            return found[0]
        if name == "style":
            return f' style="{escape(_filled(value, values, css_value))}"'
        filled = _filled(unescape(value), values, str)
        return f' {name}="{escape(safe_url(filled) if name in _URL_ATTRIBUTES else filled)}"'

    return _PLACE.sub(fill, html)


def fill_css(css: str, variables: Mapping[str, str]) -> str:
    """CSS with each `{{ name }}` replaced by the CSS variable that has its value."""
    return _filled(css, variables, lambda variable: f"var({variable})")


def has_placeholder(text: str) -> bool:
    """Whether a text has a `{{ name }}`."""
    return _PLACEHOLDER.search(text) is not None


def _filled(text: str, values: Mapping[str, str], quote: Callable[[str], str]) -> str:
    """Placeholders of unknown names are left out. A value is put in once: what it says is not looked at again."""
    return _PLACEHOLDER.sub(lambda found: quote(values.get(found[1], "")), text)
