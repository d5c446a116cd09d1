"""Portable Text (portabletext.org) as Markdown. Pure. What is unknown is left out; whatever a text says stays text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from atelier.sites.rules import is_allowed_link

# All punctuation may be escaped in CommonMark.
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&=:])")
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}
MARKS = {"strong": "**", "em": "*", "strike-through": "~~"}
LEVELS_MAX = 8
Json = Mapping[str, Any]


def markdown_of(blocks: Any, image_url: Callable[[str], str | None]) -> str:
    """The Markdown of an array of blocks. image_url(reference): the address of an image, None = it has none."""
    written, in_list = list[str](), False
    for block in _dictionaries(blocks):
        text = _block(block, image_url)
        if text is None:
            continue
        is_item = "listItem" in block
        # Items of one list stand line by line, everything else apart.
        written.append(("\n" if is_item and in_list else "\n\n") + text)
        in_list = is_item
    return "".join(written).strip("\n")


def _block(block: Json, image_url: Callable[[str], str | None]) -> str | None:
    kind = block.get("_type")
    if kind == "image":
        url = image_url(_reference(block))
        return f"![{_escaped(str(block.get('alt') or block.get('caption') or ''))}]({url})" if url else None
    if kind == "code":
        return _fenced(str(block.get("code") or ""), str(block.get("language") or ""))
    if kind != "block":
        return None
    text = "".join(_spans(block)).strip()
    style = str(block.get("style") or "normal")
    if "listItem" in block:
        level = block.get("level")
        depth = min(level, LEVELS_MAX) - 1 if isinstance(level, int) and level > 0 else 0
        mark = "1. " if block["listItem"] == "number" else "- "
        return "   " * depth + mark + text.replace("\n", "\n" + "   " * (depth + 1))
    if not text:
        return None
    if style in HEADINGS:
        return f"{HEADINGS[style]} {text.replace(chr(10), ' ')}"
    return "> " + text.replace("\n", "\n> ") if style == "blockquote" else text


def _spans(block: Json) -> Iterator[str]:
    links = {
        str(each.get("_key")): str(each.get("href") or "")
        for each in _dictionaries(block.get("markDefs"))
        if each.get("_type") == "link"
    }
    for child in _dictionaries(block.get("children")):
        text, found = str(child.get("text") or ""), child.get("marks")
        marks = [str(mark) for mark in cast("Sequence[Any]", found)] if isinstance(found, list) else []
        yield _marked(text, marks, links)


def _marked(text: str, marks: Sequence[str], links: Mapping[str, str]) -> str:
    inner = text.strip()
    if not inner:
        return " " if text else ""
    # A mark with a space inside is none, so spaces stand outside.
    start, end = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    if "code" in marks:
        ticks = "`" * (max((len(run) for run in re.findall("`+", inner)), default=0) + 1)
        written = f"{ticks} {inner.replace(chr(10), ' ')} {ticks}"
    else:
        written = _escaped(inner).replace("\n", "\\\n")
    for mark in marks:
        sign = MARKS.get(mark, "")
        written = f"{sign}{written}{sign}"
    href = next((links[mark] for mark in marks if mark in links), "")
    return f"{start}{_link(written, href)}{end}".replace("\r", "")


def _link(text: str, href: str) -> str:
    # A sanitiser looks at the address once more; here a wrong one would become text.
    address = href.strip().replace("<", "%3C").replace(">", "%3E").replace("\n", "").replace("\\", "%5C")
    return f"[{text}](<{address}>)" if address and is_allowed_link(address) else text


def _fenced(code: str, language: str) -> str:
    fence = "`" * (max((len(run) for run in re.findall("`+", code)), default=2) + 1)
    return f"{fence}{re.sub(r'[^a-zA-Z0-9+#-]', '', language)}\n{code}\n{fence}"


def _reference(image: Json) -> str:
    asset = image.get("asset")
    return str(cast("Json", asset).get("_ref") or "") if isinstance(asset, dict) else ""


def _dictionaries(value: Any) -> Iterator[Json]:
    for each in cast("list[Any]", value) if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield cast("Json", each)


def _escaped(text: str) -> str:
    return _PUNCTUATION.sub(r"\\\1", text)
