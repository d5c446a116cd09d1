"""Present generations: views with signed URLs, the texts that they delivered, and pages of a listing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from atelier import cursors
from atelier.dataclass import dataclass
from atelier.generations.model import Generation
from atelier.generations.ports import Filters, GenerationPage, GenerationStore
from atelier.generations.schemas import ListQuery
from atelier.generations.view_schemas import (
    AssetRef,
    GenerationEnvelope,
    GenerationList,
    GenerationView,
    StageView,
    generation_view,
    stage_view,
)


@dataclass(frozen=True, slots=True)
class PresentDeps:
    """The dependencies of presenting a generation. read_text: the text that a generation delivered, None = there is
    none. asset_urls(workspace_id, sha256, format, now): the signed URLs of a file and of its thumbnail."""

    generations: GenerationStore
    read_text: Callable[[Generation], str | None]
    asset_urls: Callable[[str, str, str, datetime], tuple[str, str]]


def view(deps: PresentDeps, generation: Generation, now: datetime) -> GenerationView:
    """The response form of a generation, with its text and its stages."""
    refs, text = _asset_refs(deps, generation, now), deps.read_text(generation)
    if generation.pipeline is None:
        return generation_view(generation, refs, text)
    generation, stage_views = _with_stages(deps, generation, now)
    return generation_view(generation, refs, text, stage_views)


def envelope(deps: PresentDeps, generation: Generation, now: datetime) -> GenerationEnvelope:
    """The response about one generation."""
    return GenerationEnvelope(generation=view(deps, generation, now))


def list_page(
    generations: GenerationStore, workspace_id: str, filters: Filters, after_id: str | None, limit: int
) -> GenerationPage:
    """A page of the workspace's generations, newest first. It has fewer than `limit` items when their texts are too
    long for one response."""
    found = generations.list(workspace_id, filters, after_id, limit)
    fitting_items, next_id = cursors.fit_to_response(
        found.generations,
        found.next_id,
        key=lambda each: each.id,
        long_parts=lambda each: [
            each.recipe.prompt,
            each.enhanced_prompt,
            each.recipe.negative_prompt,
            each.recipe.parameters,
        ],
    )
    return GenerationPage(tuple(fitting_items), next_id)


def list_view(deps: PresentDeps, workspace_id: str, query: ListQuery, now: datetime) -> GenerationList:
    """The response form of a page of generations, without their texts and stages. Raises ValidationFailed for a cursor
    of another list."""
    after_id = cursors.decode(query.cursor, "gen_")
    page = list_page(deps.generations, workspace_id, query.filters(), after_id, query.limit)
    items = [generation_view(generation, _asset_refs(deps, generation, now)) for generation in page.generations]
    return GenerationList(items=items, next_cursor=cursors.encode(page.next_id))


def _with_stages(deps: PresentDeps, run: Generation, now: datetime) -> tuple[Generation, list[StageView]]:
    """A run as it is shown, and the views of its stages so far."""
    from atelier.generations.pipeline_run import bill_run, pipeline_of, read_stages

    stage_generations = read_stages(run, deps.generations)
    if run.is_open:
        # An open run shows the attempts of its stages so far; its sums are shown when it has ended.
        run = replace(run, attempts=bill_run(run, stage_generations).attempts)
    return run, [
        stage_view(planned, stage, _asset_refs(deps, stage, now))
        for planned, stage in zip(pipeline_of(run).stages, stage_generations, strict=False)
    ]


def _asset_refs(deps: PresentDeps, generation: Generation, now: datetime) -> list[AssetRef]:
    refs: list[AssetRef] = []
    for asset in generation.assets:
        url, thumbnail_url = deps.asset_urls(generation.workspace_id, asset.sha256, asset.format, now)
        refs.append(
            AssetRef(
                id=asset.id,
                type=asset.type,  # pyright: ignore[reportArgumentType]
                url=url,
                thumbnail_url=thumbnail_url if asset.has_thumbnail else None,
                sha256=asset.sha256,
                width=asset.width,
                height=asset.height,
                duration_ms=asset.duration_ms,
                format=asset.format,
                size_bytes=asset.size_bytes,
            )
        )
    return refs
