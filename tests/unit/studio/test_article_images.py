"""Images of other hosts in articles become links; ours stay; nothing of a text becomes markup."""

from __future__ import annotations

import pytest

from studio.article_images import link_foreign_images

OWN = "https://media.example.com/articles/en/light"


def shown(html: str) -> str:
    return link_foreign_images(html, OWN, "An image")


@pytest.mark.parametrize("src", ["https://media.example.com/api/articles/files/ast_1", "/media/x.png", "data:,x"])
def test_our_own_images_stay(src: str) -> None:
    html = f'<p><img src="{src}" alt="A lamp" loading="lazy"></p>'
    assert shown(html) == html


def test_a_foreign_image_is_a_link_with_its_text() -> None:
    html = '<p>See <img src="https://cdn.sanity.io/a.png?w=1&amp;h=2" alt="A lamp" loading="lazy">.</p>'
    link = (
        '<a class="article-image" href="https://cdn.sanity.io/a.png?w=1&amp;h=2" rel="noreferrer noopener">A lamp</a>'
    )
    assert shown(html) == f"<p>See {link}.</p>"
    assert ">An image</a>" in shown('<img src="//cdn.sanity.io/a.png" alt=" ">')


def test_what_an_alternative_text_says_stays_text() -> None:
    html = '<img alt="<b>x</b> &quot;y&quot; > &amp;lt;" src="https://cdn.sanity.io/a.png">'
    assert shown(html).endswith(">&lt;b&gt;x&lt;/b&gt; &quot;y&quot; &gt; &amp;lt;</a>")
