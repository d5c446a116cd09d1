"""Read what a language model answered as the blocks of a page, whatever it has put around them.

| the answer has | is read as |
|---|---|
| code fences | each HTML fence as blocks, each CSS or JavaScript fence as those of the block above it |
| a JSON object or list, in a fence or without | `blocks`, `files`, or one block |
| a whole HTML document | its body, split at its sections; its styles, scripts and title apart |
| HTML without a fence, possibly in tags like `<answer>` | the HTML; the talk around it is left out |
| Markdown | the HTML that it means |
| reasoning before the answer | the answer |
| words that decline, or no page at all | an UnreadableAnswer |

Pure, raises nothing, and linear in the length of the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any, cast

from atelier.page_writing.answer import UnreadableAnswer, UnreadableReason, WrittenAnswer, WrittenBlock
from atelier.page_writing.fences import LANGUAGES, AnswerSegment, split_fences
from atelier.page_writing.html_answer import block_id_of, read_html, text_values
from atelier.page_writing.json_answer import START, find_json

# Longer Markdown is no answer to a request for a page, and its parser is not linear for every input.
MARKDOWN_CHARACTERS_MAX = 60_000
ENVELOPES_MAX = 4
REASONING_ENDS = ("</think>", "</thinking>", "</reasoning>", "</scratchpad>", "<|channel|>final<|message|>")
REASONING_STARTS = ("<think>", "<thinking>", "<reasoning>", "<scratchpad>")
BLOCK_TAG = re.compile(
    r"<(?:!doctype|html|body|main|header|nav|section|article|aside|footer|div|h[1-6]|p|ul|ol|dl|table|form|figure|style"
    r"|blockquote|block)\b",
    re.IGNORECASE,
)
ANY_TAG = re.compile(r"</?[a-z][a-z0-9]{0,20}\b", re.IGNORECASE)
ESCAPED_TAG = re.compile(r"&lt;(?:!doctype|html|body|header|section|div|main|h1|p)\b", re.IGNORECASE)
TAG_IN_CODE = re.compile(r"`<[^`\n]{1,200}`")
WHOLE_DOCUMENT = re.compile(r"<!doctype|<html\b|<body\b", re.IGNORECASE)
CSS_RULE = re.compile(r"[^{}<>;]{1,200}\{[^{}<>]{0,2000}:")
MARKDOWN_SIGN = re.compile(r"^(?:#{1,6} |[-*] |\d{1,3}\. |> )", re.MULTILINE)
REFUSAL = re.compile(
    r"\W{0,5}(?:(?:i['’]?m |i am )?(?:so |very )?sorry\b|(?:unfortunately,? )?i (?:can['’]?t|cannot|can not|won['’]?t|"
    r"will not|am unable|am not able|must decline|have to decline)\b|i['’]m (?:unable|not able)\b|as an ai\b|"
    r"es tut mir leid|tut mir leid|(?:leider )?kann ich\b|ich kann (?:das|dir|ihnen|dabei|diese)|"
    r"(?:je suis )?d[ée]sol[ée]|je ne (?:peux|suis) pas|lo siento|no puedo)",
    re.IGNORECASE,
)
INDEX_NAMES = ("", "index.html", "index.htm", "page.html")


def read_answer(text: str) -> WrittenAnswer | UnreadableAnswer:
    """The page in a model's answer."""
    return _read(_without_reasoning(_plain(text)), ENVELOPES_MAX)


def _plain(text: str) -> str:
    """The text with plain line breaks, and without characters that mean nothing."""
    readable = text.encode(errors="replace").decode()
    return readable.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").lstrip("\ufeff").strip()


def _without_reasoning(text: str) -> str:
    lower = text.lower() if text.isascii() else text
    ends = [place + len(mark) for mark in REASONING_ENDS if (place := lower.rfind(mark)) >= 0]
    if ends:
        return text[max(ends) :].strip()
    if lower.startswith(REASONING_STARTS):
        # The reasoning was never ended: the answer begins with the first thing that looks like one.
        begin = min((place for mark in ("\n```", "\n~~~", "\n<") if (place := text.find(mark)) >= 0), default=len(text))
        return text[begin:].strip()
    return text


