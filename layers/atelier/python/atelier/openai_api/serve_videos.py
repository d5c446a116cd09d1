"""Serve requests about videos: begin one, find one, list them, and redirect to its file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from atelier.errors import NotFound
from atelier.generations.model import Generation, Kind
from atelier.generations.ports import Filters, GenerationStore
from atelier.generations.present import list_page
from atelier.openai_api import videos
from atelier.openai_api.begin import begin_generation
from atelier.openai_api.deps import RequestFacts, ServeDeps
from atelier.openai_api.request import MappedRequest
from atelier.openai_api.serve import Body, redirect


def begin_video(deps: ServeDeps, facts: RequestFacts, mapped: MappedRequest) -> Body:
    """Begin a video, and answer with its current state. Raises what `begin_generation` raises."""
    begun = begin_generation(deps, facts, mapped)
    begun.mark_answered()
    generation = begun.order.generation
    return Body(videos.video_body(generation), {**begun.headers, "atelier-generation-id": generation.id})


def get_video(generations: GenerationStore, workspace_id: str, video_id: str) -> Generation:
    """A video generation of the workspace. Raises NotFound, for generations of other kinds too."""
    generation = generations.get(workspace_id, videos.generation_id(video_id))
    if generation.recipe.kind is not Kind.VIDEO:
        raise NotFound("There is no such video.")
    return generation


def list_videos(generations: GenerationStore, workspace_id: str, query: videos.VideoQuery) -> dict[str, Any]:
    """A page of the workspace's videos, newest first. Raises ValidationFailed for a start that is no video."""
    page = list_page(generations, workspace_id, Filters(kind=Kind.VIDEO.value), videos.page_start(query), query.limit)
    return videos.list_body(page.generations, has_more=page.next_id is not None)


def video_content(
    generation: Generation,
    variant: str,
    asset_urls: Callable[[str, str, str, datetime], tuple[str, str]],
    deleted_assets: Callable[[str, list[str]], frozenset[str]],
    now: datetime,
) -> Body:
    """A redirect to a video's file, or to its thumbnail. An archived file is still served. Raises VideoNotReady,
    VideoDeleted, NotFound.

    deleted_assets(workspace_id, asset_ids): those of these assets that were deleted."""
    file = videos.video_file(generation)
    if deleted_assets(generation.workspace_id, [file.id]):
        raise videos.VideoDeleted("The file of this video was deleted from the library.", generation_id=generation.id)
    path, thumbnail_path = asset_urls(generation.workspace_id, file.sha256, file.format, now)
    if variant != "video" and not file.has_thumbnail:
        raise NotFound("This video has no thumbnail.")
    chosen = path if variant == "video" else thumbnail_path
    return redirect(chosen, {"atelier-generation-id": generation.id}, status=302)
