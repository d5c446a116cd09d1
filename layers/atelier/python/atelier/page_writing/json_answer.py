"""Read JSON out of a model's answer: with words around it, with raw line breaks in its strings, with commas too many,
or cut off. Pure; linear in the length of the text."""

from __future__ import annotations

import re
from typing import Any, cast

import pydantic_core

# What may follow the brace of an object that somebody writes as data, and no language of a page has there.
START = re.compile(r'[{\[]\s*[{\["]')
# Runs of characters that need no look, quotation marks and brackets one by one.
PIECE = re.compile(r'[^"\\{}\[\],\n\r\t]+|\\.|.|\n', re.DOTALL)
ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
JSON_CHARACTERS_MAX = 2 * 1024 * 1024


def find_json(text: str) -> tuple[Any, bool] | None:
    """The first object or list of a text, and whether it is cut off. None = there is none."""
    started = START.search(text)
    if started is None or len(text) > JSON_CHARACTERS_MAX:
        return None
    repaired, is_cut = _repair(text[started.start() :])
    try:
        value = pydantic_core.from_json(repaired, allow_partial="trailing-strings" if is_cut else False)
    except ValueError:
        return None
    return (cast("Any", value), is_cut) if isinstance(value, dict | list) and value else None


def _repair(text: str) -> tuple[str, bool]:
    """The JSON at the beginning of a text with escaped line breaks and without needless commas; whether its end is
    missing."""
    out: list[str] = []
    depth, in_string, has_comma = 0, False, False
    for found in PIECE.finditer(text):
        piece = found[0]
        if in_string:
            in_string = piece != '"'
            out.append(ESCAPES.get(piece, piece))
            continue
        if has_comma and piece not in "}]" and not piece.isspace():
            out.append(",")
        has_comma = has_comma and piece.isspace()
        if piece == ",":
            has_comma = True
            continue
        out.append(piece)
        if piece == '"':
            in_string = True
        elif piece in "{[":
            depth += 1
        elif piece in "}]":
            depth -= 1
            if depth == 0:
                return "".join(out), False
    return "".join(out), True
