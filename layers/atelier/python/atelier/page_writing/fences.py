"""Split a model's answer at its code fences. Pure; linear in the length of the text.

Models write fences otherwise than CommonMark wants: a file begins before the one above it was closed, the whole answer
lies in a fence of Markdown, code begins on the opening line, and the last fence ends with the answer."""

from __future__ import annotations

from atelier.dataclass import dataclass

MARK_LENGTH_MIN = 3
LANGUAGES = {
    **dict.fromkeys(("html", "htm", "html5", "xhtml", "xml", "svg", "markup", "jinja", "jinja2", "vue"), "html"),
    **dict.fromkeys(("css", "scss", "less", "postcss"), "css"),
    **dict.fromkeys(("js", "javascript", "mjs", "ecmascript"), "js"),
    **dict.fromkeys(("json", "json5", "jsonc"), "json"),
    **dict.fromkeys(("markdown", "md", "mdx"), "markdown"),
    **dict.fromkeys(("", "text", "txt", "plaintext", "plain", "code", "output"), "text"),
}
# A fence of these begins a part of the page, wherever it stands.
PAGE_LANGUAGES = frozenset({"html", "css", "js", "json"})
# A fence of these may contain the fences of the page.
WRAPPING_LANGUAGES = frozenset({"markdown", "text"})
INFO_SEPARATORS = str.maketrans(dict.fromkeys(":=\"'{}()[],;", " "))


@dataclass(frozen=True, slots=True)
class AnswerSegment:
    """A part of an answer. language: one of LANGUAGES' values, or the name of another language; None = text outside any
    fence. name: the file's name, where the fence gives one."""

    language: str | None
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A line that may open or close a fence. code: what follows on the same line. is_quoted: the line is one of a
    quotation, with a `>` before it."""

    character: str
    length: int
    info: str
    code: str = ""
    is_quoted: bool = False

    @property
    def language(self) -> str:
        first, name = (self.info.translate(INFO_SEPARATORS).split() or [""])[0], self.name
        word = (name or first).rpartition(".")[2].lower()
        return LANGUAGES.get(word, word)

    @property
    def name(self) -> str:
        words = self.info.translate(INFO_SEPARATORS).split()
        return next((word for word in words if word.rpartition(".")[0] and _is_file_name(word)), "")


def split_fences(text: str) -> list[AnswerSegment]:
    """The segments of a text, in order; none is empty."""
    scan = _Scan()
    for line in text.split("\n"):
        mark = _mark_of(line)
        fence = scan.fence
        if fence is None:
            if mark is None:
                scan.lines.append(line)
            else:
                scan.open(mark)
        elif mark is None:
            scan.add_code(line)
        elif mark.character != fence.character and mark.language not in PAGE_LANGUAGES:
            scan.lines.append(line)
        elif mark.info or mark.code:
            scan.open_inside(mark, line)
        elif mark.length < fence.length and scan.nested == 0:
            scan.lines.append(line)
        else:
            scan.close(line)
    scan.end_segment()
    return scan.segments


class _Scan:
    """The state of one pass over the lines. nested: fences that are open inside the fence, as its content."""

    def __init__(self) -> None:
        self.segments: list[AnswerSegment] = []
        self.lines: list[str] = []
        self.fence: _Mark | None = None
        self.nested = 0

    def open(self, mark: _Mark) -> None:
        self.end_segment()
        self.fence, self.nested = mark, 0
        if mark.code:
            self.add_code(mark.code)

    def open_inside(self, mark: _Mark, line: str) -> None:
        """An opening line inside a fence: the next file, a fence within the content, or an end with words behind it."""
        assert self.fence is not None
        is_wrapping = self.fence.language in WRAPPING_LANGUAGES and not self.nested
        if is_wrapping:
            # What the wrapping fence has said so far is talk about what begins here.
            self.fence = None
            self.open(mark)
        elif mark.language in PAGE_LANGUAGES:
            self._drop_talk()
            self.open(mark)
        elif " " in mark.info:
            self.end_segment()
            self.lines.append(mark.info)
        else:
            self.nested += 1
            self.lines.append(line)

    def _drop_talk(self) -> None:
        """Leave out what stands between the last tag of an unclosed fence of HTML and the next fence."""
        assert self.fence is not None
        if self.fence.language == "html":
            html, tag_end, _ = "\n".join(self.lines).rpartition(">")
            self.lines = [html + tag_end]

    def add_code(self, line: str) -> None:
        """A line of a fence; it closes the fence when it ends with the mark."""
        assert self.fence is not None
        if self.fence.is_quoted and line.lstrip().startswith(">"):
            line = line.lstrip()[1:].removeprefix(" ")
        mark = self.fence.character * self.fence.length
        if self.nested == 0 and self.fence.language in PAGE_LANGUAGES and line.rstrip().endswith(mark):
            self.lines.append(line.rstrip()[: -len(mark)])
            self.end_segment()
        else:
            self.lines.append(line)

    def close(self, line: str) -> None:
        if self.nested:
            self.nested -= 1
            self.lines.append(line)
        else:
            self.end_segment()

    def end_segment(self) -> None:
        text, fence = "\n".join(self.lines).strip("\n"), self.fence
        if text.strip():
            self.segments.append(
                AnswerSegment(None, text) if fence is None else AnswerSegment(fence.language, text, fence.name)
            )
        self.lines, self.fence, self.nested = [], None, 0


def _mark_of(line: str) -> _Mark | None:
    stripped = line.lstrip(" \t>")
    character = stripped[:1]
    if character not in ("`", "~"):
        return None
    rest = stripped.lstrip(character)
    length = len(stripped) - len(rest)
    if length < MARK_LENGTH_MIN or (character == "`" and "`" in rest):
        return None
    info, angle, code = rest.partition("<")
    return _Mark(character, length, info.strip(), angle + code, is_quoted=line.lstrip().startswith(">"))


def _is_file_name(word: str) -> bool:
    return word.rpartition(".")[2].lower() in LANGUAGES