def _read(text: str, envelopes_left: int) -> WrittenAnswer | UnreadableAnswer:
    if not text.strip():
        return UnreadableAnswer(UnreadableReason.EMPTY)
    segments = split_fences(text)
    answer = _read_segments(segments, envelopes_left)
    if answer is None and all(segment.language is None for segment in segments):
        answer = _read_bare(text, envelopes_left)
    if answer is not None and (answer.blocks or answer.title or answer.description):
        return answer
    prose = "\n".join(segment.text for segment in segments if segment.language is None).strip()
    refused = REFUSAL.match(prose[:400]) is not None
    return UnreadableAnswer(UnreadableReason.REFUSED if refused else UnreadableReason.NO_PAGE)


def _read_segments(segments: Sequence[AnswerSegment], envelopes_left: int) -> WrittenAnswer | None:
    """The page in the fences of an answer; None = no fence has any of it."""
    assembly = _Assembly()
    for segment in segments:
        name, text = segment.name, segment.text
        match segment.language:
            case None:
                continue
            case "text" | "markdown":
                language = _sniff(text)
            case language:
                pass
        if language == "html":
            assembly.add_html(text, name)
        elif language in ("css", "js"):
            assembly.add_code(language, text)
        elif language == "json":
            assembly.add(_read_json(text, envelopes_left))
        elif language == "markdown":
            assembly.add(_read_markdown(text))
    return assembly.answer()


def _read_bare(text: str, envelopes_left: int) -> WrittenAnswer | None:
    """The page in a text without a fence."""
    started = START.search(text)
    before = text[: started.start()] if started is not None else "<!--"
    if "<!--" not in before and not BLOCK_TAG.search(before):
        found = _read_json(text, envelopes_left)
        if found is not None:
            return found
    if not ANY_TAG.search(text) and ESCAPED_TAG.search(text):
        text = unescape(text)
    without_mentions = TAG_IN_CODE.sub("", text)
    if BLOCK_TAG.search(without_mentions):
        answer = read_html(without_mentions, keeps_text=False)
        return answer if answer.blocks or answer.title else None
    return None if REFUSAL.match(text[:400]) else _read_markdown(text)


class _Assembly:
    """Puts together what the fences of an answer contain."""

    def __init__(self) -> None:
        self._blocks: list[WrittenBlock] = []
        self._document: str | None = None
        self._pending = WrittenBlock()
        self._found = WrittenAnswer(())

    def add_html(self, html: str, name: str) -> None:
        """Add a fence of HTML. Of several whole documents the first is the page; one without a name that follows is
        its revision."""
        if WHOLE_DOCUMENT.search(html[:2000]):
            if self._document is not None and name not in (*INDEX_NAMES, self._document):
                self._found = replace(self._found, left_out=(*self._found.left_out, f"the file {name[:80]}"))
                return
            self._blocks = [] if self._document is not None else self._blocks
            self._document = name
        self.add(read_html(html))

    def add_code(self, language: str, text: str) -> None:
        """Add CSS or JavaScript to the block above; to the one below when it is the first."""
        # A part has code of its own.
        place = next((n for n in reversed(range(len(self._blocks))) if self._blocks[n].part is None), None)
        block = self._pending if place is None else self._blocks[place]
        merged = _joined(block, css=text) if language == "css" else _joined(block, js=text)
        if language == "css" and text.count("{") > text.count("}"):
            self._found = replace(self._found, is_cut=True)
        if place is None:
            self._pending = merged
        else:
            self._blocks[place] = merged

    def add(self, part: WrittenAnswer | None) -> None:
        """Add what another part of the answer says."""
        if part is None:
            return
        found, blocks = self._found, list(part.blocks)
        if blocks and blocks[0].part is None and self._pending != WrittenBlock():
            blocks[0] = _joined(self._pending, blocks[0].css, blocks[0].js, blocks[0])
            self._pending = WrittenBlock()
        self._blocks += blocks
        self._found = WrittenAnswer(
            (),
            found.title or part.title,
            found.description or part.description,
            found.path or part.path,
            (*found.left_out, *part.left_out),
            found.is_cut or part.is_cut,
        )

    def answer(self) -> WrittenAnswer | None:
        """The whole; None when nothing was added."""
        if self._pending != WrittenBlock():
            self._blocks.append(self._pending)
        found = replace(self._found, blocks=tuple(self._blocks))
        return None if found == WrittenAnswer(()) else found


