"""What changed between two versions of a page or a part: fields, then blocks, then the lines of their texts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from enum import StrEnum
from typing import Any

from atelier.dataclass import dataclass
from atelier.sites.encode import parameters_facts, seo_facts
from atelier.sites.model import Block, PageContent, Part

# difflib compares line by line, which takes long for very many lines.
LINES_MAX, CONTEXT_LINES = 3000, 3
TEXTS = ("html", "css", "js")


class BlockChange(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class FieldDiff:
    """A field of the page that differs, as JSON values."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class BlockDiff:
    """A block that differs. lines: a unified diff of its texts, without the lines of names; a block that moved and
    changed is `changed`."""

    block_id: str
    change: BlockChange
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageDiff:
    """What differs between two versions; blocks in the order of the newer version, removed ones last."""

    fields: tuple[FieldDiff, ...]
    blocks: tuple[BlockDiff, ...]


@dataclass(frozen=True, slots=True)
class PartDiff:
    """What differs between two versions of a part. lines: a unified diff of its texts."""

    fields: tuple[FieldDiff, ...]
    lines: tuple[str, ...]


def diff_parts(before: Part, after: Part) -> PartDiff:
    """What a part's second version changed of its first one."""
    old, new = _part_fields(before), _part_fields(after)
    fields = tuple(FieldDiff(name, old[name], new[name]) for name in old if old[name] != new[name])
    texts = ({name: str(getattr(part, name)) for name in TEXTS} for part in (before, after))
    return PartDiff(fields, _lines(*texts))


def diff_pages(before: PageContent, after: PageContent) -> PageDiff:
    """What a page's second version changed of its first one."""
    old, new = _fields(before), _fields(after)
    fields = tuple(FieldDiff(name, old[name], new[name]) for name in old if old[name] != new[name])
    return PageDiff(fields, tuple(_block_diffs(before.blocks, after.blocks)))


def _block_diffs(before: Sequence[Block], after: Sequence[Block]) -> Iterator[BlockDiff]:
    old, new = {block.id: block for block in before}, {block.id: block for block in after}
    places = {id: place for place, id in enumerate(id for id in old if id in new)}
    in_place = {id for place, id in enumerate(id for id in new if id in old) if places[id] == place}
    for id, block in new.items():
        if id not in old:
            yield BlockDiff(id, BlockChange.ADDED, _lines({}, _texts(block)))
        elif old[id] != block:
            yield BlockDiff(id, BlockChange.CHANGED, _lines(_texts(old[id]), _texts(block)))
        elif id not in in_place:
            yield BlockDiff(id, BlockChange.MOVED)
    for id, block in old.items():
        if id not in new:
            yield BlockDiff(id, BlockChange.REMOVED, _lines(_texts(block), {}))


def _fields(content: PageContent) -> dict[str, Any]:
    seo = {f"seo.{name}": value for name, value in seo_facts(content.seo).items()}
    return {"path": content.path, "title": content.title, "language": content.language, **seo}


def _part_fields(part: Part) -> dict[str, Any]:
    return {"name": part.name, "category": part.category, "parameters": parameters_facts(part.parameters)}


def _lines(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[str, ...]:
    found = list[str]()
    for name in dict.fromkeys([*old, *new]):
        first, second = (texts.get(name, "").splitlines()[:LINES_MAX] for texts in (old, new))
        changes = list(unified_diff(first, second, lineterm="", n=CONTEXT_LINES))[2:]
        found += [f"{name}:", *changes] if changes else []
    return tuple(found)


def _texts(block: Block) -> Mapping[str, str]:
    texts = {name: str(getattr(block, name)) for name in TEXTS}
    texts |= {"component_id": block.component_id or ""}
    texts |= {f"parameters.{name}": value for name, value in block.parameters.items()}
    return texts | {f"slots.{name}": value for name, value in block.slots.items()}
