"""Filter patterns of CloudWatch Logs, as far as our templates use them: the embedded AWS stores metric filters, and
applies none.

    ?"a phrase" ?another        a line with any of the terms; without question marks, with all of them
    { ($.message = "request") && ($.route = "ANY /v1*" || $.status >= 500) }    a line of JSON

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import fnmatch
import json
import operator
import re
from collections.abc import Callable
from typing import Any

Matcher = Callable[[Any], bool]
LineMatcher = Callable[[str], bool]

_TOKEN = re.compile(r"\s*(\$(?:\.[A-Za-z0-9_]+)+|\"(?:[^\"\\]|\\.)*\"|&&|\|\||<=|>=|!=|[=<>()]|-?[0-9.]+)")
_TERM = re.compile(r"(\??)(\"(?:[^\"\\]|\\.)*\"|[^\s\"?]+)")
_NUMBERS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class UnknownPattern(ValueError):
    """The pattern uses something that this module does not know; the text shows it."""


def compile_pattern(pattern: str) -> LineMatcher:
    """What says whether a line matches the pattern; raises UnknownPattern."""
    text = pattern.strip()
    if text.startswith("{") and text.endswith("}"):
        return _json_matcher(text[1:-1])
    terms = [(bool(optional), _unquoted(term)) for optional, term in _TERM.findall(text)]
    if any(optional for optional, _ in terms) and not all(optional for optional, _ in terms):
        raise UnknownPattern(pattern)
    choose = any if terms and terms[0][0] else all
    return lambda line: choose(term in line for _, term in terms)


def field_of(facts: Any, path: str) -> Any:
    """The value at a path such as `$.a.b` of a line's JSON; None without one."""
    for name in path.split(".")[1:]:
        facts = facts.get(name) if isinstance(facts, dict) else None
    return facts


def _json_matcher(text: str) -> LineMatcher:
    tokens = _tokens(text)
    matcher = _any_of(tokens)
    if tokens:
        raise UnknownPattern(text)

    def matches(line: str) -> bool:
        try:
            return matcher(json.loads(line))
        except ValueError:
            return False

    return matches


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise UnknownPattern(text[place:])
        found.append(token[1])
        place = token.end()
    return found


def _any_of(tokens: list[str]) -> Matcher:
    return _joined(tokens, "||", _all_of, any)


def _all_of(tokens: list[str]) -> Matcher:
    return _joined(tokens, "&&", _comparison, all)


def _joined(tokens: list[str], word: str, part: Callable[[list[str]], Matcher], choose: Callable[..., bool]) -> Matcher:
    parts = [part(tokens)]
    while tokens and tokens[0] == word:
        tokens.pop(0)
        parts.append(part(tokens))
    return lambda facts: choose(each(facts) for each in parts)


def _comparison(tokens: list[str]) -> Matcher:
    try:
        if tokens[0] == "(":
            tokens.pop(0)
            inner = _any_of(tokens)
            if tokens.pop(0) != ")":
                raise UnknownPattern("a parenthesis is not closed")
            return inner
        path, comparison, value = tokens.pop(0), _NUMBERS[tokens.pop(0)], tokens.pop(0)
    except (IndexError, KeyError) as error:
        raise UnknownPattern(str(error)) from error
    if value.startswith('"'):
        wanted = _unquoted(value)
        return lambda facts: comparison(_matches_text(field_of(facts, path), wanted), True)
    number = float(value)

    def compare(facts: Any) -> bool:
        found = field_of(facts, path)
        # Metrics of the embedded format are lists of one value.
        found = found[0] if isinstance(found, list) and found else found
        return isinstance(found, int | float) and comparison(found, number)

    return compare


def _matches_text(found: Any, wanted: str) -> bool:
    return isinstance(found, str) and fnmatch.fnmatchcase(found, wanted.replace("[", "[[]").replace("?", "[?]"))


def _unquoted(term: str) -> str:
    return re.sub(r"\\(.)", r"\1", term[1:-1]) if term.startswith('"') else term
