"""Nothing that strangers or models write runs or loads: a corpus with harmless markers, and what is said about it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.errors import ValidationFailed
from atelier.sites.rules import SanitizeRules
from atelier.sites.sanitize import ELEMENTS_MAX, TAGS, clean_html
from atelier.sites.sanitize_css import NESTING_MAX, check_token, clean_css

RULES = SanitizeRules()
ASSET = "asset:ast_01ARZ3NDEKTSV4RRFFQ69G5FAV"
MARK = "mark()"
# Each snippet would call `mark`, or load from hosts.example, in some browser or parser.
HTML = [
    f"<script>{MARK}</script>",
    f"<SCRIPT SRC=//hosts.example/x>{MARK}</SCRIPT>",
    f"<scr<script>ipt>{MARK}</scr</script>ipt>",
    f'<img src=x onerror="{MARK}">',
    f"<img src=x onerror={MARK}>",
    f"<body onload={MARK}>",
    f'<p onclick="{MARK}" ONMOUSEOVER="{MARK}">a</p>',
    f'<a href="javascript:{MARK}">a</a>',
    f'<a href=" JaVaScRiPt:{MARK}">a</a>',
    f'<a href="java\tscript:{MARK}">a</a>',
    f'<a href="java&#10;script&colon;{MARK}">a</a>',
    f'<a href="&#106;avascript:{MARK}">a</a>',
    f'<a href="data:text/html,<script>{MARK}</script>">a</a>',
    f'<a href="vbscript:{MARK}">a</a>',
    f'<iframe srcdoc="<script>{MARK}</script>"></iframe>',
    '<iframe src="https://hosts.example/"></iframe>',
    '<object data="https://hosts.example/x.swf"></object><embed src="https://hosts.example/x">',
    f'<svg onload="{MARK}"><script>{MARK}</script></svg>',
    f'<svg><style><img src=x onerror="{MARK}"></style></svg>',
    f'<math><mtext><table><mglyph><style><img src=x onerror="{MARK}">',
    f"<noscript><p title=\"</noscript><img src=x onerror='{MARK}'>\"></noscript>",
    f"<template><script>{MARK}</script></template>",
    '<form action="https://hosts.example/"><input name=a><button formaction="https://hosts.example/">b</button></form>',
    '<base href="https://hosts.example/"><link rel=stylesheet href="https://hosts.example/x.css">',
    '<meta http-equiv="refresh" content="0;url=https://hosts.example/">',
    '<img src="https://hosts.example/a.png" srcset="https://hosts.example/b.png 2x">',
    '<img src="//hosts.example/a.png"><img src="http://hosts.example/a.png">',
    '<video poster="https://hosts.example/p.png"><source src="https://hosts.example/v.mp4"></video>',
    '<audio src="https://hosts.example/a.mp3"><track src="https://hosts.example/t.vtt"></audio>',
    '<p style="background:url(https://hosts.example/a.png)">a</p>',
    "<p style=\"background:url('//hosts.example/a.png')\">a</p>",
    '<p style="background:u\\72l(https://hosts.example/a.png)">a</p>',
    f'<p style="width:expression({MARK})">a</p>',
    '<p style="behavior:url(x.htc);-moz-binding:url(https://hosts.example/x)">a</p>',
    "<style>@import 'https://hosts.example/x';</style><style>p{color:red}</style>",
    f"<!--[if IE]><script>{MARK}</script><![endif]-->",
    f'<img src="{ASSET}" srcset="{ASSET} 1x, https://hosts.example/b.png 2x">',
    "<a href='x' target='_parent' ping='https://hosts.example/'>a</a>",
    f'<custom-part is="x" onfoo="{MARK}">a</custom-part>',
    "<plaintext><xmp><listing>a",
    "<table background='https://hosts.example/a.png'><td background='https://hosts.example/a.png'>a",
    f'"><script>{MARK}</script>',
    f"<a href='x' style='}}</style><script>{MARK}</script>'>a</a>",
]
CSS = [
    "@import url(https://hosts.example/x.css);",
    '@import "https://hosts.example/x.css" screen;',
    "@charset 'utf-7'; @namespace svg url(https://hosts.example/);",
    "p{background:url(https://hosts.example/a.png)}",
    'p{background:URL("//hosts.example/a.png")}',
    "p{background:\\75rl(https://hosts.example/a.png)}",
    "p{background:image-set('https://hosts.example/a.png' 1x)}",
    "p{--a:url(https://hosts.example/a.png)}",
    "@font-face{font-family:a;src:url(https://hosts.example/a.woff2)}",
    "@media print{p{background:url(https://hosts.example/a.png)}}",
    "p{&:hover{background:url(https://hosts.example/a.png)}}",
    "@supports (background:url(https://hosts.example/a.png)){p{color:red}}",
    f"p{{width:expression({MARK})}}",
    "p{behavior:url(x.htc)}",
    "p{-moz-binding:url(https://hosts.example/x)}",
    f"</style><script>{MARK}</script>",
    f"p{{content:'</style><script>{MARK}</script>'}}",
    f"<!-- </style><script>{MARK}</script> -->",
    "@property --a{syntax:'*';inherits:false;initial-value:url(https://hosts.example/a)}",
    "p{background:url(https://hosts.example/a.png",
]


class Reader(HTMLParser):
    """Reads sanitised HTML as a browser would, and notes elements and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements = set[str]()
        self.attributes = list[tuple[str, str]]()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def assert_harmless(html: str) -> None:
    read = Reader(html)
    assert read.elements <= TAGS
    for name, value in read.attributes:
        assert not name.startswith("on"), html
        assert name not in ("formaction", "action", "srcdoc", "background", "ping", "is"), html
        text = re.sub(r"[\x00-\x20]", "", value).lower()
        if name == "href":
            assert not re.match(r"(javascript|data|vbscript):", text), html
        else:
            assert "hosts.example" not in text, html
            assert "expression" not in text, html


