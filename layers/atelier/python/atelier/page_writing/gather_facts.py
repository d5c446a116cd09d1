"""Gather what a prompt has to say of a site and a page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from atelier.page_writing.model import WritingOrder
from atelier.page_writing.prompt import BlockFacts, PartFacts, WritingFacts, WritingKind, WritingTask
from atelier.sites.model import Block, BlockKind, PageContent, Part, Site

# Of a block that only shows where something new goes, so much is told.
EXCERPT_CHARACTERS_MAX = 300
PARTS_MAX = 40


def facts_of(
    order: WritingOrder, request: str, site: Site, content: PageContent | None, parts: Sequence[Part]
) -> WritingFacts:
    """What the prompt of an order says. content: of the page, None = it is new. parts: of the workspace."""
    names = {part.id: part.name for part in parts}
    uses_parts = order.task is WritingTask.WRITE and order.kind in (WritingKind.PAGE, WritingKind.LAYOUT)
    return WritingFacts(
        kind=order.kind,
        task=order.task,
        request=request,
        language=order.language or (content.language if content else None) or site.settings.language,
        site=site.name,
        theme=site.theme,
        parts=tuple(_part_facts(part) for part in parts[:PARTS_MAX]) if uses_parts else (),
        title=content.title if content else "",
        path=(order.path or content.path) if content else order.path or "",
        description=content.seo.description if content else site.settings.description,
        blocks=tuple(_block_facts(order, content.blocks, names)) if content else (),
    )


def rewrites_blocks(order: WritingOrder) -> bool:
    """Whether an order changes blocks that are there, and so needs all that they say."""
    return order.task in (WritingTask.IMPROVE, WritingTask.TRANSLATE) or (
        order.task is WritingTask.WRITE and order.kind is WritingKind.CONTENT
    )


def _part_facts(part: Part) -> PartFacts:
    parameters = tuple(parameter.name for parameter in part.parameters)
    return PartFacts(part.name, part.kind.value, parameters, tuple(part.slots))


def _block_facts(order: WritingOrder, blocks: Sequence[Block], names: dict[str, str]) -> Iterable[BlockFacts]:
    is_whole = rewrites_blocks(order)
    for block in blocks:
        if block.kind is BlockKind.COMPONENT:
            if not is_whole:
                yield BlockFacts(block.id, part=names.get(block.component_id or "", ""))
        elif is_whole:
            if order.block_id in (None, block.id):
                yield BlockFacts(block.id, block.html, block.css)
        elif order.task is WritingTask.SEO or len(block.html) <= EXCERPT_CHARACTERS_MAX:
            yield BlockFacts(block.id, block.html)
        else:
            yield BlockFacts(block.id, block.html[:EXCERPT_CHARACTERS_MAX] + "…")
