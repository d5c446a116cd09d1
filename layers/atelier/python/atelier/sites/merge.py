"""Three-way merges: what two people made of the same version becomes one, where they did not touch the same thing.
Pure.

`base` is the version that both began with, `theirs` the newest stored one, `mine` what is to be saved. What only one
side changed is taken from that side; what both changed to the same is taken; anything else is a conflict, and nothing
is stored."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from atelier.dataclass import dataclass
from atelier.sites.model import Block, PageContent, Part, Seo

ValueT = TypeVar("ValueT")
SEO_FIELDS = ("title", "description", "image_asset_id", "no_index")
PART_FIELDS = ("name", "category", "html", "css", "js", "parameters", "slots")


@dataclass(frozen=True, slots=True)
class MergeConflict:
    """What both sides changed, each in its own way: blocks by their ids, fields by their names (`title`, `seo.title`).
    moved: blocks that both moved, to different places."""

    blocks: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


class _Conflicting(Exception):
    """Both sides changed one value."""


def merge_contents(
    base: PageContent, theirs: PageContent, mine: PageContent, *, mine_wins: bool = False
) -> PageContent | MergeConflict:
    """The page with the changes of both sides, or what they disagree about. mine_wins: somebody has seen both and
    decided, so what they disagree about is as in `mine`."""
    fields = list[str]()

    def pick(name: str, get: Callable[[PageContent], ValueT]) -> ValueT:
        try:
            return _pick(get(base), get(theirs), get(mine))
        except _Conflicting:
            if not mine_wins:
                fields.append(name)
            return get(mine)

    path, title = pick("path", lambda each: each.path), pick("title", lambda each: each.title)
    language = pick("language", lambda each: each.language)
    seo = Seo(**{name: pick(f"seo.{name}", _seo_field(name)) for name in SEO_FIELDS})

    blocks, touched = _merge_blocks(base.blocks, theirs.blocks, mine.blocks, mine_wins=mine_wins)
    orders = [_ids(each.blocks) for each in (base, theirs, mine)]
    order, moved = _merge_order(orders, blocks.keys(), mine_wins=mine_wins)
    if fields or touched or moved:
        return MergeConflict(tuple(touched), tuple(fields), tuple(moved))
    return PageContent(path, title, tuple(blocks[id] for id in order), seo, language)


def merge_parts(base: Part, theirs: Part, mine: Part) -> Part | MergeConflict:
    """A part with the changes of both sides, field by field, or the fields that they disagree about."""
    values, fields = dict[str, Any](), list[str]()
    for name in PART_FIELDS:
        try:
            values[name] = _pick(getattr(base, name), getattr(theirs, name), getattr(mine, name))
        except _Conflicting:
            fields.append(name)
    return MergeConflict(fields=tuple(fields)) if fields else replace(mine, **values)


def _seo_field(name: str) -> Callable[[PageContent], Any]:
    return lambda content: getattr(content.seo, name)


def _pick(base: ValueT, theirs: ValueT, mine: ValueT) -> ValueT:
    if mine in (base, theirs):
        return theirs
    if theirs == base:
        return mine
    raise _Conflicting


def _ids(blocks: Iterable[Block]) -> list[str]:
    return [block.id for block in blocks]


def _merge_blocks(
    base: Sequence[Block], theirs: Sequence[Block], mine: Sequence[Block], *, mine_wins: bool
) -> tuple[dict[str, Block], list[str]]:
    """The blocks that stay, by id, and the ids of those that both sides changed. A block that one side removed and the
    other one left as it was is gone; None stands for a block that a side does not have."""
    sides = [{block.id: block for block in blocks} for blocks in (base, theirs, mine)]
    merged, touched = dict[str, Block](), list[str]()
    for id in dict.fromkeys([*_ids(base), *_ids(theirs), *_ids(mine)]):
        try:
            block = _pick(*(side.get(id) for side in sides))
        except _Conflicting:
            block = sides[2].get(id)
            if not mine_wins:
                touched.append(id)
        if block is not None:
            merged[id] = block
    return merged, touched


def _merge_order(
    orders: Sequence[Sequence[str]], kept: Iterable[str], *, mine_wins: bool
) -> tuple[list[str], list[str]]:
    """The order of the blocks `kept`, and the ids of those that both sides moved to different places.

    Blocks that neither side moved or inserted keep their order. Between two of them stand the runs of blocks that the
    sides put there; the run with the smaller first id comes first, so that the order does not depend on who saved
    first."""
    wanted = set(kept)
    base, theirs, mine = ([id for id in order if id in wanted] for order in orders)
    common = set(base) & set(theirs) & set(mine)
    old, new, own = ([id for id in order if id in common] for order in (base, theirs, mine))
    if new == own:
        old = new  # Both moved the same blocks to the same places.
    moved_by_them, moved_by_me = _moved(old, new), _moved(old, own)
    both = moved_by_them & moved_by_me
    if both and not mine_wins:
        return [], [id for id in old if id in both]
    moved_by_them -= both

    stable = [id for id in old if id not in moved_by_them | moved_by_me]
    in_both = set(theirs) & set(mine) - common
    their_runs = _runs(theirs, stable, moved_by_them | (set(theirs) - common))
    my_runs = _runs(mine, stable, moved_by_me | (set(mine) - common - in_both))
    merged = list[str]()
    for anchor in [None, *stable]:
        merged += [anchor] if anchor is not None else []
        runs = sorted(run for run in (their_runs.get(anchor, []), my_runs.get(anchor, [])) if run)
        merged += [id for run in runs for id in run]
    return merged, []


def _runs(order: Sequence[str], stable: Sequence[str], floating: set[str]) -> dict[str | None, list[str]]:
    """The floating blocks of one side by the stable block that they stand behind; None = before all of them."""
    anchors, runs = set(stable), dict[str | None, list[str]]()
    anchor = None
    for id in order:
        if id in anchors:
            anchor = id
        elif id in floating:
            runs.setdefault(anchor, []).append(id)
    return runs


def _moved(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """The fewest blocks whose moves turn one order into the other: all that are not in a longest common subsequence,
    which for two orders of the same blocks is a longest increasing run of places."""
    place = {id: number for number, id in enumerate(old)}
    tails, ends, before = list[int](), list[str](), dict[str, str | None]()
    for id in new:
        at = bisect_left(tails, place[id])
        before[id] = ends[at - 1] if at else None
        tails[at : at + 1] = [place[id]]
        ends[at : at + 1] = [id]
    kept, last = set[str](), ends[-1] if ends else None
    while last is not None:
        kept.add(last)
        last = before[last]
    return set(old) - kept
