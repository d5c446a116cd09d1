"""The library: every file that was made or uploaded, what it cost, and what it was made from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, RedirectResponse, Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.rendering import static_path
from studio.visit import Visit

PAGE_ASSETS = 24
PICKER_ASSETS = 48
MADE_FROM_IT = 12
PROJECTS_MAX = 100
# The first stands for all types.
FILTERS = ("type", "project_id", "tag", "q", "favorite", "archived", "cursor")
ASSET_ID = re.compile(r"ast_[0-9A-Z]{26}")
# Refusals that the form itself shows, beside what was written.
SHOWN_IN_FORM = (403, 422)
TYPES = ("", "image", "video", "audio", "text", "page")
# Acts on selected files that ask for more first, by the form that asks.
FORMS_FOR_FILES = {"character": "/characters/new", "move": "/library/move", "delete": "/library/delete"}
# A signed URL lives for minutes; a thumbnail's address is fetched again well before that.
THUMBNAIL_SECONDS = 120


def show_library(visit: Visit) -> Response:
    """A page of the library, or for htmx the next tiles of it. Query: FILTERS, `put_away` with the ids of files that
    were archived just now, and `deleted`, how many were deleted."""
    query = {name: visit.query.get(name, "") for name in FILTERS}
    link = partial(_address, query)
    wanted = {**query, "archived": query["archived"] or "false", "limit": PAGE_ASSETS}
    if visit.is_partial:
        return visit.page("library_more.html", found=visit.get("/api/assets", **wanted), link=link)
    found, projects = visit.api.get_together(("/api/assets", wanted), ("/api/projects", {"limit": PROJECTS_MAX}))
    put_away = _asset_ids(visit.query.get("put_away", "").split(","))
    deleted = visit.query.get("deleted", "")
    known: dict[str, Any] = {"query": query, "projects": projects["items"], "types": TYPES, "put_away": put_away}
    known["deleted"] = int(deleted) if deleted.isdecimal() and len(deleted) < 6 else 0
    return visit.page("library.html", found=found, link=link, **known)


def act_on_selection(visit: Visit) -> Response:
    """Does with the selected files what the button says: `act` is character, move, archive, restore or delete."""
    asset_ids, act = _asset_ids(visit.form.getlist("asset")), str(visit.form.get("act", ""))
    if act in FORMS_FOR_FILES and asset_ids:
        return visit.go(f"{FORMS_FOR_FILES[act]}?{urlencode([('asset', each) for each in asset_ids])}")
    for asset_id in asset_ids if act in ("archive", "restore") else ():
        visit.api.call("PUT", f"/api/assets/{asset_id}", {"archived": act == "archive"})
    return visit.go(f"/library?put_away={','.join(asset_ids)}" if act == "archive" and asset_ids else "/library")


def show_move(visit: Visit) -> Response:
    """The projects to which the files can be moved. Query: `asset`, once for each file."""
    projects = visit.get("/api/projects", limit=PROJECTS_MAX)["items"]
    open_projects = [each for each in projects if not each["archived_at"]]
    return visit.page("library_move.html", asset_ids=_chosen(visit), projects=open_projects)


def move(visit: Visit) -> Response:
    """Moves the files to the project that was chosen, or out of all projects."""
    asset_ids, project_id = _asset_ids(visit.form.getlist("asset")), str(visit.form.get("project_id", "")) or None
    for asset_id in asset_ids:
        visit.api.call("PUT", f"/api/assets/{asset_id}", {"project_id": project_id})
    if len(asset_ids) == 1:
        return visit.go(f"/library/{asset_ids[0]}")
    return visit.go(_address({}, project_id=project_id or ""))


def show_delete(visit: Visit) -> Response:
    """Asks once more before files are deleted, and names what is. Query: `asset`, once for each file."""
    asset_ids = _chosen(visit)
    asset = visit.get(f"/api/assets/{asset_ids[0]}")["asset"] if len(asset_ids) == 1 else None
    return visit.page("library_delete.html", asset_ids=asset_ids, asset=asset)


def delete(visit: Visit) -> Response:
    """Deletes the files for good."""
    asset_ids = _asset_ids(visit.form.getlist("asset"))
    for asset_id in asset_ids:
        visit.api.call("DELETE", f"/api/assets/{asset_id}")
    return visit.go(f"/library?deleted={len(asset_ids)}")


def show_asset(visit: Visit) -> Response:
    """One file: large, with its facts, its cost, what it was made from and what was made from it. For htmx the next
    files that were made from it. Query: `cursor`, of those."""
    if visit.is_partial:
        asset_id = visit.part("asset_id")
        return visit.page("library_made.html", lineage=_lineage(visit), asset_id=asset_id)
    asset, lineage = _asset_and_lineage(visit)
    typed = {"name": asset["name"], "description": asset["description"] or "", "tags": ", ".join(asset["tags"])}
    return _asset_page(visit, asset, lineage, typed)


def change_asset(visit: Visit) -> Response:
    """Changes name, description and tags, or (field `favorite`) whether the file is a favourite."""
    typed = {name: str(visit.form.get(name, "")).strip() for name in ("name", "description", "tags")}
    changes: Json = {
        "name": typed["name"],
        "description": typed["description"] or None,
        "tags": [tag.strip() for tag in typed["tags"].split(",") if tag.strip()],
    }
    if "favorite" in visit.form:
        changes = {"favorite": visit.form["favorite"] == "true"}
    try:
        visit.api.call("PUT", f"/api/assets/{visit.part('asset_id')}", changes)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        return _asset_page(visit, _asset(visit), None, typed, error)
    return visit.go(f"/library/{visit.part('asset_id')}")


def show_tile(visit: Visit) -> Response:
    """The tile of one file, which the upload's script puts into the grid."""
    return visit.page("library_more.html", found={"items": [_asset(visit)], "next_cursor": None}, link=None)


