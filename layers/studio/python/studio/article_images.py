"""Images of articles that are on other hosts, as an editorial system elsewhere has them: our pages load nothing from
there (their Content-Security-Policy says so), so a link stands in their place."""

from __future__ import annotations

import re
from html import escape, unescape
from urllib.parse import urlsplit

# An image as the API's sanitiser writes it: each attribute in double quotes.
_IMAGE = re.compile(r'<img((?: [a-z-]+="[^"]*")*)>')
_ATTRIBUTE = re.compile(r' ([a-z-]+)="([^"]*)"')


def link_foreign_images(html: str, own_url: str, unnamed: str) -> str:
    """The HTML of an article with links in place of images that are not of the host of own_url. A link says the image's
    alternative text, or `unnamed` when it has none."""
    host = urlsplit(own_url).netloc

    def shown(image: re.Match[str]) -> str:
        attributes = {name: unescape(value) for name, value in _ATTRIBUTE.findall(image[1])}
        address = attributes.get("src", "")
        if urlsplit(address).netloc in ("", host):
            return image[0]
        text = attributes.get("alt", "").strip() or unnamed
        return f'<a class="article-image" href="{escape(address)}" rel="noreferrer noopener">{escape(text)}</a>'

    return _IMAGE.sub(shown, html)
