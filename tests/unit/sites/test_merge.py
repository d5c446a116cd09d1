"""Three-way merges of pages: no word of either side is lost, and it does not matter who saved first."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from atelier.sites.merge import MergeConflict, merge_contents
from atelier.sites.model import Block, BlockKind, PageContent, Seo

IDS = [f"b{number}" for number in range(6)]
NEW_IDS = {"theirs": ["t0", "t1", "t2"], "mine": ["m0", "m1", "m2"]}


def page(*blocks: Block, title: str = "Home", seo: Seo = Seo()) -> PageContent:  # noqa: B008
    return PageContent("/", title, blocks, seo)


def block(id: str, html: str = "") -> Block:
    return Block(id, BlockKind.HTML, html or f"<p>{id}</p>")


def order(content: PageContent | MergeConflict) -> list[str]:
    assert isinstance(content, PageContent), content
    return [each.id for each in content.blocks]


BASE = page(*map(block, IDS))


@st.composite
def edits(draw: st.DrawFn, side: str, touchable: list[str]) -> PageContent:
    """A version of BASE in which some of the blocks `touchable` are changed, removed or moved, and others are new."""
    blocks = list(BASE.blocks)
    for id in touchable:
        at = next(place for place, each in enumerate(blocks) if each.id == id)
        what = draw(st.sampled_from(["stay", "change", "remove", "move"]))
        if what == "change":
            blocks[at] = block(id, f"<p>{id} of {side}</p>")
        elif what == "remove":
            del blocks[at]
        elif what == "move":
            moved = blocks.pop(at)
            blocks.insert(draw(st.integers(0, len(blocks))), moved)
    for id in draw(st.lists(st.sampled_from(NEW_IDS[side]), unique=True)):
        blocks.insert(draw(st.integers(0, len(blocks))), block(id))
    return page(*blocks)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_edits_that_do_not_touch_are_merged_whoever_saved_first(data: st.DataObject) -> None:
    theirs = data.draw(edits("theirs", IDS[:3]))
    mine = data.draw(edits("mine", IDS[3:]))
    merged = merge_contents(BASE, theirs, mine)
    if isinstance(merged, MergeConflict):
        # Only a move says nothing about which block was moved: of two neighbours that changed places either may be it.
        assert merged.moved
        assert not merged.blocks
        assert not merged.fields
        return
    assert merged == merge_contents(BASE, mine, theirs)
    found = {each.id: each for each in merged.blocks}
    assert len(found) == len(merged.blocks)
    for side, own in ((theirs, IDS[:3]), (mine, IDS[3:])):
        here = {each.id: each for each in side.blocks}
        for id in [*own, *(set(here) - set(IDS))]:
            assert found.get(id) == here.get(id)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_word_of_either_side_is_lost(data: st.DataObject) -> None:
    """Whatever both sides do: each text that a side wrote is in the merged page, or the answer is a conflict."""
    theirs, mine = data.draw(edits("theirs", IDS)), data.draw(edits("mine", IDS))
    merged = merge_contents(BASE, theirs, mine)
    if isinstance(merged, MergeConflict):
        assert merged.blocks or merged.moved
        return
    texts, old = {each.html for each in merged.blocks}, {each.html for each in BASE.blocks}
    for side in (theirs, mine):
        assert {each.html for each in side.blocks} - old <= texts


def test_a_merge_with_an_unchanged_side_is_the_other_side() -> None:
    changed = page(block("b5"), block("x"), *map(block, IDS[:4]), title="Start")
    assert merge_contents(BASE, BASE, changed) == changed
    assert merge_contents(BASE, changed, BASE) == changed
    assert merge_contents(BASE, changed, changed) == changed


def test_a_change_meets_a_removal_and_a_move() -> None:
    removed = page(*map(block, IDS[1:]))
    changed = page(block("b0", "<p>new</p>"), *map(block, IDS[1:]))
    assert merge_contents(BASE, removed, changed) == MergeConflict(blocks=("b0",))
    moved = page(*map(block, [*IDS[1:], "b0"]))
    merged = merge_contents(BASE, moved, changed)
    assert order(merged) == [*IDS[1:], "b0"]
    assert isinstance(merged, PageContent)
    assert merged.blocks[-1].html == "<p>new</p>"


def test_both_moved_one_block_to_different_places() -> None:
    to_the_end, to_the_middle = page(*map(block, [*IDS[1:], "b0"])), page(*map(block, ["b1", "b2", "b0", *IDS[3:]]))
    assert merge_contents(BASE, to_the_end, to_the_middle) == MergeConflict(moved=("b0",))


def test_insertions_at_one_place_are_both_there() -> None:
    theirs, mine = page(block("x"), *BASE.blocks), page(block("a1"), block("a2"), *BASE.blocks)
    assert order(merge_contents(BASE, theirs, mine)) == ["a1", "a2", "x", *IDS]
    assert order(merge_contents(BASE, mine, theirs)) == ["a1", "a2", "x", *IDS]


def test_fields_are_merged_one_by_one() -> None:
    theirs = replace(BASE, title="Start", seo=Seo(title="Atlas"))
    mine = replace(BASE, path="/start", language="de", seo=Seo(description="Films"))
    merged = merge_contents(BASE, theirs, mine)
    assert merged == replace(
        BASE, path="/start", title="Start", language="de", seo=Seo(title="Atlas", description="Films")
    )
    assert merge_contents(BASE, theirs, replace(BASE, title="Begin", seo=Seo(title="Atlas"))) == MergeConflict(
        fields=("title",)
    )


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_who_has_seen_both_decides_and_loses_nothing_else(data: st.DataObject) -> None:
    theirs, mine = data.draw(edits("theirs", IDS)), data.draw(edits("mine", IDS))
    merged = merge_contents(BASE, theirs, mine, mine_wins=True)
    assert isinstance(merged, PageContent)
    found = {each.id: each for each in merged.blocks}
    old, here, there = ({each.id: each for each in side.blocks} for side in (BASE, mine, theirs))
    assert len(found) == len(merged.blocks)
    for id in {*old, *here, *there}:
        is_mine = here.get(id) != old.get(id)
        assert found.get(id) == (here if is_mine else there).get(id)
