"""Make HTML of an article's Markdown: sanitised as pages of sites are, with addresses that stand anywhere. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING

from atelier.articles.model import ArticleContent
from atelier.sites.rules import Removal, SanitizeRules

# Most requests render no body, and what reads Markdown and cleans HTML takes a tenth of a cold start.
if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_ASSET = re.compile(r"asset:(ast_[0-7][0-9A-HJKMNP-TV-Z]{25})")
# Deeper lists and quotations cost much and show nothing.
NESTING_MAX = 20


@cache
def _reader() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # HTML in a body is shown as text.
    return MarkdownIt("commonmark", {"html": False, "maxNesting": NESTING_MAX}).enable(["table", "strikethrough"])


def render_body(
    content: ArticleContent, base_url: str, file_url: Callable[[str], str]
) -> tuple[str, tuple[Removal, ...]]:
    """The HTML of the body, and what was taken out. base_url: of the deployment, before addresses that begin with `/`.
    file_url(asset_id): where an asset is read. Raises ValidationFailed for too many elements."""
    from atelier.sites.sanitize import clean_html

    tokens = _reader().parse(content.body)
    for token in _all(tokens):
        href = token.attrGet("href")
        if isinstance(href, str) and href.startswith("/") and not href.startswith("//"):
            token.attrSet("href", base_url + href)
        # The article's title is the page's first heading.
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        if token.type == "image":
            token.attrSet("loading", "lazy")
    html = _reader().renderer.render(tokens, _reader().options, {})
    cleaned, removed = clean_html(html, SanitizeRules(frozenset(content.image_hosts)))
    return _ASSET.sub(lambda found: file_url(found[1]), cleaned), removed


def _all(tokens: Sequence[Token]) -> Sequence[Token]:
    found: list[Token] = []
    waiting = [*tokens]
    while waiting:
        token = waiting.pop()
        found.append(token)
        waiting += token.children or ()
    return found
