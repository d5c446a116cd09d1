"""Whatever a model answers is read as blocks, or said to be unreadable. The answers are in `answers/`: each text with
what is read in it beside it, written after the habits of several families of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.page_writing.answer import UnreadableAnswer, UnreadableReason, WrittenAnswer
from atelier.page_writing.html_tokens import tokens_of
from atelier.page_writing.read_answer import read_answer

ANSWERS = sorted((Path(__file__).parent / "answers").glob("*.txt"))
AWKWARD_PIECES = st.sampled_from(
    [
        "```html\n", "```css\n", "```json\n", "```\n", "~~~\n", "````md\n", "> ```html\n", "   ```\n", "```html <b>",
        "<section>", "</section>", "<p class='", '"', "'", ">", "<", "</", "<!--", "-->", "<!-- block: blk_1 -->",
        '<!-- part: Header {"a": 1} -->', "<!-- part: X {", "<style>", "</style>", "<script>", "</script", "<title>",
        "<!doctype html>", "<html>", "<body>", "</html>", "<think>", "</think>", "<![CDATA[", "]]>", "<main>", "<css>",
        "{", "}", "[", "]", '{"blocks": [', '{"html": "', '"files": {', ",", ":", "\\", "\n", "\r\n", "\0", "\t", " ",
        "# a\n", "- a\n", "I cannot ", "é", "\ud83d", "İ", "&lt;section&gt;", "null", "1e999",
    ]
)  # fmt: skip
ANYTHING = st.lists(st.one_of(AWKWARD_PIECES, st.text(max_size=5)), max_size=40).map("".join)


def as_json(answer: WrittenAnswer | UnreadableAnswer) -> dict[str, Any]:
    """An answer as the files have it: without what is empty."""
    if isinstance(answer, UnreadableAnswer):
        return {"unreadable": answer.reason.value}
    blocks = [
        {
            "html": block.html,
            "css": block.css,
            "js": block.js,
            "block_id": block.block_id,
            "part": block.part,
            "parameters": dict(block.parameters),
            "slots": dict(block.slots),
        }
        for block in answer.blocks
    ]
    facts = {
        "title": answer.title,
        "description": answer.description,
        "path": answer.path,
        "left_out": list(answer.left_out),
        "is_cut": answer.is_cut,
    }
    shown = [{name: value for name, value in block.items() if value} for block in blocks]
    return {**{name: value for name, value in facts.items() if value}, "blocks": shown}


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_an_awkward_answer_is_read(path: Path) -> None:
    expected = json.loads(path.with_suffix(".json").read_text())
    assert as_json(read_answer(path.read_bytes().decode())) == expected


def test_the_corpus_has_at_least_forty_answers() -> None:
    assert len(ANSWERS) >= 40
    assert {path.with_suffix(".json") for path in ANSWERS} == set((ANSWERS[0].parent).glob("*.json"))


@given(ANYTHING)
def test_reading_raises_nothing(text: str) -> None:
    answer = read_answer(text)
    if isinstance(answer, WrittenAnswer):
        assert answer.blocks or answer.title or answer.description


@given(ANYTHING)
def test_tokens_are_the_whole_text(text: str) -> None:
    assert "".join(token.source for token in tokens_of(text)) == text


@given(st.lists(st.sampled_from(["header", "section", "article", "footer"]), min_size=1, max_size=6), st.booleans())
def test_each_section_of_a_document_becomes_a_block(names: list[str], in_fence: bool) -> None:
    sections = [f"<{name}><h2>{number}</h2></{name}>" for number, name in enumerate(names)]
    document = f"<!doctype html><html><body>{''.join(sections)}</body></html>"
    answer = read_answer(f"```html\n{document}\n```" if in_fence else document)
    assert isinstance(answer, WrittenAnswer)
    assert [block.html for block in answer.blocks] == sections


def test_deeply_nested_json_is_no_page() -> None:
    answer = read_answer('{"blocks": ' + "[" * 100_000)
    assert answer == UnreadableAnswer(UnreadableReason.NO_PAGE)


@pytest.mark.parametrize("reason", list(UnreadableReason))
def test_each_reason_has_a_message_for_people(reason: UnreadableReason) -> None:
    assert UnreadableAnswer(reason).message.startswith("The model")
