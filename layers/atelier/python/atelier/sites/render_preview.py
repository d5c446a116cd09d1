"""Render one version of a page as a document of its own, for a preview. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape

from atelier.sites.model import Block, PageVersion, Part, Site
from atelier.sites.rules import SanitizeRules
from atelier.sites.sanitize import clean_html
from atelier.sites.sanitize_css import clean_css

_PARAMETER = re.compile(r"\{\{ ?([a-z][a-z0-9_]{0,39}) ?\}\}")


def render_preview(site: Site, version: PageVersion, parts: Mapping[str, Part]) -> str:
    """The document, in which assets still have addresses of the scheme `asset:`. Parts are put in and sanitised again,
    since the value of a parameter may be an address."""
    content, rules = version.content, SanitizeRules(frozenset(site.settings.allowed_hosts), site.settings.scripts)
    expanded = [_expand(block, parts, rules) for block in content.blocks]
    tokens = "".join(f"--{name}: {value};" for name, value in site.theme.items())
    css = "\n".join([f":root{{{tokens}}}" if tokens else "", *(css for _, css, _ in expanded)])
    scripts = [js.replace("</", "<\\/") for _, _, js in expanded if js] if site.settings.scripts else []
    body = "\n".join(html for html, _, _ in expanded)
    return (
        f'<!doctype html>\n<html lang="{escape(content.language or site.settings.language)}">\n<head>\n'
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(content.seo.title or content.title)}</title>\n<style>{css}</style>\n</head>\n"
        f"<body>\n{body}\n{''.join(f'<script>{js}</script>' for js in scripts)}</body>\n</html>\n"
    )


def _expand(block: Block, parts: Mapping[str, Part], rules: SanitizeRules) -> tuple[str, str, str]:
    """HTML, CSS and JavaScript of a block."""
    if block.component_id is None:
        return block.html, block.css, block.js
    part = parts.get(block.component_id)
    if part is None:
        return "", "", ""
    values = {each.name: each.default for each in part.parameters} | dict(block.parameters)

    def filled(text: str) -> str:
        return _PARAMETER.sub(lambda found: escape(values.get(found[1], "")), text)

    # Slots stand on one level: a part's own HTML around them, and what the use puts in, which has no parameters.
    pieces, rest = list[str](), part.html
    while rest:
        own, _, rest = rest.partition('<slot name="')
        name, _, rest = rest.partition('">')
        inner, _, rest = rest.partition("</slot>")
        pieces += [filled(own), block.slots.get(name) or filled(inner)]
    html, _ = clean_html("".join(pieces), rules)
    css, _ = clean_css(_PARAMETER.sub(lambda found: values.get(found[1], ""), part.css), rules)
    return html, "\n".join([css, block.css]), part.js
