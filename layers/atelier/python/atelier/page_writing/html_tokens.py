"""Tokens of HTML as models write it: unclosed, cut off, with anything in it. Pure; linear in the length of the text.

It only finds where tags, comments and raw texts begin and end, to split a page into blocks. What is safe is decided by
the sanitiser, which has a parser of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum, auto

from atelier.dataclass import dataclass

NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9:-]*")
# Elements whose content is text up to their end tag.
RAW_TEXT_END = {
    "script": re.compile("</script", re.IGNORECASE),
    "style": re.compile("</style", re.IGNORECASE),
    "title": re.compile("</title", re.IGNORECASE),
    "textarea": re.compile("</textarea", re.IGNORECASE),
}
QUOTE_OR_END = re.compile("[\"'>]")


class TokenType(Enum):
    TEXT = auto()
    START = auto()
    END = auto()
    COMMENT = auto()
    # A script, style, title or textarea with its content.
    RAW = auto()
    DECLARATION = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of HTML. name: of the element, in lower case. content: of a comment or a raw text. tag: the start
    tag. is_whole: false for what the end of the text cuts off."""

    type: TokenType
    source: str
    name: str = ""
    content: str = ""
    tag: str = ""
    is_whole: bool = True


def tokens_of(html: str) -> Iterator[Token]:
    """The tokens of a text; their sources are the text, in order."""
    reader = _TokenReader(html)
    place = 0
    while place < len(html):
        angle = html.find("<", place)
        if angle < 0:
            yield Token(TokenType.TEXT, html[place:])
            return
        if angle > place:
            yield Token(TokenType.TEXT, html[place:angle])
        token = reader.token_at(angle)
        yield token
        place = angle + len(token.source)


class _TokenReader:
    """Reads single tokens. _absent: from which place on a text is known not to occur, so that no search for the same
    missing end runs over the rest again."""

    def __init__(self, html: str) -> None:
        self._html = html
        self._absent: dict[str, int] = {}

    def token_at(self, start: int) -> Token:
        """The token that begins with the `<` at `start`."""
        html = self._html
        if html.startswith("<!--", start):
            return self._until(start, 4, "-->", TokenType.COMMENT)
        if html.startswith(("<!", "<?"), start):
            return self._until(start, 2, ">", TokenType.DECLARATION)
        is_end = html.startswith("</", start)
        named = NAME.match(html, start + (2 if is_end else 1))
        if named is None:
            is_last = start + (2 if is_end else 1) >= len(html)
            return Token(TokenType.TEXT, "</" if is_end else "<", is_whole=not is_last)
        end = self._end_of_tag(named.end())
        name, is_whole = named[0].lower(), end >= 0
        source = html[start : end + 1] if is_whole else html[start:]
        if is_end:
            return Token(TokenType.END, source, name, is_whole=is_whole)
        if is_whole and name in RAW_TEXT_END and not source.endswith("/>"):
            return self._raw_text(start, source, name)
        return Token(TokenType.START, source, name, tag=source, is_whole=is_whole)

    def _raw_text(self, start: int, tag: str, name: str) -> Token:
        begin = start + len(tag)
        ended = RAW_TEXT_END[name].search(self._html, begin)
        if ended is None:
            return Token(TokenType.RAW, self._html[start:], name, self._html[begin:], tag, is_whole=False)
        angle = self._find(">", ended.end())
        stop = angle + 1 if angle >= 0 else len(self._html)
        return Token(TokenType.RAW, self._html[start:stop], name, self._html[begin : ended.start()], tag)

    def _until(self, start: int, opening: int, ending: str, type: TokenType) -> Token:
        """A token up to an ending. Without it: a comment up to the end of its line, so that it hides nothing else."""
        found = self._find(ending, start + opening)
        if found >= 0:
            return Token(type, self._html[start : found + len(ending)], content=self._html[start + opening : found])
        line_end = self._find("\n", start)
        stop = line_end if line_end >= 0 else len(self._html)
        return Token(type, self._html[start:stop], content=self._html[start + opening : stop], is_whole=line_end >= 0)

    def _end_of_tag(self, place: int) -> int:
        """The place of the `>` that ends a tag, quoted values skipped; -1 = there is none."""
        while True:
            found = QUOTE_OR_END.search(self._html, place)
            if found is None:
                return -1
            if found[0] == ">":
                return found.start()
            closing = self._find(found[0], found.end())
            if closing < 0:
                # A quotation mark without its pair: the tag ends at the first `>`.
                return self._find(">", found.end())
            place = closing + 1

    def _find(self, text: str, start: int) -> int:
        if start >= self._absent.get(text, len(self._html) + 1):
            return -1
        found = self._html.find(text, start)
        if found < 0:
            self._absent[text] = min(start, self._absent.get(text, start))
        return found