@pytest.mark.parametrize("snippet", HTML)
def test_hostile_html_is_harmless_and_reported(snippet: str) -> None:
    cleaned, removed = clean_html(snippet, RULES)
    assert_harmless(cleaned)
    assert removed or snippet == cleaned or "<!--" in snippet
    assert clean_html(cleaned, RULES) == (cleaned, ()), "what is clean stays as it is"


@pytest.mark.parametrize("snippet", CSS)
def test_hostile_css_loads_and_ends_nothing(snippet: str) -> None:
    cleaned, removed = clean_css(snippet, RULES)
    assert "hosts.example" not in cleaned
    assert "expression" not in cleaned
    assert "</" not in cleaned
    assert "<!--" not in cleaned
    assert removed or "</style>" in snippet
    assert clean_css(cleaned, RULES)[0] == cleaned


@given(st.text(alphabet="<>\"'=/ abons:jvcript&#;!-\n{}()u", max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_text_becomes_harmless(text: str) -> None:
    cleaned, _ = clean_html(text, RULES)
    assert_harmless(cleaned)
    assert "</" not in clean_css(text[:NESTING_MAX], RULES)[0]


def test_what_pages_are_made_of_stays_as_it_is() -> None:
    html = (
        '<section class="hero" id="top" aria-label="Start"><h1 style="color:var(--color-text)">A</h1>'
        f'<p lang="de">B <a href="https://example.org/?a=1" rel="noopener" target="_blank">C</a></p>'
        f'<img src="{ASSET}" srcset="{ASSET} 2x" alt="D" width="10" height="20" loading="lazy">'
        '<table><tbody><tr><td colspan="2">E</td></tr></tbody></table><ul><li>F</li></ul></section>'
    )
    assert clean_html(html, RULES) == (html, ())
    css = f"@media (max-width:600px){{.a>b::before{{content:'x';background:url({ASSET})}}}}"
    cleaned, removed = clean_css(css, RULES)
    assert removed == ()
    assert (
        cleaned.replace(";", "").replace(" ", "").replace('"', "'")
        == css.replace(";", "").replace(" ", "").replace(f"url({ASSET})", f"url('{ASSET}')")
        or ASSET in cleaned
    )


def test_what_was_taken_out_is_named() -> None:
    html = f'<p onclick="{MARK}">a</p><script>{MARK}</script><img src="https://hosts.example/a.png" alt="b">'
    cleaned, removed = clean_html(html, RULES)
    assert cleaned == '<p>a</p><img alt="b">'
    assert {each.what for each in removed} == {"onclick of <p>", "<script>", "src of <img>"}


def test_a_host_that_the_site_allows_may_be_loaded_from() -> None:
    rules = SanitizeRules(frozenset({"hosts.example"}))
    html = '<img src="https://hosts.example/a.png" alt="">'
    assert clean_html(html, rules) == (html, ())
    for other in (
        "https://hosts.example.evil.example/a",
        "https://a@hosts.example/",
        "https://hosts.example:8/",
        "http://hosts.example/",
    ):
        assert "src" not in clean_html(f'<img src="{other}" alt="">', rules)[0]


def test_slots_and_parameters_are_of_parts_alone() -> None:
    html = '<a href="{{ link }}">{{ text }}</a><img src="{{ image }}" alt=""><slot name="more">x</slot>'
    assert clean_html(html, SanitizeRules(slots=True)) == (html, ())
    assert "slot" not in clean_html(html, RULES)[0]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("color-text", "url(https://hosts.example/)"),
        ("color-text", "red; background: blue"),
        ("color-text", "red } p { color: blue"),
        ("color-text", "red !important"),
        ("color-text", "</style>"),
        ("color-text", "\\75rl(x)"),
        ("color-text", "image-set('x' 1x)"),
        ("color-text", "'unclosed"),
        ("color-text", ""),
        ("Color", "red"),
        ("a;b", "red"),
        ("color-text", "(" * 60),
    ],
)
def test_a_design_token_stays_one_value(name: str, value: str) -> None:
    assert check_token(name, value)


@pytest.mark.parametrize(
    "value",
    ["#222", "1.5rem", "calc(1px + 2vw)", "'Inter', sans-serif", "oklch(0.7 0.1 200)", "0 1px 2px rgb(0 0 0 / 10%)"],
)
def test_design_tokens_are_css_values(value: str) -> None:
    assert check_token("font-body", value) is None


def test_what_takes_too_long_is_refused() -> None:
    with pytest.raises(ValidationFailed):
        clean_html("<b>" * (ELEMENTS_MAX + 1), RULES)
    with pytest.raises(ValidationFailed):
        clean_css("a{b:" + "(" * 50, RULES)
