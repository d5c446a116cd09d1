"""Rendering: what becomes of pages, parts, images, feeds, and of values that want out of their place."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.deployments.render.files import RenderedFile, SiteAsset
from atelier.deployments.render.site import assets_of, render_site
from atelier.deployments.render.values import css_value, fill_html, safe_url
from atelier.sites.model import PartParameter, PublishedSite, Redirect, Seo, SiteSettings
from tests.unit.deployments.sites import IMAGE, block, card, image, page, published, use

BASE = "https://oak.example"


def rendered(site: PublishedSite, assets: dict[str, SiteAsset] | None = None) -> dict[str, RenderedFile]:
    files = list(render_site(site, assets or {}, BASE))
    assert len({file.path for file in files}) == len(files)
    return {file.path: file for file in files}


def text(files: dict[str, RenderedFile], path: str) -> str:
    body = files[path].body
    assert body is not None
    return body.decode()


def test_each_page_is_a_document_at_its_path() -> None:
    files = rendered(published(page("/", title="Home"), page("/about", title="About us")))
    home, about = text(files, "/index.html"), text(files, "/about/index.html")
    assert home.startswith('<!doctype html>\n<html lang="en">')
    assert "<title>Home</title>" in home
    assert '<link rel="canonical" href="https://oak.example/about/">' in about
    assert '<meta name="description" content="Chairs and tables made of oak.">' in about
    assert '<meta property="og:site_name" content="Oak &amp; Sons">' in about
    assert "<main>\n<h1>About us</h1>" in about
    assert files.keys() >= {"/404.html", "/robots.txt", "/sitemap.xml"}


def test_equal_input_makes_equal_bytes_whatever_the_order_of_parts() -> None:
    first, second = card("<p>one</p>", "p{color:red}"), card("<b>two</b>", "b{color:blue}")
    second = replace(second, id="cmp_Z")
    pages = (page("/", use()), page("/about"))
    one, other = published(*pages, parts=(first, second)), published(*pages, parts=(second, first))
    assert list(render_site(one, {}, BASE)) == list(render_site(other, {}, BASE))


def test_stylesheets_are_named_by_their_content_and_shared() -> None:
    before = rendered(published(page("/"), page("/a", block("<p>1</p>"))))
    after = rendered(published(page("/"), page("/a", block("<p>2</p>"))))
    changed = {path for path in after if before.get(path) != after[path]}
    assert changed == {"/a/index.html"}
    restyled = rendered(published(page("/"), page("/a", block("<p>1</p>", "p{color:red}"))))
    assert {path for path in restyled if before.get(path) != restyled[path]} == {
        "/a/index.html",
        *(path for path in restyled if path not in before),
    }
    assert text(restyled, next(path for path in restyled if path not in before)) == "p{color:red}"


def test_the_theme_is_variables_of_every_page() -> None:
    files = rendered(published(page("/")))
    css = text(files, next(path for path in files if path.endswith(".css")))
    assert css.startswith(":root{--color-background:#fff;--color-text:#222}")


def test_a_part_takes_values_and_slots() -> None:
    part = card(
        '<article><h2>{{ heading }}</h2><slot name="body"><p>Nothing yet, {{ heading }}.</p></slot></article>',
        "article{color:{{ tint }}}",
        (PartParameter("heading", "Untitled"), PartParameter("tint", "black")),
    )
    site = published(
        page("/", use({"heading": "<Oak>", "tint": "rgb(1,2,3)"}, {"body": "<em>{{ heading }}</em>"})), parts=(part,)
    )
    files = rendered(site)
    html = text(files, "/index.html")
    assert "<h2>&lt;Oak&gt;</h2>" in html
    # What a use writes itself is not a template.
    assert "<em>{{ heading }}</em>" in html
    css = "".join(text(files, path) for path in files if path.endswith(".css"))
    variable = re.search(r"article\{color:var\((--[\w-]+)\)\}", css)
    assert variable is not None
    assert f"{variable[1]}:rgb(1,2,3)" in css
    plain = text(rendered(published(page("/", use()), parts=(part,))), "/index.html")
    assert "<p>Nothing yet, Untitled.</p>" in plain


def test_two_uses_of_a_part_have_their_own_values_in_css() -> None:
    part = card("<i>x</i>", "i{color:{{ tint }}}", (PartParameter("tint", "red"),))
    files = rendered(published(page("/", use({"tint": "blue"}, id="1"), use(id="2")), parts=(part,)))
    css = "".join(text(files, path) for path in files if path.endswith(".css"))
    assert re.findall(r"\.use-[0-9a-f]{12}\{display:contents;--[\w-]+:(\w+)\}", css) == ["blue", "red"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/a", "https://example.com/a"),
        ("/about?x=1#y", "/about?x=1#y"),
        ("mailto:a@example.com", "mailto:a@example.com"),
        ("javascript:marker", "#"),
        ("java\nscript:marker", "#"),
        (" JaVaScRiPt:marker", "#"),
        ("data:text/plain,marker", "#"),
        ("vbscript:marker", "#"),
    ],
)
def test_addresses_of_other_schemes_lead_nowhere(url: str, shown: str) -> None:
    assert safe_url(url) == shown
    assert f'href="{shown}"' in fill_html('<a href="{{ link }}">x</a>', {"link": url})


@pytest.mark.parametrize("value", ["red", "#fff", "rgb(1, 2, 3)", "calc(1rem + 2px)", "1.5em"])
def test_css_takes_plain_values(value: str) -> None:
    assert css_value(value) == value


@pytest.mark.parametrize("value", ["red}", "url(marker)", "a;b:c", "image-set(x)", "\\75 rl(x)", '"', "@import", "/*"])
def test_css_takes_no_value_that_leaves_its_place(value: str) -> None:
    assert css_value(value) == ""


class _Tags(HTMLParser):
    """Names of the tags and attributes of a document."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(f"{tag}@{name}" for name, _ in attrs)}


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="<>\"'&;{}= abmarker/-", max_size=40))
def test_no_value_makes_a_tag_or_an_attribute(value: str) -> None:
    template = '<p title="{{ a }}" style="color:{{ a }}">{{ a }}<a href="{{ a }}">{{ a }}</a></p>'
    parser = _Tags()
    parser.feed(fill_html(template, {"a": value}))
    assert parser.found == {"p", "p@title", "p@style", "a", "a@href"}