def _joined(block: WrittenBlock, css: str = "", js: str = "", into: WrittenBlock | None = None) -> WrittenBlock:
    """`into` (or the block itself) with the block's code, followed by more of it."""
    join = {"css": "\n".join(filter(None, (block.css, css))), "js": "\n".join(filter(None, (block.js, js)))}
    return replace(into or block, **join)


def _sniff(text: str) -> str:
    """The language of code whose fence names none."""
    stripped = text.lstrip()
    if stripped[:1] in ("{", "[") and find_json(stripped) is not None:
        return "json"
    if BLOCK_TAG.search(text) or stripped.startswith("<"):
        return "html"
    if CSS_RULE.match(stripped):
        return "css"
    return "markdown" if MARKDOWN_SIGN.search(text) else ""


def _read_markdown(text: str) -> WrittenAnswer | None:
    """The page that Markdown means: with a heading or a list, or several paragraphs. None = it is only talk."""
    if len(text) > MARKDOWN_CHARACTERS_MAX:
        return None
    if not MARKDOWN_SIGN.search(text) and text.count("\n\n") < 2:
        return None
    # Imported here, because few answers are Markdown.
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).enable("table").render(text)
    return read_html(html)


# ---- JSON ------------------------------------------------------------------------------------------------------------

BLOCK_LISTS = ("blocks", "sections", "elements", "components")
ENVELOPES = ("page", "result", "data", "output", "answer", "response", "content", "arguments", "input", "parameters")
HTML_FIELDS = ("html", "content", "markup", "code", "body")
CSS_FIELDS, JS_FIELDS = ("css", "style", "styles"), ("js", "javascript", "script")
FILE_NAMES, FILE_TEXTS = ("path", "name", "filename", "file"), ("content", "contents", "code", "text", "data")


def _read_json(text: str, envelopes_left: int) -> WrittenAnswer | None:
    """The page in the first JSON value of a text; None = there is none in it."""
    found = find_json(text)
    if found is None:
        return None
    answer = _read_value(found[0], envelopes_left)
    return None if answer is None else replace(answer, is_cut=answer.is_cut or found[1])


def _read_value(value: Any, envelopes_left: int) -> WrittenAnswer | None:
    if envelopes_left <= 0:
        return None
    if isinstance(value, str):
        answer = _read(_plain(value), envelopes_left - 1)
        return answer if isinstance(answer, WrittenAnswer) else None
    if isinstance(value, list):
        return _read_blocks(cast("list[Any]", value), envelopes_left)
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    facts = _facts(fields)
    for name in BLOCK_LISTS:
        if isinstance(fields.get(name), list):
            return _with_facts(_read_blocks(fields[name], envelopes_left), facts)
    if isinstance(fields.get("files"), dict | list):
        return _with_facts(_read_files(fields["files"], envelopes_left), facts)
    for name in ENVELOPES:
        inner = fields.get(name)
        if isinstance(inner, dict) or (isinstance(inner, list) and inner and isinstance(inner[0], dict)):
            return _with_facts(_read_value(inner, envelopes_left - 1), facts)
    if (block := _read_block(fields, envelopes_left)) is not None:
        return _with_facts(WrittenAnswer(block.blocks, *_facts_of(block), block.left_out, block.is_cut), facts)
    for name in ENVELOPES:
        if isinstance(fields.get(name), str):
            return _with_facts(_read_value(fields[name], envelopes_left - 1), facts)
    return _with_facts(None, facts)


def _read_blocks(values: list[Any], envelopes_left: int) -> WrittenAnswer | None:
    assembly = _Assembly()
    for value in values:
        assembly.add(read_html(value) if isinstance(value, str) else _read_block(value, envelopes_left))
    return assembly.answer()


