"""Write with AI: the price is shown before anything is ordered, and the result says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from studio.pages.page_writing import FIELDS, KINDS_OF_PAGE, TASKS, price_key
from studio.rendering import render, style
from studio.strings import Translator

TYPED = {**dict.fromkeys(FIELDS, ""), "kind": "page", "task": "write", "prompt": "a <b>bakery</b>"}
WRITING: dict[str, Any] = {
    "generation_id": "gen_1",
    "site_id": "sit_1",
    "state": "saved",
    "page_id": "pag_1",
    "version": 2,
    "removed": [],
    "left_out": [],
    "conflicts": [],
    "proposal": None,
    "is_cut": False,
    "reason": None,
    "credits_charged": 2,
}
PAGE = {"version": 3, "blocks": [{"id": "b1", "html": "<p>words of a person</p>"}]}
SHARED: Mapping[str, Any] = {
    "style": lambda name: style(name).element,
    "form_token": "",
    "form_key": "",
    "signed_in": False,
    "person": "",
}


class VisitOfPage:
    """What the frame of a page asks of a visit."""

    path = target = "/sites/sit_1/write"
    is_partial, theme = False, ""


def form(**values: Any) -> str:
    shown = {"site": {"id": "sit_1", "name": "Brot"}, "about": None, "typed": TYPED, "kinds": KINDS_OF_PAGE}
    shown |= {"tasks": TASKS, "models": ["local/page"], "quote": None, "error": None, "errors": {}}
    return render(
        "page_writing_form.html", {"t": Translator("en"), "visit": VisitOfPage(), **SHARED, **shown, **values}
    )


def result(**facts: Any) -> str:
    values = {"writing": WRITING | facts, "newest": PAGE, "refresh_seconds": 4}
    return render("page_writing.html", {"t": Translator("en"), "visit": VisitOfPage(), **SHARED, **values})


def test_the_price_is_shown_before_the_order() -> None:
    assert "Show the price" in form()
    priced = form(quote={"quote_id": "quo_1.x.y", "for": "digest", "credits": 2, "credits_max": 5})
    assert "Price: 2 credits, at most 5." in priced
    assert 'name="quote_id" value="quo_1.x.y"' in priced
    assert "Write it at this price" in priced


def test_a_price_is_of_one_request() -> None:
    assert price_key(TYPED) == price_key(dict(reversed(TYPED.items())))
    assert price_key(TYPED) != price_key({**TYPED, "prompt": "another"})


def test_what_was_typed_is_no_markup() -> None:
    assert "a &lt;b&gt;bakery&lt;/b&gt;" in form()


def test_a_refusal_stands_at_its_field() -> None:
    page = form(errors={"prompt": "Field required", "block_id": "is no block of the page"})
    assert 'id="e-prompt">Field required' in page
    assert "is no block of the page" in page


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"state": "writing"}, 'http-equiv="refresh" content="4"'),
        ({}, 'href="/sites/sit_1/pages/pag_1"'),
        ({"state": "failed", "reason": "The model declined to write this."}, "The model declined to write this."),
        ({"is_cut": True}, "The answer ended in the middle."),
        ({"removed": [{"what": "onclick of <a>", "where": "html"}]}, "onclick of &lt;a&gt;"),
        ({"left_out": ["scripts"]}, "<li>scripts</li>"),
    ],
)
def test_a_result_says_what_became_of_it(facts: dict[str, Any], words: str) -> None:
    assert words in result(**facts)


def test_a_proposal_shows_both_sides_and_who_decides() -> None:
    proposal = {"blocks": [{"id": "b1", "html": "<p>words of a model</p>"}]}
    page = result(state="proposed", conflicts=["b1"], proposal=proposal)
    assert "&lt;p&gt;words of a person&lt;/p&gt;" in page
    assert "&lt;p&gt;words of a model&lt;/p&gt;" in page
    assert 'name="base_version" value="3"' in page
