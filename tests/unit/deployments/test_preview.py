"""A preview is what is published: the same document, with its files inside."""

from __future__ import annotations

import re

from atelier.deployments.addresses import SiteHosts
from atelier.deployments.render.preview import render_preview
from atelier.deployments.render.site import render_site
from atelier.sites.model import PageVersion, PartParameter, SiteSettings
from tests.unit.deployments.sites import BEGIN, CARD, IMAGE, USER, block, card, page, published, use

HOSTS = SiteHosts(".sites.example")
BASE = "https://oak.sites.example"
FILE = re.compile(r'<link rel="stylesheet" href="([^"]+)">|<script src="([^"]+)" defer></script>')


def test_a_preview_has_the_words_of_the_published_page_and_its_files_inside() -> None:
    link = card(
        '<a href="{{ to }}">{{ words }}</a>', "a{color:{{ tone }}}", tuple(map(PartParameter, ["to", "words", "tone"]))
    )
    home = page(
        "/",
        block("<header>Oak</header>"),
        block("<h1>Chairs</h1>", css="h1{content:'</style>'}", js="const end = '</script>'", id="s"),
        use({"to": "javascript:mark()", "words": "<b>", "tone": "red;}x{"}),
    )
    site = published(home, parts=(link,), settings=SiteSettings(scripts=True))
    files = {file.path: (file.body or b"").decode() for file in render_site(site, {}, BASE)}
    version = PageVersion(home.id, 1, home.content, USER, BEGIN)
    shown = render_preview(site.site, version, {CARD: link}, hosts=HOSTS)
    expected = files["/index.html"]
    paths = [style or script for style, script in FILE.findall(expected)]
    assert len(paths) == 3
    assert not FILE.search(shown)
    for path in paths:
        inside = files[path].replace("</", "<\\/")
        assert shown.count(inside) == 1
        shown = shown.replace(f"<style>{inside}</style>", "").replace(f"<script>{inside}</script>\n", "")
    for path in paths:
        expected = expected.replace(f'<link rel="stylesheet" href="{path}">', "")
        expected = expected.replace(f'<script src="{path}" defer></script>', "")
    # The feeds and the whole site's styles are of a deployment alone.
    assert shown == expected


def test_assets_of_a_preview_wait_for_their_signed_addresses() -> None:
    home = page("/", block(f'<img src="asset:{IMAGE}" alt="A chair">', css=f"p{{background:url(asset:{IMAGE})}}"))
    site = published(home)
    shown = render_preview(site.site, PageVersion(home.id, 1, home.content, USER, BEGIN), {}, hosts=HOSTS)
    assert f'<img src="asset:{IMAGE}" alt="A chair" fetchpriority="high" decoding="async">' in shown
    assert f"url(asset:{IMAGE})" in shown
