"""Texts and pages: UTF-8 of limited size, without invisible characters.

A page is stored unchanged, including its scripts: the edge serves it in a sandbox where nothing runs (infra/edge.yaml).
"""

from __future__ import annotations

import re

from atelier.adapters.media.processed import MediaInvalid, Processed

TEXT_BYTES_MAX = 1024 * 1024
PAGE_BYTES_MAX = 2 * 1024 * 1024

# All control characters but tab and newline, the byte order mark, and Unicode's noncharacters.
INVISIBLE_CHARACTERS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]")
# Models often write some words around the document, or put it into a Markdown code fence.
DOCUMENT = re.compile(r"<!doctype\s+html\b.*|<html\b.*", re.IGNORECASE | re.DOTALL)
END = re.compile(r"</html\s*>", re.IGNORECASE)


def process(data: bytes) -> Processed:
    """A provider's text as a deliverable file. Raises MediaInvalid."""
    return Processed("text", "txt", _read(data, TEXT_BYTES_MAX).encode())


def process_answer(data: bytes) -> Processed:
    """A model's answer about a page of a site, as the model wrote it. Raises MediaInvalid when there is no page in it:
    then the answer is worth nothing, and another model may do better."""
    from atelier.page_writing.read_answer import UnreadableAnswer, read_answer

    text = _read(data, TEXT_BYTES_MAX)
    answer = read_answer(text)
    if isinstance(answer, UnreadableAnswer):
        raise MediaInvalid(answer.message)
    return Processed("text", "txt", text.encode())


def process_page(data: bytes) -> Processed:
    """The HTML document in a provider's text as a deliverable file. Raises MediaInvalid when there is none."""
    found = DOCUMENT.search(_read(data, PAGE_BYTES_MAX))
    if found is None:
        raise MediaInvalid("there is no HTML document in it")
    document = found[0]
    ends = [end.end() for end in END.finditer(document)]
    return Processed("page", "html", (document[: ends[-1]] if ends else document).strip().encode() + b"\n")


def _read(data: bytes, bytes_max: int) -> str:
    if len(data) > bytes_max:
        raise MediaInvalid(f"{len(data)} bytes of text are more than {bytes_max}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MediaInvalid("not UTF-8") from error
    text = INVISIBLE_CHARACTERS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    if not text.strip():
        raise MediaInvalid("there is no text in it")
    return text
