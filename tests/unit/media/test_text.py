"""Texts and pages: visible characters are kept, control characters are removed."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.adapters.media.processed import MediaInvalid
from atelier.adapters.media.text import PAGE_BYTES_MAX, TEXT_BYTES_MAX, process, process_page

PAGE = "<!doctype html>\n<html lang=en><title>A page</title><p>Grüße, 你好 🌊</p></html>"


def test_a_text_keeps_its_characters_and_line_breaks() -> None:
    written = "First line\n\n\tthen – a “second”, and a 🌊\n"
    made = process(written.encode())
    assert made.data.decode() == written
    assert (made.type, made.format, made.content_type) == ("text", "txt", "text/plain; charset=utf-8")
    assert (made.width, made.height, made.duration_ms, made.thumbnail) == (None, None, None, None)
    assert made.sha256 == hashlib.sha256(made.data).hexdigest()


@given(st.text(min_size=1, max_size=200))
def test_any_text_loses_its_control_characters_or_is_refused(text: str) -> None:
    try:
        made = process(text.encode("utf-8", "surrogatepass")).data.decode()
    except MediaInvalid:
        return
    assert not [character for character in made if ord(character) < 32 and character not in "\t\n"]
    assert "\x7f" not in made
    assert process(made.encode()).data.decode() == made


def test_control_characters_are_removed_and_line_ends_are_normalised() -> None:
    data = "\ufeffone\r\ntwo\rthree\0\x1b[31m red\x07\x85end\x7f".encode()
    assert process(data).data.decode() == "one\ntwo\nthree[31m redend"


@pytest.mark.parametrize("data", [b"", b" \n\t", b"\0\0", b"\xff\xfe h", b"\xc3(", b"\x89PNG\r\n\x1a\n" + b"\xf0" * 9])
def test_a_file_that_is_not_text_is_refused(data: bytes) -> None:
    for take in (process, process_page):
        with pytest.raises(MediaInvalid):
            take(data)


def test_a_text_and_a_page_beyond_their_size_limits_are_refused() -> None:
    assert len(process(b"a" * TEXT_BYTES_MAX).data) == TEXT_BYTES_MAX
    with pytest.raises(MediaInvalid, match="more than"):
        process(b"a" * (TEXT_BYTES_MAX + 1))
    with pytest.raises(MediaInvalid, match="more than"):
        process_page(PAGE.encode() + b" " * PAGE_BYTES_MAX)


def test_a_page_is_kept_unchanged() -> None:
    made = process_page(PAGE.encode())
    assert made.data.decode() == PAGE + "\n"
    assert (made.type, made.format, made.content_type) == ("page", "html", "text/html; charset=utf-8")
    assert process_page(made.data) == made


@pytest.mark.parametrize(
    "around",
    [
        "{}",
        "Here is your page:\n\n```html\n{}\n```\nTell me if the colours please you.",
        "\ufeff\n\n{}   ",
        "<p>…</p>{}",
    ],
)
def test_words_of_a_model_around_its_page_are_removed(around: str) -> None:
    for page in (PAGE, PAGE.upper(), PAGE.replace("<!doctype html>\n", "")):
        assert process_page(around.format(page).encode()).data.decode() == page + "\n"


def test_an_unfinished_page_is_kept_as_far_as_it_goes() -> None:
    assert process_page(b"<html><p>and then").data == b"<html><p>and then\n"


@pytest.mark.parametrize("text", ["I am sorry, I cannot do that.", "<p>no document</p>", "<htmlish>", '{"error": 1}'])
def test_a_text_without_an_html_document_is_refused_as_a_page(text: str) -> None:
    with pytest.raises(MediaInvalid, match="document"):
        process_page(text.encode())
