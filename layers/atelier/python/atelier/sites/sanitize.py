"""Sanitise what people and models write into pages, and say what was taken out. Pure: nh3 parses HTML as browsers do
and writes it anew with allowed elements and attributes only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from string import ascii_lowercase

import nh3

from atelier.errors import ValidationFailed
from atelier.sites.model import Block, PageContent
from atelier.sites.rules import Removal, SanitizeRules, is_allowed_link, is_allowed_source
from atelier.sites.sanitize_css import clean_css, clean_style

TAGS = frozenset({
    "a", "abbr", "address", "article", "aside", "audio", "b", "bdi", "bdo", "blockquote", "br", "button", "caption",
    "cite", "code", "col", "colgroup", "data", "dd", "del", "details", "dfn", "div", "dl", "dt", "em", "figcaption",
    "figure", "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hgroup", "hr", "i", "img", "ins", "kbd", "li",
    "main", "mark", "menu", "nav", "ol", "p", "picture", "pre", "q", "rp", "rt", "ruby", "s", "samp", "search",
    "section", "small", "source", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "tfoot", "th",
    "thead", "time", "tr", "track", "u", "ul", "var", "video", "wbr",
})  # fmt: skip
EVERYWHERE = frozenset({"class", "id", "title", "lang", "dir", "role", "style", "hidden", "tabindex"})
PREFIXES = frozenset({"aria-", "data-"})
ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "a": frozenset({"href", "target", "rel", "download", "hreflang"}),
    "audio": frozenset({"src", "controls", "loop", "muted", "preload"}),
    "blockquote": frozenset({"cite"}),
    "button": frozenset({"type", "popovertarget"}),
    "col": frozenset({"span"}),
    "colgroup": frozenset({"span"}),
    "data": frozenset({"value"}),
    "del": frozenset({"datetime"}),
    "details": frozenset({"open", "name"}),
    "img": frozenset({"src", "srcset", "sizes", "alt", "width", "height", "loading", "decoding"}),
    "ins": frozenset({"datetime"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"start", "reversed", "type"}),
    "source": frozenset({"src", "srcset", "sizes", "media", "type", "width", "height"}),
    "td": frozenset({"colspan", "rowspan", "headers"}),
    "th": frozenset({"colspan", "rowspan", "headers", "scope"}),
    "time": frozenset({"datetime"}),
    "track": frozenset({"src", "kind", "srclang", "label", "default"}),
    "video": frozenset(
        {"src", "poster", "controls", "loop", "muted", "autoplay", "playsinline", "preload", "width", "height"}
    ),
}  # fmt: skip
SOURCES = frozenset({"src", "poster"})
LINKS = frozenset({"href", "cite"})
# nh3 knows an address by its scheme; all of these reach our own rules, which are stricter.
SCHEMES = {"https", "http", "mailto", "tel", "asset"}
SEEN_SCHEMES = SCHEMES | {"javascript", "data", "vbscript", "blob", "file", "ftp", "about", "ws", "wss"}
# Time grows with the number and depth of elements.
ELEMENTS_MAX = 5000
_ELEMENT = re.compile(r"<([a-zA-Z][a-zA-Z0-9:_-]{0,40})")
_REPORTED_MAX = 50


def clean_html(html: str, rules: SanitizeRules) -> tuple[str, tuple[Removal, ...]]:
    """HTML with allowed elements, attributes and addresses only, and what was taken out. Raises ValidationFailed for
    more than ELEMENTS_MAX elements."""
    if html.count("<") > ELEMENTS_MAX:
        raise ValidationFailed([{"path": "html", "message": f"has more than {ELEMENTS_MAX} elements"}])
    tags = TAGS | {"slot"} if rules.slots else TAGS
    found = dict[str, None]()

    def look(tag: str, name: str, value: str) -> str | None:
        wrong = list[str]()
        if tag in tags and _value(tag, name, value, rules, wrong) is None:
            wrong.append(name)
        found.update((f"{each} of <{tag}>", None) for each in wrong)
        return value

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        return _value(tag, name, value, rules, [])

    # Read once to see everything, since nh3 says nothing about what it takes out; then for good.
    nh3.clean(
        html,
        tags=set(tags),
        attributes={},
        generic_attribute_prefixes={*ascii_lowercase, "_", ":"},
        url_schemes=SEEN_SCHEMES,
        link_rel=None,
        attribute_filter=look,
    )
    cleaned = nh3.clean(
        html,
        tags=set(tags),
        attributes={"*": set(EVERYWHERE), "slot": {"name"}, **{tag: set(names) for tag, names in ATTRIBUTES.items()}},
        generic_attribute_prefixes=set(PREFIXES),
        url_schemes=SCHEMES,
        link_rel=None,
        attribute_filter=filter_attribute,
    )
    for name in _ELEMENT.findall(html):
        if name.lower() not in tags:
            found.setdefault(f"<{name.lower()}>")
    return cleaned, tuple(Removal(what, "html") for what in list(found)[:_REPORTED_MAX])


def clean_block(block: Block, rules: SanitizeRules) -> tuple[Block, tuple[Removal, ...]]:
    """A sanitised block, and what was taken out. Raises ValidationFailed."""
    html, removed = clean_html(block.html, rules)
    css, more = clean_css(block.css, rules)
    removed += more
    slots = dict[str, str]()
    for name, text in block.slots.items():
        slots[name], more = clean_html(text, rules)
        removed += more
    cleaned = replace(block, html=html, css=css, slots=slots)
    return cleaned, tuple(replace(each, block_id=block.id) for each in removed)


def clean_content(content: PageContent, rules: SanitizeRules) -> tuple[PageContent, tuple[Removal, ...]]:
    """A sanitised page, and what was taken out. Raises ValidationFailed."""
    blocks, removed = list[Block](), list[Removal]()
    for number, block in enumerate(content.blocks):
        try:
            cleaned, more = clean_block(block, rules)
        except ValidationFailed as error:
            fields = [{**each, "path": f"blocks.{number}.{each['path']}"} for each in error.facts["fields"]]
            raise ValidationFailed(fields) from error
        blocks.append(cleaned)
        removed += more
    return replace(content, blocks=tuple(blocks)), tuple(removed)


def _value(tag: str, name: str, value: str, rules: SanitizeRules, wrong: list[str]) -> str | None:
    """The value that an attribute keeps; None = the attribute is taken out. What is taken out of the value itself is
    added to `wrong`."""
    if not _is_known(tag, name):
        return None
    if name == "style":
        return clean_style(value, rules, wrong.append) or None
    if name in SOURCES:
        return value if is_allowed_source(value, rules) else None
    if name == "srcset":
        candidates = [each.split() for each in value.split(",") if each.strip()]
        return value if candidates and all(is_allowed_source(each[0], rules) for each in candidates) else None
    if name in LINKS:
        return value if is_allowed_link(value) else None
    if name == "target":
        return value if value in ("_blank", "_self") else None
    return value


def _is_known(tag: str, name: str) -> bool:
    if name in EVERYWHERE or name.startswith(tuple(PREFIXES)):
        return True
    return name in ATTRIBUTES.get(tag, ()) or (tag, name) == ("slot", "name")
