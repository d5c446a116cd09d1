"""Read HTML out of a model's answer: its blocks, its CSS and JavaScript, its title. Pure; linear in the length.

Comments name what HTML itself cannot: `<!-- block: blk_… -->` begins a block of the page anew, `<!-- part: Name
{"title": "…"} -->` uses a part, and `<!-- title: … -->`, `<!-- description: … -->`, `<!-- path: /… -->` are of the
page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any, cast

import pydantic_core

from atelier.dataclass import dataclass
from atelier.page_writing.answer import WrittenAnswer, WrittenBlock
from atelier.page_writing.html_tokens import Token, TokenType, tokens_of

VOID_ELEMENTS = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
# A page has these once, from its renderer; their content is the answer's.
DROPPED_TAGS = frozenset({"html", "head", "body", "main"})
# What models put around a page: names of their own, and of their tools' files.
WRAPPER_TAGS = frozenset(
    (
        *("answer", "artifact", "antartifact", "block", "blocks", "boltaction", "boltartifact", "code_block", "file"),
        *("files", "output", "page", "pages", "response", "result", "content_block", "markup"),
    )
)
SECTIONING_ELEMENTS = frozenset(["header", "nav", "section", "article", "aside", "footer", "div"])
CSS_WRAPPERS, JS_WRAPPERS = ("css", "styles"), ("js", "javascript")
BLOCK_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")
REMARKS = ("block", "part", "title", "description", "path")
META_DESCRIPTION = re.compile(r"\bname\s{0,5}=\s{0,5}[\"']?description\b", re.IGNORECASE)
META_CONTENT = re.compile(r"\bcontent\s{0,5}=\s{0,5}(?:\"([^\"]{0,1000})\"|'([^']{0,1000})')", re.IGNORECASE)
TAG_CHARACTERS_MAX = 4000
FOREIGN_SOURCE = re.compile(r"\b(?:src|href)\s{0,5}=", re.IGNORECASE)
DATA_SCRIPT = re.compile(r"\btype\s{0,5}=\s{0,5}[\"']?(?:application/(?:ld\+)?json|text/template)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Piece:
    """An element of the top level, or what lies between two of them. name: of the element; empty = no element."""

    name: str
    html: str


def read_html(html: str, *, keeps_text: bool = True) -> WrittenAnswer:
    """The page in a text. keeps_text: text outside all elements belongs to it; otherwise it is talk around the page."""
    reader = _PageReader(keeps_text=keeps_text)
    for token in tokens_of(html.replace("<![CDATA[", "").replace("]]>", "")):
        reader.read(token)
    return reader.answer()


class _PageReader:
    """The state of one pass over the tokens. open_names: the elements that are open, in order, and how often each."""

    def __init__(self, *, keeps_text: bool) -> None:
        self._keeps_text = keeps_text
        self._blocks: list[WrittenBlock] = []
        self._facts = dict.fromkeys(("title", "description", "path"), "")
        self._left_out: list[str] = []
        self._is_cut = False
        self._open_names: list[str] = []
        self._open_counts: dict[str, int] = {}
        self._start_chunk(WrittenBlock())

    def _start_chunk(self, block: WrittenBlock) -> None:
        self._chunk, self._pieces = block, list[_Piece]()
        self._css, self._js = list[str](), list[str]()
        self._parts, self._name = list[str](), ""
        self._wrapper = ""

    def read(self, token: Token) -> None:
        """Take the next token."""
        if not token.is_whole and token.type in (TokenType.START, TokenType.END, TokenType.TEXT):
            self._is_cut = True
            return
        match token.type:
            case TokenType.RAW:
                self._read_raw(token)
            case TokenType.COMMENT:
                self._read_remark(token.content.strip())
            case TokenType.START if not self._is_transparent(token):
                self._read_start(token)
            case TokenType.END if not self._is_transparent(token):
                self._read_end(token)
            case TokenType.TEXT:
                self._read_text(token.source)
            case _:
                pass

    def answer(self) -> WrittenAnswer:
        """What was read."""
        self._is_cut = self._is_cut or any(name not in ("p", "li", "td", "tr", "th") for name in self._open_names)
        self._end_chunk()
        return WrittenAnswer(
            tuple(self._blocks),
            **{name: " ".join(unescape(fact).split()) for name, fact in self._facts.items()},
            left_out=tuple(dict.fromkeys(self._left_out)),
            is_cut=self._is_cut,
        )

    def _is_transparent(self, token: Token) -> bool:
        """Whether a tag only wraps the page, or is about it."""
        name, is_start = token.name, token.type is TokenType.START
        if name in ("meta", "link", "base"):
            self._read_head(token)
            return True
        if name in CSS_WRAPPERS + JS_WRAPPERS:
            self._wrapper = name if is_start else ""
            return True
        if name in WRAPPER_TAGS and is_start:
            self._end_piece()
        return name in DROPPED_TAGS or name in WRAPPER_TAGS

    def _read_head(self, token: Token) -> None:
        tag = token.source[:TAG_CHARACTERS_MAX]
        if token.name == "meta" and META_DESCRIPTION.search(tag):
            content = META_CONTENT.search(tag)
            self._facts["description"] = self._facts["description"] or (content and (content[1] or content[2])) or ""
        elif token.name == "link" and "stylesheet" in tag.lower():
            self._left_out.append("a stylesheet of another address")

    def _read_raw(self, token: Token) -> None:
        self._is_cut = self._is_cut or not token.is_whole
        tag = token.tag[:TAG_CHARACTERS_MAX]
        if token.name == "style":
            self._css.append(token.content.strip())
        elif token.name == "script" and FOREIGN_SOURCE.search(tag):
            self._left_out.append("a script of another address")
        elif token.name == "script" and DATA_SCRIPT.search(tag):
            self._left_out.append("structured data")
        elif token.name == "script":
            self._js.append(token.content.strip())
        elif token.name == "title" and not self._open_names:
            self._facts["title"] = self._facts["title"] or token.content
        else:
            self._parts.append(token.source)

    def _read_remark(self, remark: str) -> None:
        key, colon, value = remark.partition(":")
        name, value = key.strip().lower(), value.strip()
        if not colon or name not in REMARKS:
            return
        if name == "block":
            self._end_chunk()
            self._start_chunk(WrittenBlock(block_id=block_id_of(value)))
        elif name == "part":
            self._end_chunk()
            self._blocks.append(_part_block(value))
            self._start_chunk(WrittenBlock())
        else:
            self._facts[name] = self._facts[name] or value

    def _read_start(self, token: Token) -> None:
        if not self._open_names:
            self._end_piece()
            self._name = token.name
        self._parts.append(token.source)
        if token.name in VOID_ELEMENTS or token.source.endswith("/>"):
            if not self._open_names:
                self._name = ""
            return
        self._open_names.append(token.name)
        self._open_counts[token.name] = self._open_counts.get(token.name, 0) + 1

    def _read_end(self, token: Token) -> None:
        if not self._open_counts.get(token.name):
            return
        while True:
            name = self._open_names.pop()
            self._open_counts[name] -= 1
            if name == token.name:
                break
        self._parts.append(token.source)
        if not self._open_names:
            self._end_piece()

    def _read_text(self, text: str) -> None:
        if self._wrapper:
            (self._css if self._wrapper in CSS_WRAPPERS else self._js).append(text.strip())
        elif self._open_names or self._keeps_text or not text.strip():
            self._parts.append(text)

    def _end_piece(self) -> None:
        html = "".join(self._parts).strip()
        if html:
            self._pieces.append(_Piece(self._name, html))
        self._parts, self._name = [], ""

    def _end_chunk(self) -> None:
        """Make blocks of the pieces since the last remark: one for each section, one for all that is none."""
        self._end_piece()
        self._open_names, self._open_counts = [], {}
        css, js = "\n".join(filter(None, self._css)), "\n".join(filter(None, self._js))
        texts = ["\n".join(each.html for each in self._pieces)] if self._chunk.block_id else [*_groups(self._pieces)]
        if not any(texts) and not css and not js:
            return
        blocks = [WrittenBlock(html=text) for text in texts] or [WrittenBlock()]
        blocks[0] = replace(blocks[0], css=css, block_id=self._chunk.block_id)
        blocks[-1] = replace(blocks[-1], js=js)
        self._blocks += blocks


def _groups(pieces: list[_Piece]) -> Iterator[str]:
    loose: list[str] = []
    for piece in pieces:
        if piece.name not in SECTIONING_ELEMENTS:
            loose.append(piece.html)
            continue
        if loose:
            yield "\n".join(loose)
            loose = []
        yield piece.html
    if loose:
        yield "\n".join(loose)


def _part_block(remark: str) -> WrittenBlock:
    """The use of a part: its name, and possibly its parameters and slots as a JSON object."""
    name, brace, data = remark.partition("{")
    values: Any = {}
    if brace:
        try:
            values = pydantic_core.from_json(brace + data)
        except ValueError:
            values = {}
    slots = cast("dict[str, Any]", values).get("slots") if isinstance(values, dict) else None
    return WrittenBlock(part=name.strip(), parameters=text_values(values), slots=text_values(slots))


def block_id_of(value: str) -> str | None:
    """The id of a block that an answer names; None for a new block."""
    return value if BLOCK_ID.fullmatch(value) and value != "new" else None


def text_values(values: Any) -> dict[str, str]:
    """The scalar values of an object as texts; of anything else nothing."""
    if not isinstance(values, dict):
        return {}
    scalars = cast("dict[Any, Any]", values)
    return {str(name): str(value) for name, value in scalars.items() if isinstance(value, str | int | float)}
