"""An answer changes what was asked for, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atelier.page_writing.answer import WrittenAnswer, WrittenBlock
from atelier.page_writing.apply_answer import (
    NO_ASSET,
    AnswerContext,
    Unusable,
    WrittenDraft,
    apply_answer,
    asset_ids,
    new_path,
)
from atelier.page_writing.gather_facts import facts_of
from atelier.page_writing.model import WritingOrder, order_of
from atelier.page_writing.prompt import WritingKind, WritingTask
from atelier.sites.check_site import PATH
from atelier.sites.model import Block, BlockKind, PageContent, Part, PartKind, PartParameter, Seo, Site

NOW = datetime(2026, 11, 30, tzinfo=UTC)
GENERATION = "gen_01M7XCQ90TTWV90RHCSAQSAH7Q"
OWN_ASSET, FOREIGN_ASSET = "ast_01M7XCQ90TTWV90RHCSAQSAH7Q", "ast_01M7XCQ90TTWV90RHCSAQSAH7R"
SITE = Site("sit_1", "wsp_1", "usr_1", "Brot & Salz", "brot", 1, NOW, NOW, theme={"color-text": "#222"})
HEADER = Part(
    "cmp_1",
    "wsp_1",
    PartKind.COMPONENT,
    "Site header",
    "<header>{{ title }}</header>",
    1,
    NOW,
    NOW,
    "usr_1",
    parameters=(PartParameter("title"),),
    slots=("lead",),
)
PAGE = PageContent(
    "/bread",
    "Bread",
    (
        Block("b1", BlockKind.HTML, "<h1>Bread</h1>", "h1 { margin: 0 }"),
        Block("b2", BlockKind.COMPONENT, component_id="cmp_1", parameters={"title": "Bread"}),
        Block("b3", BlockKind.HTML, "<p>Fresh</p>"),
    ),
    Seo("Bread", "All about bread"),
)
CONTEXT = AnswerContext(GENERATION, PAGE, {HEADER.id: HEADER}, frozenset({OWN_ASSET}), scripts=False)
NEW_PAGE = replace(CONTEXT, content=None)


def order(
    kind: WritingKind = WritingKind.PAGE, task: WritingTask = WritingTask.WRITE, **fields: str | None
) -> WritingOrder:
    names: dict[str, Any] = fields
    return replace(WritingOrder("sit_1", kind, task, "pag_1", 1), **names)


def drafted(order: WritingOrder, answer: WrittenAnswer, context: AnswerContext = CONTEXT) -> WrittenDraft:
    draft = apply_answer(order, answer, context)
    assert isinstance(draft, WrittenDraft), draft
    return draft


def blocks(*html: str) -> WrittenAnswer:
    return WrittenAnswer(tuple(WrittenBlock(text) for text in html))


def test_an_order_is_read_back_from_its_purpose() -> None:
    for each in (order(), WritingOrder("sit_1", WritingKind.SECTION), order(block_id="b1", language="de", path="/x")):
        assert order_of(each.purpose()) == each
    assert order_of(None) is None
    assert order_of({"of": "something else"}) is None


def test_a_new_page_takes_title_path_and_blocks_of_the_answer() -> None:
    answer = replace(blocks("<h1>Hi</h1>"), title="Rye  bread", description="All\nabout it", path="/rye")
    content = drafted(order(page_id=None), answer, NEW_PAGE).content
    assert content is not None
    assert (content.path, content.title, content.seo.description) == ("/rye", "Rye bread", "All about it")
    assert [block.html for block in content.blocks] == ["<h1>Hi</h1>"]


def test_a_rewritten_page_keeps_its_path() -> None:
    content = drafted(order(), replace(blocks("<h1>Hi</h1>"), path="/elsewhere")).content
    assert content is not None
    assert (content.path, content.title) == (PAGE.path, PAGE.title)
    assert not {block.id for block in content.blocks} & {block.id for block in PAGE.blocks}


def test_blocks_have_the_same_ids_each_time() -> None:
    answer = blocks("<p>1</p>", "<p>2</p>")
    assert drafted(order(), answer) == drafted(order(), answer)


@pytest.mark.parametrize(("block_id", "place"), [("b1", 1), ("b3", 3), (None, 3), ("gone", 3)])
def test_a_section_goes_behind_its_block(block_id: str | None, place: int) -> None:
    content = drafted(replace(order(WritingKind.SECTION), block_id=block_id), blocks("<p>new</p>")).content
    assert content is not None
    assert content.blocks[place].html == "<p>new</p>"
    assert (*content.blocks[:place], *content.blocks[place + 1 :]) == PAGE.blocks


@pytest.mark.parametrize("task", [WritingTask.WRITE, WritingTask.IMPROVE, WritingTask.TRANSLATE])
def test_only_the_named_blocks_change(task: WritingTask) -> None:
    answer = WrittenAnswer((WrittenBlock("<p>Old</p>", block_id="b3"), WrittenBlock("<p>x</p>", block_id="b2")))
    draft = drafted(order(WritingKind.CONTENT, task, language="de"), answer)
    assert draft.content is not None
    assert draft.content.blocks[:2] == PAGE.blocks[:2]
    assert draft.content.blocks[2] == replace(PAGE.blocks[2], html="<p>Old</p>")
    assert draft.left_out == ("blocks that were not asked for",)


def test_an_answer_about_one_block_cannot_touch_another_one() -> None:
    answer = WrittenAnswer((WrittenBlock("<p>x</p>", block_id="b1"), WrittenBlock("<p>y</p>", block_id="b3")))
    content = drafted(order(WritingKind.CONTENT, block_id="b3"), answer).content
    assert content is not None
    assert content.blocks[0] == PAGE.blocks[0]


def test_forgotten_ids_are_told_by_the_order_of_the_blocks() -> None:
    content = drafted(order(WritingKind.CONTENT), blocks("<h1>Rolls</h1>", "<p>Warm</p>")).content
    assert content is not None
    assert [block.html for block in content.blocks] == ["<h1>Rolls</h1>", "", "<p>Warm</p>"]
    assert content.blocks[0].css == "h1 { margin: 0 }"
    unusable = apply_answer(order(WritingKind.CONTENT), blocks("<h1>Rolls</h1>"), CONTEXT)
    assert isinstance(unusable, Unusable)


def test_a_translation_with_a_path_is_a_page_of_its_own() -> None:
    answer = replace(blocks("<h1>Brot</h1>", "<p>Frisch</p>"), title="Brot")
    content = drafted(order(task=WritingTask.TRANSLATE, language="de", path="/de/brot"), answer).content
    assert content is not None
    assert (content.path, content.title, content.language, len(content.blocks)) == ("/de/brot", "Brot", "de", 3)


def test_words_for_search_engines_change_nothing_else() -> None:
    draft = drafted(order(task=WritingTask.SEO), replace(blocks("<p>x</p>"), title="T", description="D"))
    assert draft == WrittenDraft(replace(PAGE, seo=Seo("T", "D")), left_out=("blocks",))
    assert isinstance(apply_answer(order(task=WritingTask.SEO), blocks("<p>x</p>"), CONTEXT), Unusable)


def test_parts_are_those_of_the_workspace() -> None:
    uses = (
        WrittenBlock(part="site HEADER", parameters={"title": "T", "other": "x"}, slots={"lead": "<p/>", "no": "x"}),
        WrittenBlock(part="Somebody's footer"),
    )
    draft = drafted(order(WritingKind.LAYOUT), WrittenAnswer(uses))
    assert draft.content is not None
    (use,) = draft.content.blocks
    assert (use.component_id, use.parameters, use.slots) == (HEADER.id, {"title": "T"}, {"lead": "<p/>"})
    assert draft.left_out == ("the part Somebody's footer, which does not exist",)


def test_assets_of_others_are_not_named() -> None:
    html = f'<img src="asset:{OWN_ASSET}"><img src="asset:{FOREIGN_ASSET}">'
    answer = WrittenAnswer((WrittenBlock(html, f"a {{ background: url(asset:{FOREIGN_ASSET}) }}"),))
    assert set(asset_ids(answer)) == {OWN_ASSET, FOREIGN_ASSET}
    content = drafted(order(), answer).content
    assert content is not None
    assert content.blocks[0].html == f'<img src="asset:{OWN_ASSET}"><img src="{NO_ASSET}">'
    assert FOREIGN_ASSET not in content.blocks[0].css


def test_scripts_are_left_out_where_the_site_has_none() -> None:
    answer = WrittenAnswer((WrittenBlock("<p>x</p>", js="run()"),))
    assert drafted(order(), answer).left_out == ("scripts",)
    content = drafted(order(), answer, replace(CONTEXT, scripts=True)).content
    assert content is not None
    assert content.blocks[0].js == "run()"


@given(st.text(max_size=300), st.text(max_size=50))
def test_a_path_is_always_a_path(requested: str, title: str) -> None:
    assert PATH.fullmatch(new_path(requested, title))


def test_a_prompt_tells_parts_only_where_they_can_be_used() -> None:
    for kind, is_told in ((WritingKind.LAYOUT, True), (WritingKind.PAGE, True), (WritingKind.CONTENT, False)):
        facts = facts_of(order(kind), "Write", SITE, PAGE, [HEADER])
        assert (HEADER.name in [part.name for part in facts.parts]) == is_told
        assert facts.theme == SITE.theme


def test_a_prompt_about_one_block_has_that_block_alone() -> None:
    facts = facts_of(order(WritingKind.CONTENT, block_id="b3"), "Write", SITE, PAGE, [HEADER])
    assert [block.id for block in facts.blocks] == ["b3"]
