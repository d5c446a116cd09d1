"""Markdown files with front matter: what is read is written back, and what is wrong is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.articles.front_matter import read_front_matter, write_front_matter
from atelier.articles.model import slug_of
from atelier.errors import ValidationFailed

# Characters that YAML keeps as they are; others are refused by the fields' own rules.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=60)


@given(TEXT.filter(str.strip), TEXT, st.lists(TEXT.filter(bool), max_size=3), TEXT)
def test_what_is_written_is_read(title: str, summary: str, tags: list[str], body: str) -> None:
    fields: dict[str, Any] = {"title": title, "summary": summary, "tags": tags, "body": body.lstrip("\n")}
    expected = {name: value for name, value in fields.items() if value or name == "body"}
    assert read_front_matter(write_front_matter(fields)) == expected


def test_without_front_matter_all_is_the_body() -> None:
    assert read_front_matter("\ufeff# Light\r\n\r\n---\r\n") == {"body": "# Light\n\n---\n"}


def test_a_date_stays_the_text_that_was_written() -> None:
    assert read_front_matter("---\ntitle: 2026-11-30\n---\nx")["title"] == "2026-11-30"


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("---\ntitle: T\n", "without an end"),
        ("---\ntitle: [\n---\n", "no YAML, line"),
        ("---\n- a\n---\n", "no mapping"),
        ("---\ntitle: T\nlayout: x\n---\n", "no article has: layout"),
        ("---\na: &a [x]\ntitle: *a\n---\n", "no YAML"),
        ("---\ntitle: !!python/object/apply:os.getcwd []\n---\n", "no YAML"),
        (f"---\ntitle: {'x' * 10_001}\n---\n", "more than 10000"),
        (f"---\ntitle: {'[' * 5000}\n---\n", "no YAML"),
    ],
)
def test_a_file_that_is_none_is_refused(file: str, part: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        read_front_matter(file)
    [field] = refused.value.facts["fields"]
    assert field["path"] == "file"
    assert part in field["message"]


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Light in film!", "light-in-film"),
        ("Über die Straße – Teil 2", "uber-die-strasse-teil-2"),
        ("日本", ""),
        ("  --  ", ""),
        ("a" * 99 + " b", "a" * 99),
    ],
)
def test_a_slug_is_made_of_a_title(title: str, slug: str) -> None:
    assert slug_of(title) == slug