def test_an_image_has_its_size_and_variants() -> None:
    html = f'<h1>x</h1><img src="asset:{IMAGE}" alt="An oak"><img src="asset:{IMAGE}">'
    files = rendered(published(page("/", block(html))), {IMAGE: image(480, 960, 2000)})
    first, second = re.findall(r"<img [^>]*>", text(files, "/index.html"))
    paths = [variant.path for variant in image(480, 960, 2000).variants]
    assert f'src="{paths[2]}"' in first
    assert f'srcset="{paths[0]} 480w, {paths[1]} 960w, {paths[2]} 2000w"' in first
    assert 'width="2000" height="1000"' in first
    assert 'alt="An oak"' in first
    assert 'fetchpriority="high"' in first
    assert "loading" not in first
    assert 'alt=""' in second
    assert 'loading="lazy"' in second
    assert {path: files[path].stored for path in paths} == {v.path: v.digest for v in image(480, 960, 2000).variants}


def test_an_image_that_is_gone_loads_nothing() -> None:
    files = rendered(
        published(page("/", block(f'<img src="asset:{IMAGE}" alt="x">', f"p{{background:url(asset:{IMAGE})}}")))
    )
    assert "asset:" not in "".join(file.body.decode() for file in files.values() if file.body)


def test_the_assets_of_a_site_are_found_wherever_they_are_named() -> None:
    ids = [f"ast_01ARZ3NDEKTSV4RRFFQ69G5FA{letter}" for letter in "ABCDEFG"]
    part = card(f"<img src='asset:{ids[0]}'>", f"p{{background:url(asset:{ids[1]})}}")
    site = published(
        page("/", block(f"asset:{ids[2]}"), use({"x": f"asset:{ids[3]}"}, {"y": f"asset:{ids[4]}"})),
        page("/b", seo=Seo(image_asset_id=ids[5])),
        parts=(part,),
        settings=SiteSettings(favicon_asset_id=ids[6]),
    )
    assert assets_of(site) == ids


def test_scripts_are_there_only_where_the_site_has_them() -> None:
    pages = page("/", block("<p>x</p>", js="marker()"))
    assert "marker" not in "".join(file.body.decode() for file in rendered(published(pages)).values() if file.body)
    files = rendered(published(pages, settings=SiteSettings(scripts=True)))
    (script,) = [path for path in files if path.endswith(".js")]
    assert text(files, script) == "(() => {\nmarker()\n})();"
    assert f'<script src="{script}" defer></script>' in text(files, "/index.html")


def test_header_and_footer_stand_beside_the_main_content() -> None:
    blocks = [block(html, id=html) for html in ("<nav>n</nav>", "<p>a</p>", "<footer>f</footer>")]
    assert "<nav>n</nav>\n<main>\n<p>a</p>\n</main>\n<footer>f</footer>" in text(
        rendered(published(page("/", *blocks))), "/index.html"
    )


def test_feeds_have_the_pages_below_their_path_newest_first() -> None:
    site = published(page("/"), page("/blog"), page("/blog/a", title="A & B", days=1), page("/blog/b", days=2))
    files = rendered(site)
    feed = ET.fromstring(text(files, "/blog/feed.xml"))
    atom = "{http://www.w3.org/2005/Atom}"
    assert [entry.findtext(f"{atom}id") for entry in feed.iter(f"{atom}entry")] == [
        f"{BASE}/blog/b/",
        f"{BASE}/blog/a/",
    ]
    data = json.loads(text(files, "/blog/feed.json"))
    assert [item["title"] for item in data["items"]] == ["A page", "A & B"]
    assert 'href="/blog/feed.xml"' in text(files, "/index.html")


def test_search_engines_are_told_what_to_find() -> None:
    site = published(page("/"), page("/hidden", seo=Seo(no_index=True)), page("/404"))
    files = rendered(site)
    assert re.findall(r"<loc>([^<]*)</loc>", text(files, "/sitemap.xml")) == [f"{BASE}/"]
    assert f"Sitemap: {BASE}/sitemap.xml" in text(files, "/robots.txt")
    assert '<meta name="robots" content="noindex">' in text(files, "/hidden/index.html")
    preview = {file.path: file for file in render_site(site, {}, BASE, preview=True)}
    assert "Disallow: /" in text(preview, "/robots.txt")


def test_redirects_are_no_files() -> None:
    moved = SiteSettings(redirects=(Redirect("/old", "/"),))
    assert not [path for path in rendered(published(page("/"), settings=moved)) if "old" in path]
