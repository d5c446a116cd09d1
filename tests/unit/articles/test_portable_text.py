"""Portable Text as Markdown, and what the renderer makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from atelier.adapters.content.portable_text import markdown_of
from atelier.adapters.content.sanity import Sanity
from atelier.articles.model import ArticleContent
from atelier.articles.render_body import render_body
from infra.simulators.editorial.sanity import paragraph, signature

HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) # ![y](z) `a` **b** | c | 1. & > -"


def html_of(*blocks: Any) -> str:
    body = markdown_of(list(blocks), lambda reference: f"https://cdn.example/{reference}" if reference else None)
    content = ArticleContent("T", "t", body=body, image_hosts=("cdn.example",))
    return render_body(content, "https://x.example", lambda asset: asset)[0]


def item(text: str, level: int = 1, kind: str = "bullet") -> dict[str, Any]:
    return paragraph(text, listItem=kind, level=level)


def test_headings_marks_lists_quotes_code_and_images_keep_their_meaning() -> None:
    assert "<h3>Light</h3>" in html_of(paragraph("Light", style="h2"))
    assert html_of(paragraph(" both ", "strong", "em")).strip() == "<p><em><strong>both</strong></em></p>"
    listed = html_of(item("a"), item("b", 2), item("c"), item("one", 1, "number"))
    assert listed.count("<ul>") == 2
    assert "<ol>" in listed
    assert "<blockquote>" in html_of(paragraph("said", style="blockquote"))
    assert "a`b" in html_of(paragraph("a`b", "code"))
    code = html_of({"_type": "code", "language": "py", "code": "```\n<b>"})
    assert "```\n&lt;b&gt;" in code
    assert 'src="https://cdn.example/image-1"' in html_of({"_type": "image", "asset": {"_ref": "image-1"}, "alt": "x"})


def test_whatever_a_text_says_stays_text() -> None:
    html = html_of(paragraph(HOSTILE), item(HOSTILE), paragraph(HOSTILE, style="h1"), paragraph("1. a\n- b\n# c"))
    for element in ("<script", "<a ", "<img", "<code", "<strong", "<table", "<ol"):
        assert element not in html, element
    assert html.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 3


@pytest.mark.parametrize("href", ["javascript:alert(1)", "https://a.example/><script>", "x\ny", "", "\\"])
def test_an_address_of_a_link_is_no_markup(href: str) -> None:
    html = html_of(paragraph("x", "l", markDefs=[{"_key": "l", "_type": "link", "href": href}]))
    assert "javascript:" not in html
    assert "<script" not in html


@pytest.mark.parametrize(
    "blocks",
    [None, "text", [None, 1, "x", []], [{"_type": "block"}], [{"_type": "block", "children": [1], "level": "x"}]],
)
def test_what_is_no_portable_text_is_left_out(blocks: Any) -> None:
    assert markdown_of(blocks, lambda _: None) == ""


def test_webhooks_are_genuine_by_the_vectors_of_the_official_toolkit() -> None:
    """Facts of sanity-io/webhook-toolkit, test/signature.test.ts."""
    body, header = b'{"_id":"resume"}', "t=1633519811129,v1=tLa470fx7qkLLEcMOcEUFuBbRSkGujyskxrNXcoh0N0"
    assert genuine(body, header, "test")
    assert genuine(body, header.replace(",", ", "), "test")
    for wrong in (header.replace("129,", "128,"), header[:-1] + "1", header.replace("v1", "v5"), "", header + "x"):
        assert not genuine(body, wrong, "test")
    assert not genuine(b'{"_id":"structure"}', header, "test")
    assert not genuine(b"", header, "test")
    made = signature(b'{"title":"GROQ-Hooks are neat"}', "try-me", 1633518820676)
    assert made == "t=1633518820676,v1=e7C9h2sfbFfc4V7TEz7PSOp4IoNzl0UdVsBV-1wgdeA"


def genuine(body: bytes, header: str, secret: str) -> bool:
    return Sanity().is_genuine(body, {"sanity-webhook-signature": header}, secret)
