"""Sanitise CSS: its tokens are read by tinycss2, and what loads from foreign places or can act is taken out. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tinycss2

from atelier.errors import ValidationFailed
from atelier.sites.rules import Removal, SanitizeRules, is_allowed_source

# At-rules that load nothing by themselves; all others are taken out.
AT_RULES = frozenset({"media", "supports", "container", "layer", "keyframes", "-webkit-keyframes", "font-face"})
# Functions whose strings are addresses, and functions and properties that have run scripts in some browser.
LOADING = frozenset({"url", "src", "image", "image-set", "-webkit-image-set", "cross-fade"})
ACTING_FUNCTIONS = frozenset({"expression"})
ACTING_PROPERTIES = frozenset({"behavior", "-ms-behavior", "-moz-binding"})
NESTING_MAX = 40
TOKEN_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
TOKEN_CHARACTERS_MAX = 200
Report = Callable[[str], None]


def clean_css(css: str, rules: SanitizeRules) -> tuple[str, tuple[Removal, ...]]:
    """A stylesheet without what is not allowed, and what was taken out. Raises ValidationFailed for one that is nested
    too deeply to be read."""
    _check_nesting(css)
    removed = list[Removal]()
    nodes = tinycss2.parse_stylesheet(css, skip_comments=True)
    text = _serialize(_clean_rules(nodes, rules, lambda what: removed.append(Removal(what, "css"))))
    return text.strip(), tuple(removed)


def clean_style(style: str, rules: SanitizeRules, report: Report) -> str:
    """The declarations of a `style` attribute that are allowed."""
    if _nesting(style) > NESTING_MAX:
        report("style")
        return ""
    nodes = tinycss2.parse_blocks_contents(style, skip_comments=True)
    kept = [node for node in _clean_contents(nodes, rules, report) if node.type == "declaration"]
    return "; ".join(_serialize([node]).rstrip(";") for node in kept)


def check_token(name: str, value: str) -> str | None:
    """Why a design token is not allowed; None = it is. Its value must stay one value of one declaration."""
    if not TOKEN_NAME.fullmatch(name):
        return "a name is a lower-case word such as color-text"
    if not value.strip() or len(value) > TOKEN_CHARACTERS_MAX:
        return f"a value has 1 to {TOKEN_CHARACTERS_MAX} characters"
    if _nesting(value) > NESTING_MAX or "\\" in value or "<" in value:
        return "the value is not a CSS value"
    return _token_refusal(tinycss2.parse_component_value_list(value))


def sources_in(css: str) -> list[str]:
    """The addresses that a stylesheet loads."""
    found = list[str]()
    if _nesting(css) <= NESTING_MAX:
        _walk(tinycss2.parse_component_value_list(css), found.append, lambda _: None)
    return found


def _token_refusal(nodes: Sequence[Any]) -> str | None:
    for node in nodes:
        if node.type in ("error", "at-keyword", "{} block", "url") or (node.type == "literal" and node.value in ";!"):
            return "the value is not a CSS value"
        if node.type == "function":
            if node.lower_name in LOADING | ACTING_FUNCTIONS:
                return "the value must not load anything"
            if refusal := _token_refusal(node.arguments):
                return refusal
    return None


def _clean_rules(nodes: Iterable[Any], rules: SanitizeRules, report: Report) -> list[Any]:
    kept = list[Any]()
    for node in nodes:
        if node.type == "at-rule" and node.lower_at_keyword not in AT_RULES:
            report(f"@{node.lower_at_keyword}")
        elif node.type in ("at-rule", "qualified-rule"):
            if _is_clean(node.prelude, rules, report):
                node.content = _clean_block(node, rules, report)
                kept.append(node)
        elif node.type == "error":
            report("CSS that cannot be read")
        elif node.type != "comment":
            kept.append(node)
    return kept


def _clean_block(node: Any, rules: SanitizeRules, report: Report) -> list[Any] | None:
    if node.content is None:
        return None
    return _clean_contents(tinycss2.parse_blocks_contents(node.content, skip_comments=True), rules, report)


def _clean_contents(nodes: Iterable[Any], rules: SanitizeRules, report: Report) -> list[Any]:
    kept = list[Any]()
    for node in nodes:
        if node.type != "declaration":
            kept += _clean_rules([node], rules, report)
        elif node.lower_name in ACTING_PROPERTIES:
            report(node.lower_name)
        elif _is_clean(node.value, rules, report):
            kept.append(node)
    return kept


def _is_clean(values: Sequence[Any], rules: SanitizeRules, report: Report) -> bool:
    """Whether component values load nothing foreign and do nothing; what is wrong is reported."""
    wrong = list[str]()

    def check(source: str) -> None:
        if not is_allowed_source(source, rules):
            wrong.append(f"url({source[:80]})")

    _walk(values, check, wrong.append)
    for each in dict.fromkeys(wrong):
        report(each)
    return not wrong


def _walk(values: Iterable[Any], source: Report, acting: Report) -> None:
    for value in values:
        if value.type == "url":
            source(value.value)
        elif value.type == "function":
            if value.lower_name in ACTING_FUNCTIONS:
                acting(f"{value.lower_name}()")
            if value.lower_name in LOADING:
                for string in _strings(value.arguments):
                    source(string)
            _walk(value.arguments, source, acting)
        elif value.type in ("() block", "[] block", "{} block"):
            _walk(value.content, source, acting)
        elif value.type == "error":
            acting("CSS that cannot be read")


def _strings(values: Iterable[Any]) -> list[str]:
    return [value.value for value in values if value.type == "string"]


def _serialize(nodes: Iterable[Any]) -> str:
    text = str(tinycss2.serialize(nodes))
    # A string of CSS may contain what would end a `style` element; a backslash changes nothing of its value.
    return text.replace("</", "<\\/").replace("<!--", "").replace("-->", "")


def _check_nesting(css: str) -> None:
    if _nesting(css) > NESTING_MAX:
        raise ValidationFailed([{"path": "css", "message": f"is nested more than {NESTING_MAX} deep"}])


def _nesting(css: str) -> int:
    """How deep brackets are nested at most; brackets in strings count too."""
    depth = deepest = 0
    for character in css:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth = max(depth - 1, 0)
    return deepest
