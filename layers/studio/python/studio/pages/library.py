"""The library: every file that was made or uploaded, what it cost, and what it was made from."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.rendering import static_path
from studio.visit import Visit

PAGE_ASSETS = 24
PICKER_ASSETS = 48
PROJECTS_MAX = 100
# The first stands for all types.
TYPES = ("", "image", "video", "audio", "text", "page")
# A signed URL lives for minutes; a thumbnail's address is fetched again well before that.
THUMBNAIL_SECONDS = 120


def show_library(visit: Visit) -> Response:
    """A page of the library, or for htmx the next tiles of it. Query: `type`, `project_id`, `cursor`."""
    query = {name: visit.query.get(name, "") for name in ("type", "project_id", "cursor")}
    assets: tuple[str, Mapping[str, Any]] = ("/api/assets", {**query, "limit": PAGE_ASSETS})
    if visit.is_partial:
        return visit.page("library_more.html", found=visit.get(assets[0], **assets[1]), query=query)
    found, projects = visit.api.get_together(assets, ("/api/projects", {"limit": PROJECTS_MAX}))
    return visit.page("library.html", found=found, query=query, projects=projects["items"], types=TYPES)


def show_asset(visit: Visit) -> Response:
    """One file: large, with its facts, its cost and what it was made from."""
    asset = _asset(visit)
    generation = _generation(visit, asset)
    return visit.page("library_asset.html", asset=asset, generation=generation)


def show_tile(visit: Visit) -> Response:
    """The tile of one file, which the upload's script puts into the grid."""
    return visit.page("library_more.html", found={"items": [_asset(visit)], "next_cursor": None}, query={})


def show_origins(visit: Visit) -> Response:
    """A file that another one was made from, and places for those that it was made from itself."""
    return visit.page("library_origin.html", asset=_asset(visit))


def show_recipe(visit: Visit) -> Response:
    """The request that makes the same again."""
    asset = _asset(visit)
    recipe = visit.get(f"/api/generations/{asset['generation_id']}/recipe")["recipe"]
    text = json.dumps(recipe, indent=2, ensure_ascii=False)
    return visit.page("library_recipe.html", asset=asset, recipe=text)


def show_thumbnail(visit: Visit) -> Response:
    """Leads to the thumbnail of a file, for pages that know its id alone."""
    asset = _asset(visit)
    answer = RedirectResponse(asset["thumbnail_url"] or static_path("no-thumbnail.svg"), 302)
    answer.headers["cache-control"] = f"private, max-age={THUMBNAIL_SECONDS}"
    return answer


def show_picker(visit: Visit) -> Response:
    """The next images to choose from, in a form that takes ids of files. Query: `cursor`."""
    found = visit.get("/api/assets", type="image", cursor=visit.query.get("cursor", ""), limit=PICKER_ASSETS)
    return visit.page("library_picker.html", found=found)


def begin_upload(visit: Visit) -> Response:
    """Announces a file; answers with JSON: the id, and the form with which the script sends the file to the bucket."""
    names = ("name", "content_type", "size")
    fields: dict[str, Any] = {name: str(visit.form.get(name, "")) for name in names}
    fields["size"] = int(fields["size"]) if fields["size"].isdecimal() else 0

    def begin() -> Json:
        key = {"Idempotency-Key": visit.form_key}
        begun = visit.api.call("POST", "/api/assets/uploads", fields, headers=key).data
        return {"id": begun["asset"]["id"], **begun["upload"]}

    return _json(begin)


def complete_upload(visit: Visit) -> Response:
    """Has a file checked after it was sent; answers with JSON: id, type and name."""

    def complete() -> Json:
        asset = visit.api.call("POST", f"/api/assets/{visit.part('asset_id')}/complete", {}).data["asset"]
        return {name: asset[name] for name in ("id", "type", "name")}

    return _json(complete)


def _json(act: Callable[[], Json]) -> Response:
    """What the script gets: the act's result, or the sentence that says why it was refused."""
    try:
        return JSONResponse(act())
    except ApiError as error:
        if error.status == 401:
            raise
        message = " ".join(error.fields.values()) or error.message
        return JSONResponse({"message": message, "request_id": error.request_id}, error.status)


def _asset(visit: Visit) -> Json:
    return visit.get(f"/api/assets/{visit.part('asset_id')}")["asset"]


def _generation(visit: Visit, asset: Json) -> Json | None:
    """What made the file; None when it was uploaded."""
    if not asset["generation_id"]:
        return None
    return visit.get(f"/api/generations/{asset['generation_id']}")["generation"]


routes = [
    route("/library", show_library),
    route("/parts/library/picker", show_picker),
    route("/library/uploads", begin_upload, "POST"),
    route("/library/uploads/{asset_id}/complete", complete_upload, "POST"),
    route("/library/{asset_id}", show_asset),
    route("/parts/library/{asset_id}/tile", show_tile),
    route("/parts/library/{asset_id}/origins", show_origins),
    route("/library/{asset_id}/recipe", show_recipe),
    route("/parts/library/{asset_id}/thumbnail", show_thumbnail),
]