def show_recipe(visit: Visit) -> Response:
    """The request that makes the same again."""
    asset = _asset(visit)
    recipe = visit.get(f"/api/generations/{asset['generation_id']}/recipe")["recipe"]
    text = json.dumps(recipe, indent=2, ensure_ascii=False)
    return visit.page("library_recipe.html", asset=asset, recipe=text)


def show_thumbnail(visit: Visit) -> Response:
    """Leads to the thumbnail of a file, by its id alone; of a deleted one, to a placeholder."""
    try:
        url = _asset(visit)["thumbnail_url"]
    except ApiError as error:
        if error.status != 404:
            raise
        url = None
    answer = RedirectResponse(url or static_path("no-thumbnail.svg"), 302)
    answer.headers["cache-control"] = f"private, max-age={THUMBNAIL_SECONDS}"
    return answer


def show_picker(visit: Visit) -> Response:
    """The next images to choose from, in a form that takes ids of files. Query: `cursor`."""
    cursor = visit.query.get("cursor", "")
    found = visit.get("/api/assets", type="image", archived="false", cursor=cursor, limit=PICKER_ASSETS)
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


def _asset_page(
    visit: Visit, asset: Json, lineage: Json | None, typed: Mapping[str, str], error: ApiError | None = None
) -> Response:
    """lineage: None = the page leaves it out. typed: what the form holds. error: why it was refused."""
    fields = error.fields if error else {}
    # A wrong tag is named by its place; the form has one field for all of them.
    errors = {path.partition(".")[0]: message for path, message in fields.items()}
    shown = {"typed": typed, "errors": errors, "error": None if fields else error}
    status = error.status if error else 200
    shown |= {"lineage": lineage, "origins": _tree(asset["made_from"], lineage["origins"]) if lineage else []}
    return visit.page("library_asset.html", status=status, asset=asset, generation=_generation(visit, asset), **shown)


def _tree(made_from: Sequence[str], origins: Sequence[Json]) -> list[Json]:
    """The origins of a file, each with its own origins; one that comes several times has them where it comes first.

    made_from: the ids of the nearest ones. origins: the API's list of all."""
    by_id = {origin["id"]: origin for origin in origins}
    unshown = set(by_id)

    def branch(asset_id: str) -> Json:
        origin = by_id[asset_id]
        is_first = asset_id in unshown
        unshown.discard(asset_id)
        return {**origin, "origins": branches(origin["made_from"]) if is_first else []}

    def branches(asset_ids: Sequence[str]) -> list[Json]:
        return [branch(each) for each in dict.fromkeys(asset_ids) if each in by_id]

    return branches(made_from)


def _address(query: Mapping[str, str], **changes: str) -> str:
    """The address of the library with this query, changed; from its first page, unless a cursor is named."""
    changed = {**query, "cursor": "", **changes}
    chosen = {name: value for name, value in changed.items() if value}
    return "/library" + (f"?{urlencode(chosen)}" if chosen else "")


def _asset_ids(found: Sequence[str]) -> list[str]:
    """Those of these texts that are ids of assets, each once, as many as a page shows."""
    return [each for each in dict.fromkeys(found) if ASSET_ID.fullmatch(each)][:PAGE_ASSETS]


def _chosen(visit: Visit) -> list[str]:
    """The ids in the query, at least one. Raises ApiError without any."""
    asset_ids = _asset_ids(visit.query.getlist("asset"))
    if not asset_ids:
        raise ApiError(404, {"error": "NOT_FOUND", "message": ""})
    return asset_ids


def _asset_and_lineage(visit: Visit) -> tuple[Json, Json]:
    path = f"/api/assets/{visit.part('asset_id')}"
    found, lineage = visit.api.get_together((path, {}), (f"{path}/lineage", _lineage_query(visit)))
    return found["asset"], lineage


def _lineage(visit: Visit) -> Json:
    return visit.get(f"/api/assets/{visit.part('asset_id')}/lineage", **_lineage_query(visit))


def _lineage_query(visit: Visit) -> dict[str, Any]:
    return {"cursor": visit.query.get("cursor", ""), "limit": MADE_FROM_IT}


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
    route("/library/selection", act_on_selection, "POST"),
    route("/library/move", show_move),
    route("/library/move", move, "POST"),
    route("/library/delete", show_delete),
    route("/library/delete", delete, "POST"),
    route("/library/{asset_id}", show_asset),
    route("/library/{asset_id}", change_asset, "POST"),
    route("/parts/library/{asset_id}/tile", show_tile),
    route("/library/{asset_id}/recipe", show_recipe),
    route("/parts/library/{asset_id}/thumbnail", show_thumbnail),
]
