"""Make a model's answer a page or a part. Pure.

Only what an order asks for can change: an answer about one block cannot touch another one, and nothing in it names a
part or an asset that the workspace does not have."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from atelier.dataclass import dataclass
from atelier.page_writing.answer import WrittenAnswer, WrittenBlock
from atelier.page_writing.gather_facts import rewrites_blocks
from atelier.page_writing.model import WritingOrder
from atelier.page_writing.prompt import WritingKind, WritingTask
from atelier.sites.check_page import assets_in
from atelier.sites.check_site import PATH, PATH_CHARACTERS_MAX
from atelier.sites.model import Block, BlockKind, PageContent, Part, Seo

TITLE_CHARACTERS_MAX, DESCRIPTION_CHARACTERS_MAX, VALUE_CHARACTERS_MAX = 200, 500, 5000
BLOCKS_MAX = 60
FIELD_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
ASSET = re.compile(r"asset:(ast_[0-9A-Z]{26})")
CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
# An address that no rule allows, so that the sanitiser takes the attribute out and reports it.
NO_ASSET = "asset:unknown"


@dataclass(frozen=True, slots=True)
class WrittenDraft:
    """What is to be saved: the content of a page, or the HTML and CSS of a part. left_out: what of the answer is not in
    it."""

    content: PageContent | None = None
    html: str = ""
    css: str = ""
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unusable:
    """A readable answer to another question than the order's. message: for the person who ordered."""

    message: str


@dataclass(frozen=True, slots=True)
class AnswerContext:
    """What an answer is applied to. generation_id: names its new blocks. content: of the page in the order's base
    version, None = a new page. parts: of the workspace, by id. has_asset: whether the workspace has an asset. scripts:
    whether blocks may have scripts."""

    generation_id: str
    content: PageContent | None
    parts: Mapping[str, Part]
    kept_assets: Collection[str]
    scripts: bool


def apply_answer(order: WritingOrder, answer: WrittenAnswer, context: AnswerContext) -> WrittenDraft | Unusable:
    """The draft of an answer."""
    left_out = list(answer.left_out)
    if order.task is WritingTask.SEO:
        return _with_seo(answer, context, left_out)
    if rewrites_blocks(order):
        return _rewritten(order, answer, context, left_out)
    blocks = _new_blocks(answer.blocks, context, left_out)
    if not blocks:
        return Unusable("The model's answer has no block that can be used.")
    if order.kind is WritingKind.SECTION:
        return _with_section(order, blocks, context, left_out)
    old = context.content
    content = PageContent(
        old.path if old else new_path(order.path or answer.path, answer.title),
        _line(answer.title) or (old.title if old else "New page"),
        blocks,
        _seo(answer, old.seo if old else Seo()),
        order.language or (old.language if old else None),
    )
    return WrittenDraft(content, left_out=tuple(left_out))


def asset_ids(answer: WrittenAnswer) -> list[str]:
    """The ids of all assets that an answer names."""
    texts = [text for block in answer.blocks for text in (block.html, block.css, *block.parameters.values())]
    return list(assets_in([*texts, *(text for block in answer.blocks for text in block.slots.values())]))


def new_path(requested: str, title: str) -> str:
    """A valid path: the requested one where it is one, else one of the title's words."""
    if PATH.fullmatch(requested) and len(requested) <= PATH_CHARACTERS_MAX and not requested.startswith("/assets"):
        return requested
    words = re.findall(r"[a-z0-9]+", (requested or title).lower())
    return "/" + "-".join(words[:8])[:80].strip("-") if words else "/new-page"


def _with_seo(answer: WrittenAnswer, context: AnswerContext, left_out: list[str]) -> WrittenDraft | Unusable:
    if context.content is None or not (answer.title or answer.description):
        return Unusable("The model's answer has no title and no description.")
    if answer.blocks:
        left_out.append("blocks")
    return WrittenDraft(replace(context.content, seo=_seo(answer, context.content.seo)), left_out=tuple(left_out))


