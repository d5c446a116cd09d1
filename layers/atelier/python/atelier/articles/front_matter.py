"""Markdown files with front matter: YAML between two lines `---`, then the body.

---
title: Light in film
slug: light-in-film
tags: [film, light]
---
The body."""

from __future__ import annotations

from typing import Any, cast

import yaml

from atelier.errors import ValidationFailed

FRONT_MATTER_CHARACTERS_MAX = 10_000
DEPTH_MAX = 4
FIELDS = ("title", "slug", "summary", "tags", "author", "cover_id", "asset_ids", "related_ids")
_FENCE = "---"


class _Loader(yaml.SafeLoader):
    """Plain values alone, which are not nested deeply: an alias makes much of little, each open bracket makes the rest
    slower to read, and a date must stay the text that was written."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):  # type: ignore[no-untyped-call]
            raise yaml.YAMLError("aliases are not allowed")
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise yaml.YAMLError("it is nested too deeply")
        node: Any = super().compose_node(parent, index)  # type: ignore[no-untyped-call]
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_front_matter(text: str) -> dict[str, Any]:
    """The fields of a file, with `body`. Of a text without front matter all is the body. Raises ValidationFailed."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    if lines[0].rstrip() != _FENCE:
        return {"body": "\n".join(lines)}
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == _FENCE), None)
    if end is None:
        raise _wrong("has front matter without an end: a line `---`")
    head = "\n".join(lines[1:end])
    if len(head) > FRONT_MATTER_CHARACTERS_MAX:
        raise _wrong(f"has front matter of more than {FRONT_MATTER_CHARACTERS_MAX} characters")
    try:
        found: Any = yaml.load(head, Loader=_Loader)  # nosec B506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        where = getattr(error, "problem_mark", None)
        raise _wrong("has front matter that is no YAML" + (f", line {where.line + 2}" if where else "")) from error
    if found is None:
        found = {}
    if not isinstance(found, dict):
        raise _wrong("has front matter that is no mapping")
    fields = cast("dict[Any, Any]", found)
    unknown = [str(name)[:40] for name in fields if name not in FIELDS]
    if unknown:
        raise _wrong(f"has fields that no article has: {', '.join(unknown[:5])}")
    return {**fields, "body": "\n".join(lines[end + 1 :]).lstrip("\n")}


def write_front_matter(fields: dict[str, Any]) -> str:
    """The file of an article, which `read_front_matter` reads. fields: as it returns them."""
    named = {name: fields[name] for name in FIELDS if fields.get(name)}
    head = yaml.safe_dump(named, allow_unicode=True, sort_keys=False, default_flow_style=None, width=1000)
    return f"{_FENCE}\n{head}{_FENCE}\n{fields['body']}"


def _wrong(message: str) -> ValidationFailed:
    return ValidationFailed([{"path": "file", "message": message}])