def _read_block(value: Any, envelopes_left: int) -> WrittenAnswer | None:
    """The blocks of a JSON object. None = it is none."""
    if not isinstance(value, dict):
        return None
    fields = cast("dict[str, Any]", value)
    part, id = _text(fields, ("part", "component", "part_name")), _text(fields, ("id", "block_id"))
    if part:
        parameters = next((fields[name] for name in ("parameters", "props", "params") if name in fields), None)
        block = WrittenBlock(part=part, parameters=text_values(parameters), slots=text_values(fields.get("slots")))
        return WrittenAnswer((block,))
    html, css, js = _text(fields, HTML_FIELDS), _text(fields, CSS_FIELDS), _text(fields, JS_FIELDS)
    if not html and not css:
        return None
    answer = _read_markup(html, envelopes_left) if html else WrittenAnswer((WrittenBlock(),))
    blocks = list(answer.blocks) or [WrittenBlock()]
    blocks[0] = replace(_joined(blocks[0], css=css), block_id=block_id_of(id) or blocks[0].block_id)
    blocks[-1] = _joined(blocks[-1], js=js)
    return replace(answer, blocks=tuple(blocks))


def _read_markup(html: str, envelopes_left: int) -> WrittenAnswer:
    """The page in the field of an object that should be HTML, and may be fences or Markdown."""
    if html.lstrip().startswith(("```", "~~~")):
        answer = _read_value(html, envelopes_left)
        if answer is not None:
            return answer
    if not ANY_TAG.search(html) and MARKDOWN_SIGN.search(html):
        return _read_markdown(html) or read_html(html)
    return read_html(html)


def _read_files(files: Any, envelopes_left: int) -> WrittenAnswer | None:
    """The page in a mapping of file names to texts, or in a list of files."""
    named: list[tuple[str, str]] = []
    if isinstance(files, dict):
        mapping = cast("dict[str, Any]", files)
        named = [(name, text) for name, text in mapping.items() if isinstance(text, str)]
        named += [(name, _text(inner, FILE_TEXTS)) for name, inner in mapping.items()]
    else:
        named = [(_text(each, FILE_NAMES), _text(each, FILE_TEXTS)) for each in cast("list[Any]", files)]
    language = {name: LANGUAGES.get(name.rpartition(".")[2].lower(), "text") for name, _ in named}
    # Beside a page, a text is its documentation.
    read = ("html", "css", "js") if "html" in language.values() else ("html", "css", "js", "json", "markdown")
    segments = [
        AnswerSegment(language[name], text, name.rpartition("/")[2])
        for name, text in named
        if text.strip() and language[name] in read
    ]
    return _read_segments(segments, envelopes_left - 1)


def _text(value: Any, names: Sequence[str]) -> str:
    """The first of some fields of an object that has a text; a list of texts counts as its lines. Empty when there is
    none, or no object."""
    fields = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    for name in names:
        found = fields.get(name)
        lines = cast("list[Any]", found) if isinstance(found, list) else [found]
        text = "\n".join(line for line in lines if isinstance(line, str))
        if text.strip():
            return text
    return ""


def _facts(fields: dict[str, Any]) -> tuple[str, str, str]:
    """Title, description and path of a JSON object, or of its SEO fields."""
    places = [fields, *(fields[name] for name in ("seo", "meta", "metadata") if isinstance(fields.get(name), dict))]
    found = {
        name: next((text for place in places if (text := _text(place, names))), "")
        for name, names in {
            "title": ("title", "page_title", "meta_title"),
            "description": ("description", "meta_description"),
            "path": ("path", "slug"),
        }.items()
    }
    return tuple(" ".join(found[name].split()) for name in ("title", "description", "path"))  # pyright: ignore


def _facts_of(answer: WrittenAnswer) -> tuple[str, str, str]:
    return answer.title, answer.description, answer.path


def _with_facts(answer: WrittenAnswer | None, facts: tuple[str, str, str]) -> WrittenAnswer | None:
    if answer is None:
        return WrittenAnswer((), *facts) if facts[0] or facts[1] else None
    title, description, path = (own or given for own, given in zip(facts, _facts_of(answer), strict=True))
    return replace(answer, title=title, description=description, path=path)
