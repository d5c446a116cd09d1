"""The local provider's texts and pages: deterministic, within the requested tokens, and properly escaped."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.adapters.providers.local.provider import Local
from atelier.adapters.providers.local.text import MARK, count_tokens, subject
from atelier.provider_port import Done, Job

ATTEMPT = "att_01K9ABCDEFGHJKMNPQRSTVWXYZ"


def written(prompt: str, model: str = "writer", **parameters: Any) -> tuple[str, dict[str, int]]:
    done = Local().submit(Job(ATTEMPT, "text", f"local/{model}", prompt, parameters={"seed": 7} | parameters))
    assert isinstance(done, Done), done
    (output,) = done.outputs
    assert output.data
    assert output.content_type == ("text/html" if model == "page" else "text/plain")
    return output.data.decode(), done.usage


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.text(max_size=60), st.integers(1, 80), st.integers(0, 2**32 - 1))
def test_any_prompt_gives_a_text_within_its_token_limit(prompt: str, system: str, max_tokens: int, seed: int) -> None:
    text, usage = written(prompt, system=system, max_tokens=max_tokens, seed=seed)
    assert text
    assert usage == {"tokens_input": count_tokens(f"{system}\n{prompt}"), "tokens_output": count_tokens(text)}
    assert usage["tokens_output"] <= max_tokens


def test_a_token_is_four_bytes_rounded_up() -> None:
    assert [count_tokens(text) for text in ("", "a", "four", "fives", "日本")] == [0, 1, 1, 2, 2]


def test_a_text_is_determined_by_its_prompt_and_seed() -> None:
    assert written("a story about a fox") == written("a story about a fox")
    assert written("a story about a fox") != written("a story about a fox", seed=8)


@pytest.mark.parametrize(
    "prompt", ["a story about a fox", "a haiku about rain", "five ideas for a cake", "a slogan for tea"]
)
def test_a_text_mentions_its_subject_and_ends_with_its_mark(prompt: str) -> None:
    text, _ = written(prompt)
    assert prompt.split()[-1] in text.lower()
    assert text.endswith(MARK)


def test_a_truncated_text_still_ends_with_its_mark() -> None:
    text, usage = written("a long story about the sea", max_tokens=24)
    assert text.endswith(MARK)
    assert len(text) > 2 * len(MARK)
    assert usage["tokens_output"] <= 24


@pytest.mark.parametrize(
    ("prompt", "count"), [("three tips for the garden", 3), ("a list of 7 names for a cat", 7), ("ideas", 5)]
)
def test_a_list_has_the_requested_number_of_lines(prompt: str, count: int) -> None:
    lines = [line for line in written(prompt)[0].splitlines() if line[:1].isdigit()]
    assert len(lines) == count


def test_an_enhanced_prompt_begins_with_the_original() -> None:
    system = "Rewrite the user's prompt so that an image model does better. Answer with the prompt only."
    text, _ = written("a red fox in the snow", system=system)
    assert text.startswith("a red fox in the snow, ")
    assert "\n" not in text


def test_a_reply_follows_the_last_message_and_counts_all_tokens() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello. What shall it be?"},
        {"role": "user", "content": [{"type": "text", "text": "A haiku about rain"}, {"type": "image_url"}]},
    ]
    text, usage = written("", messages=messages)
    assert "rain" in text.lower()
    assert usage["tokens_input"] == count_tokens("Be brief.\nHello\nHello. What shall it be?\nA haiku about rain")


def test_a_stop_word_ends_the_text_before_it() -> None:
    text, _ = written("five ideas for a cake", stop=["3."])
    assert "2." in text
    assert "3." not in text


@pytest.mark.parametrize("stop", ["\n", "procedural", "(", ".", " "])
def test_a_text_contains_no_stop_word_and_counts_only_its_own_tokens(stop: str) -> None:
    text, usage = written("five ideas for a cake", stop=["never written", stop])
    assert stop not in text
    assert usage["tokens_output"] == count_tokens(text) < written("five ideas for a cake")[1]["tokens_output"]


@pytest.mark.parametrize(
    ("prompt", "about"),
    [
        ("Write me a haiku about the sea.", "the sea"),
        (
            "Please tell me a story about a dragon who is afraid of fire! Make it long.",
            "a dragon who is afraid of fire",
        ),
        ("winter", "winter"),
        ("{0} {subject}", "0 subject"),
        ("", "nothing in particular"),
    ],
)
def test_the_subject_of_a_request_is_found(prompt: str, about: str) -> None:
    assert subject(prompt) == about


# ---- pages -----------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Reads a page: its tags in order; each opened tag must be closed."""

    VOID = frozenset({"meta", "circle", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "style")]
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Tags:
    tags = Tags()
    tags.feed(html)
    tags.close()
    assert tags.open == []
    return tags


PLAIN = read(written("a page for a bakery", "page")[0]).seen


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["light", "dark", "bold"]))
def test_the_prompt_is_escaped_in_a_page(prompt: str, style: str) -> None:
    page = read(written(f"{prompt}<script>alert(1)</script>", "page", style=style)[0])
    assert page.seen == PLAIN
    assert page.links == ["#more"]


def test_a_page_is_a_complete_titled_document_with_its_mark() -> None:
    html, _ = written("A landing page for Bella's coffee roastery in Lisbon", "page")
    page = read(html)
    assert html.startswith("<!doctype html>")
    assert {"html", "head", "title", "style", "body", "h1", "main", "article", "footer"} <= set(page.seen)
    assert "Bella's coffee roastery" in page.text
    assert "Procedural" in page.text
    assert "script" not in page.seen


def test_a_page_is_determined_by_its_prompt_and_style() -> None:
    pages = [written("a page for a bakery", "page", style=style)[0] for style in ("light", "light", "dark")]
    assert pages[0] == pages[1] != pages[2]