def _rewritten(
    order: WritingOrder, answer: WrittenAnswer, context: AnswerContext, left_out: list[str]
) -> WrittenDraft | Unusable:
    """The page with the blocks of the order written anew."""
    content = context.content
    assert content is not None, "blocks are written anew of a page that is there"
    given = [block for block in content.blocks if block.kind is BlockKind.HTML and order.block_id in (None, block.id)]
    written = [block for block in answer.blocks if block.part is None]
    named = {block.block_id: block for block in written if block.block_id is not None}
    if not named.keys() & {block.id for block in given} and len(written) == len(given):
        # The ids were forgotten or changed, but it is clear which block is which.
        named = {block.id: each for block, each in zip(given, written, strict=True)}
    changed = {block.id: _block_with(block, named[block.id], context, left_out) for block in given if block.id in named}
    if not changed:
        return Unusable("The model's answer names no block of the page.")
    if len(changed) < len(written):
        left_out.append("blocks that were not asked for")
    blocks = tuple(changed.get(block.id, block) for block in content.blocks)
    result = replace(content, blocks=blocks)
    if order.task is WritingTask.TRANSLATE:
        is_new = order.page_id is not None and order.path is not None
        result = replace(
            result,
            title=_line(answer.title) or content.title,
            language=order.language or content.language,
            seo=_seo(answer, content.seo) if content.seo.title or content.seo.description else content.seo,
            path=new_path(order.path or "", content.title) if is_new else content.path,
        )
    return WrittenDraft(result, left_out=tuple(left_out))


def _with_section(
    order: WritingOrder, blocks: tuple[Block, ...], context: AnswerContext, left_out: list[str]
) -> WrittenDraft | Unusable:
    """The page with the new blocks behind the order's block, or at its end; without a page, a part of them."""
    old = context.content
    if old is None:
        html = "\n".join(block.html for block in blocks if block.html)
        css = "\n".join(block.css for block in blocks if block.css)
        return (
            WrittenDraft(html=html, css=css, left_out=tuple(left_out)) if html else Unusable("The answer has no HTML.")
        )
    ids = [block.id for block in old.blocks]
    place = ids.index(order.block_id) + 1 if order.block_id in ids else len(ids)
    return WrittenDraft(
        replace(old, blocks=(*old.blocks[:place], *blocks, *old.blocks[place:])), left_out=tuple(left_out)
    )


def _new_blocks(written: Sequence[WrittenBlock], context: AnswerContext, left_out: list[str]) -> tuple[Block, ...]:
    by_name = {part.name.casefold(): part for part in context.parts.values()}
    made: list[Block] = []
    for block in written[:BLOCKS_MAX]:
        id = f"{context.generation_id[-10:].lower()}-{len(made) + 1}"
        if block.part is None:
            made.append(_block_with(Block(id, BlockKind.HTML), block, context, left_out))
        elif (part := by_name.get(block.part.casefold())) is not None:
            made.append(_part_use(id, part, block, context))
        else:
            left_out.append(f"the part {_line(block.part)[:80]}, which does not exist")
    if len(written) > BLOCKS_MAX:
        left_out.append(f"blocks after the first {BLOCKS_MAX}")
    return tuple(made)


def _block_with(block: Block, written: WrittenBlock, context: AnswerContext, left_out: list[str]) -> Block:
    """A block with what was written; its own CSS and JavaScript stay where the answer has none."""
    if written.js and not context.scripts:
        left_out.append("scripts")
    return replace(
        block,
        html=_own_assets(written.html, context) or block.html,
        css=_own_assets(written.css, context) or block.css,
        js=(written.js if context.scripts else "") or block.js,
    )


def _part_use(id: str, part: Part, written: WrittenBlock, context: AnswerContext) -> Block:
    known = {parameter.name for parameter in part.parameters}
    values = {
        name: _own_assets(value, context)[:VALUE_CHARACTERS_MAX]
        for name, value in written.parameters.items()
        if name in known
    }
    slots = {
        name: _own_assets(html, context)
        for name, html in written.slots.items()
        if name in part.slots and FIELD_NAME.fullmatch(name)
    }
    return Block(id, BlockKind.COMPONENT, component_id=part.id, parameters=values, slots=slots)


def _own_assets(text: str, context: AnswerContext) -> str:
    """A text without the assets of others."""
    kept = context.kept_assets
    return ASSET.sub(lambda found: found[0] if found[1] in kept else NO_ASSET, text)


def _seo(answer: WrittenAnswer, seo: Seo) -> Seo:
    return replace(
        seo,
        title=_line(answer.title) or seo.title,
        description=_line(answer.description)[:DESCRIPTION_CHARACTERS_MAX] or seo.description,
    )


def _line(text: str) -> str:
    return " ".join(CONTROL_CHARACTERS.sub(" ", text).split())[:TITLE_CHARACTERS_MAX]


def removed_words(what: Iterable[str]) -> str:
    """A list of what was left out or taken out, for a note; shortened."""
    return ", ".join(dict.fromkeys(what))[:150]
