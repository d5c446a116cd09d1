"""Present generations: views with signed URLs, the texts that they delivered, and pages of a listing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    QueueView,
    StageView,
    generation_view,
    stage_view,
)


@dataclass(frozen=True, slots=True)
class PresentDeps:
    """The dependencies of presenting a generation. read_text: the text that a generation delivered, None = there is
    none. asset_urls(workspace_id, sha256, format, now): the signed URLs of a file and of its thumbnail.
    deleted_assets(workspace_id, asset_ids): those of these assets that were deleted. queue_position(generation, now):
    the place of a generation that waits for the slot of its `delayed_candidate`; None = unknown."""

    generations: GenerationStore
    read_text: Callable[[Generation], str | None]
    asset_urls: Callable[[str, str, str, datetime], tuple[str, str]]
    deleted_assets: Callable[[str, list[str]], frozenset[str]]
    queue_position: Callable[[Generation, datetime], int | None]


def view(deps: PresentDeps, generation: Generation, now: datetime) -> GenerationView:
    """The response form of a generation, with its text and its stages."""
    stage_generations = _read_stages(deps, generation)
    deleted = _deleted_assets(deps, [generation, *stage_generations])
    refs = _asset_refs(deps, generation, deleted, now)
    is_whole = len(refs) == len(generation.assets)
    text = deps.read_text(generation) if is_whole else None
    queue = _queue_view(deps, generation, stage_generations, now)
    if generation.pipeline is None:
        return generation_view(generation, refs, text, queue=queue)
    generation, stage_views = _with_stages(deps, generation, stage_generations, deleted, now)
    return generation_view(generation, refs, text, stage_views, queue=queue)


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
    deleted = _deleted_assets(deps, page.generations)
    items = [
        generation_view(each, _asset_refs(deps, each, deleted, now), queue=_queue_of(each, now))
        for each in page.generations
    ]
    return GenerationList(items=items, next_cursor=cursors.encode(page.next_id))


def _read_stages(deps: PresentDeps, generation: Generation) -> Sequence[Generation]:
    """The stages of a run so far; none of other generations."""
    if generation.pipeline is None:
        return ()
    from atelier.generations.pipeline_run import read_stages

    return read_stages(generation, deps.generations)


def _with_stages(
    deps: PresentDeps,
    run: Generation,
    stage_generations: Sequence[Generation],
    deleted: frozenset[str],
    now: datetime,
) -> tuple[Generation, list[StageView]]:
    """A run as it is shown, and the views of its stages so far."""
    from atelier.generations.pipeline_run import bill_run, pipeline_of

    if run.is_open:
        # An open run shows the attempts of its stages so far; its sums are shown when it has ended.
        run = replace(run, attempts=bill_run(run, stage_generations).attempts)
    return run, [
        stage_view(planned, stage, _asset_refs(deps, stage, deleted, now))
        for planned, stage in zip(pipeline_of(run).stages, stage_generations, strict=False)
    ]


def _queue_view(
    deps: PresentDeps, generation: Generation, stage_generations: Sequence[Generation], now: datetime
) -> QueueView | None:
    """How the generation waits, or the stage of a run that is under way."""
    waiting = stage_generations[-1] if stage_generations and generation.is_open else generation
    queue = _queue_of(waiting, now)
    if queue and waiting.delayed_candidate:
        queue["position"] = deps.queue_position(waiting, now)
    return queue


def _queue_of(generation: Generation, now: datetime) -> QueueView | None:
    until = generation.delay_at(now)
    return QueueView(retry_at=until, position=None) if until else None


def _deleted_assets(deps: PresentDeps, generations: Sequence[Generation]) -> frozenset[str]:
    """Those of the generations' files that were deleted from the library."""
    asset_ids = [asset.id for generation in generations for asset in generation.assets]
    return deps.deleted_assets(generations[0].workspace_id, asset_ids) if asset_ids else frozenset()


def _asset_refs(deps: PresentDeps, generation: Generation, deleted: frozenset[str], now: datetime) -> list[AssetRef]:
    refs: list[AssetRef] = []
    for asset in generation.assets:
        if asset.id in deleted:
            continue
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
