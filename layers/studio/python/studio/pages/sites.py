"""Sites: their pages with an editor that loses no words, versions, comments, and parts with where they are used."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlencode

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

LISTED, COMMENTS = 50, 100
SHOWN_IN_FORM = (402, 403, 409, 422)
SECTION, COMPONENT = "section", "component"
REMOVED_SHOWN = 12
EMPTY_BLOCK: Json = {"html": "", "css": "", "component_id": None, "parameters": {}}


def show_sites(visit: Visit) -> Response:
    """The sites, and a form for a new one."""
    found = visit.get("/api/sites", limit=LISTED, cursor=visit.query.get("cursor", ""))
    return visit.page("sites.html", found=found, typed={"name": "", "slug": ""}, errors={}, error=None)


def create_site(visit: Visit) -> Response:
    """Makes a site."""
    typed = {name: visit.form.get(name, "") for name in ("name", "slug")}
    try:
        made = visit.api.call("POST", "/api/sites", typed, headers={"Idempotency-Key": visit.form_key}).data["site"]
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        found = visit.get("/api/sites", limit=LISTED)
        return visit.page(
            "sites.html", status=error.status, found=found, typed=typed, errors=_errors(error), error=error
        )
    return visit.go(f"/sites/{made['id']}")


def show_site(visit: Visit) -> Response:
    """A site with its pages."""
    path = _site(visit)
    site, pages = visit.api.get_together(
        (path, {}), (f"{path}/pages", {"limit": LISTED, "cursor": visit.query.get("cursor", "")})
    )
    return visit.page("site.html", site=site["site"], pages=pages)


def create_page(visit: Visit) -> Response:
    """Makes an empty page."""
    body = {"title": visit.form.get("title", ""), "path": visit.form.get("path", "")}
    headers = {"Idempotency-Key": visit.form_key}
    made = visit.api.call("POST", f"{_site(visit)}/pages", body, headers=headers).data["page"]
    return visit.go(f"/sites/{made['site_id']}/pages/{made['id']}")


def show_settings(visit: Visit) -> Response:
    """The settings of a site and its design tokens."""
    site = visit.get(_site(visit))["site"]
    settings = site["settings"]
    typed = {name: site[name] or "" for name in ("name", "slug", "domain")}
    typed |= {name: settings[name] for name in ("language", "description")}
    typed["theme"] = "\n".join(f"{name}: {value}" for name, value in site["theme"].items())
    typed |= {"scripts": settings["scripts"], "allowed_hosts": "\n".join(settings["allowed_hosts"])}
    return visit.page("site_settings.html", site=site, typed=typed, errors={}, error=None)


def change_settings(visit: Visit) -> Response:
    """Changes a site."""
    site = visit.get(_site(visit))["site"]
    typed = {name: visit.form.get(name, "").strip() for name in ("name", "slug", "domain", "language", "description")}
    typed |= {name: visit.form.get(name, "") for name in ("theme", "allowed_hosts")}
    settings = site["settings"] | {
        "language": typed["language"],
        "description": typed["description"],
        "scripts": "scripts" in visit.form,
        "allowed_hosts": typed["allowed_hosts"].split(),
    }
    body = {
        **{name: typed[name] for name in ("name", "slug")},
        "domain": typed["domain"] or None,
        "theme": _pairs(typed["theme"], ":"),
        "settings": settings,
        "base_version": int(visit.form.get("base_version", "") or site["version"]),
    }
    try:
        visit.api.call("PUT", _site(visit), body)
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        values = {**typed, "scripts": "scripts" in visit.form}
        return visit.page(
            "site_settings.html", status=error.status, site=site, typed=values, errors=_errors(error), error=error
        )
    return visit.go(f"/sites/{site['id']}")


def show_delete(visit: Visit) -> Response:
    """Asks before a site is removed."""
    return visit.page("site_delete.html", site=visit.get(_site(visit))["site"])


def delete_site(visit: Visit) -> Response:
    """Removes a site with its pages."""
    visit.api.call("DELETE", _site(visit))
    return visit.go("/sites")


def show_page(visit: Visit) -> Response:
    """The editor of a page, and its comments."""
    page, comments, parts = visit.api.get_together(
        (_page(visit), {}),
        (f"{_page(visit)}/comments", {"limit": COMMENTS}),
        ("/api/components", {"limit": LISTED}),
    )
    return _editor(visit, page["page"], comments["items"], parts["items"])


def edit_page(visit: Visit) -> Response:
    """Saves a page; or moves, adds or removes a block in the form and saves nothing."""
    page = _written(visit)
    what, _, id = visit.form.get("do", "save").partition(":")
    if what != "save":
        page["blocks"] = _changed(page["blocks"], what, id)
        return _editor(visit, page, [], visit.get("/api/components", limit=LISTED)["items"], is_unsaved=True)
    body = {name: page[name] for name in ("path", "title", "language", "seo", "blocks", "base_version")}
    body |= {"note": visit.form.get("note", "")}
    body |= {"resolved_version": page["resolved_version"]} if page["resolved_version"] else {}
    try:
        saved = visit.api.call("PUT", _page(visit), body).data
    except ApiError as error:
        if error.status not in SHOWN_IN_FORM:
            raise
        if error.status == 409 and "current_version" in error.details:
            page["resolved_version"] = error.details["current_version"]
        return _editor(visit, page, [], [], error=error, status=error.status, is_unsaved=True)
    removed = [each["what"] for each in saved["removed"]][:REMOVED_SHOWN]
    query = {"saved": saved["page"]["version"], "merged": int(saved["merged"]), "removed": removed}
    return visit.go(f"{_own(visit)}?{urlencode(query, doseq=True)}")


def publish(visit: Visit) -> Response:
    """Publishes the newest version, or takes the page back."""
    visit.api.call("POST", f"{_page(visit)}/{'unpublish' if 'unpublish' in visit.form else 'publish'}", {})
    return visit.go(_own(visit))


def preview(visit: Visit) -> Response:
    """Leads to a signed address, which is on no origin."""
    return visit.go(visit.api.call("POST", f"{_page(visit)}/preview", {}).data["url"])


def delete_page(visit: Visit) -> Response:
    """Removes a page."""
    visit.api.call("DELETE", _page(visit))
    return visit.go(f"/sites/{visit.part('site_id')}")


def comment(visit: Visit) -> Response:
    """Comments on a page or a block, or answers."""
    body = {"body": visit.form.get("body", "")}
    body |= {name: visit.form[name] for name in ("block_id", "reply_to") if visit.form.get(name)}
    visit.api.call("POST", f"{_page(visit)}/comments", body, headers={"Idempotency-Key": visit.form_key})
    return visit.go(f"{_own(visit)}#comments")


def act_on_comment(visit: Visit) -> Response:
    """Resolves a thread, opens it again, or deletes one's own comment."""
    path, what = f"{_page(visit)}/comments/{visit.part('comment_id')}", visit.form.get("do", "")
    if what == "delete":
        visit.api.call("DELETE", path)
    else:
        visit.api.call("POST", f"{path}/{'reopen' if what == 'reopen' else 'resolve'}", {})
    return visit.go(f"{_own(visit)}#comments")


def show_versions(visit: Visit) -> Response:
    """The versions of a page, and what one of them changed. Query: `version`, `cursor`."""
    number = visit.query.get("version", "")
    page, found = visit.api.get_together(
        (_page(visit), {}), (f"{_page(visit)}/versions", {"limit": LISTED, "cursor": visit.query.get("cursor", "")})
    )
    diff = None
    if number.isdecimal() and int(number) > 1:
        diff = visit.get(f"{_page(visit)}/diff", **{"from": str(int(number) - 1), "to": number})
    return visit.page("site_versions.html", page=page["page"], found=found, diff=diff)


def restore(visit: Visit) -> Response:
    """Saves an earlier version as the newest one."""
    visit.api.call("POST", f"{_page(visit)}/versions/{visit.part('version')}/restore", {})
    return visit.go(_own(visit))


def show_parts(visit: Visit) -> Response:
    """The components and sections of the workspace."""
    components, sections = visit.api.get_together(
        ("/api/components", {"limit": LISTED}), ("/api/sections", {"limit": LISTED})
    )
    return visit.page("site_parts.html", components=components["items"], sections=sections["items"])


def show_new_part(visit: Visit) -> Response:
    """The form for a new component or section."""
    kind = SECTION if visit.query.get("kind") == SECTION else COMPONENT
    part: Json = {"id": "", "version": 0, "name": "", "html": "", "css": "", "category": "", "parameters": []}
    part["kind"] = kind
    return visit.page("site_part.html", part=part, uses=[], errors={}, error=None)


def create_part(visit: Visit) -> Response:
    """Makes a component or section."""
    kind = SECTION if visit.form.get("kind") == SECTION else COMPONENT
    body = _written_part(visit)
    try:
        made = visit.api.call("POST", f"/api/{kind}s", body, headers={"Idempotency-Key": visit.form_key}).data["part"]
    except ApiError as error:
        return _part_again(visit, {"id": "", "version": 0, **body, "kind": kind}, error)
    return visit.go(f"/site-parts/{made['id']}")


def show_part(visit: Visit) -> Response:
    """A component or section, and the pages that use it."""
    part, uses = visit.api.get_together((_part(visit), {}), (f"{_part(visit)}/uses", {}))
    return visit.page("site_part.html", part=part["part"], uses=uses["items"], errors={}, error=None)


def edit_part(visit: Visit) -> Response:
    """Saves a component or section, or deletes it."""
    if visit.form.get("do") == "delete":
        visit.api.call("DELETE", _part(visit))
        return visit.go("/site-parts")
    body = _written_part(visit)
    number = int(visit.form.get("base_version", "0") or 0)
    try:
        visit.api.call("PUT", _part(visit), {**body, "base_version": number})
    except ApiError as error:
        part = visit.get(_part(visit))["part"]
        return _part_again(visit, {**part, **body, "version": number}, error)
    return visit.go(f"/site-parts/{visit.part('part_id')}?saved=1")


def show_part_versions(visit: Visit) -> Response:
    """The versions of a component or section, and what one of them changed. Query: `version`, `cursor`."""
    number, cursor = visit.query.get("version", ""), visit.query.get("cursor", "")
    part, found = visit.api.get_together(
        (_part(visit), {}), (f"{_part(visit)}/versions", {"limit": LISTED, "cursor": cursor})
    )
    diff = None
    if number.isdecimal() and int(number) > 1:
        diff = visit.get(f"{_part(visit)}/diff", **{"from": str(int(number) - 1), "to": number})
    return visit.page("site_part_versions.html", part=part["part"], found=found, diff=diff)


def restore_part(visit: Visit) -> Response:
    """Saves an earlier version as the newest one."""
    visit.api.call("POST", f"{_part(visit)}/versions/{visit.part('version')}/restore", {})
    return visit.go(f"/site-parts/{visit.part('part_id')}?saved=1")


def _site(visit: Visit) -> str:
    return f"/api/sites/{visit.part('site_id')}"


def _page(visit: Visit) -> str:
    return f"{_site(visit)}/pages/{visit.part('page_id')}"


def _own(visit: Visit) -> str:
    """The path of the page's editor."""
    return f"/sites/{visit.part('site_id')}/pages/{visit.part('page_id')}"


def _part(visit: Visit) -> str:
    id = visit.part("part_id")
    return f"/api/{SECTION if id.startswith('sec_') else COMPONENT}s/{id}"


def _part_again(visit: Visit, part: Mapping[str, Any], error: ApiError) -> Response:
    if error.status not in SHOWN_IN_FORM:
        raise error
    return visit.page("site_part.html", status=error.status, part=part, uses=[], errors=_errors(error), error=error)


def _editor(
    visit: Visit,
    page: Mapping[str, Any],
    comments: Sequence[Json],
    parts: Sequence[Json],
    *,
    error: ApiError | None = None,
    status: int = 200,
    is_unsaved: bool = False,
) -> Response:
    """The editor. theirs: of a conflict, what the newest version has, by the block's id."""
    details: Mapping[str, Any] = error.details if error and "theirs" in error.details else {}
    theirs = {block["id"]: block for block in details.get("theirs", {}).get("blocks", [])}
    replies: dict[str, list[Json]] = {}
    for each in comments:
        replies.setdefault(each["reply_to"] or "", []).append(each)
    return visit.page(
        "site_page.html",
        status=status,
        page={"resolved_version": 0, **page, "blocks": [{**EMPTY_BLOCK, **block} for block in page["blocks"]]},
        replies=replies,
        parts=parts,
        error=error,
        errors=_errors(error) if error else {},
        conflict=details,
        theirs={id: {**EMPTY_BLOCK, **block} for id, block in theirs.items()},
        is_unsaved=is_unsaved,
        kept=[json.dumps(_rest(block), separators=(",", ":")) for block in page["blocks"]],
        removed=visit.query.getlist("removed"),
    )


def _rest(block: Mapping[str, Any]) -> Json:
    """What the form does not show of a block."""
    return {name: block.get(name) for name in ("kind", "js", "component_id", "slots") if block.get(name)}


def _written(visit: Visit) -> dict[str, Any]:
    """The page as the form has it."""
    form, blocks = visit.form, list[Json]()
    for id in form.get("order", "").split():
        blocks.append(
            {
                **_kept(form.get(f"rest-{id}", "")),
                "id": id,
                "html": form.get(f"html-{id}", ""),
                "css": form.get(f"css-{id}", ""),
                "parameters": _pairs(form.get(f"parameters-{id}", ""), "="),
            }
        )
    seo = {
        "title": form.get("seo_title", ""),
        "description": form.get("seo_description", ""),
        "image_asset_id": form.get("seo_image") or None,
        "no_index": "seo_no_index" in form,
    }
    return {
        "site_id": visit.part("site_id"),
        "id": visit.part("page_id"),
        "path": form.get("path", ""),
        "title": form.get("title", ""),
        "language": form.get("language") or None,
        "seo": seo,
        "blocks": blocks,
        "status": form.get("status", "draft"),
        "version": _number(form.get("base_version")),
        "base_version": _number(form.get("base_version")),
        "resolved_version": _number(form.get("resolved_version")),
        "published_version": _number(form.get("published_version")) or None,
    }


def _kept(text: str) -> Json:
    try:
        found: Any = json.loads(text or "{}")
    except ValueError:
        return {}
    return cast("Json", found) if isinstance(found, dict) else {}


def _changed(blocks: Sequence[Json], what: str, id: str) -> list[Json]:
    """Blocks after a button of the form: `up`, `down`, `remove`, `add` (a block of HTML, or the use of a part)."""
    changed = list(blocks)
    if what == "add":
        taken = {block["id"] for block in blocks}
        name = next(f"b{number}" for number in range(1, len(blocks) + 2) if f"b{number}" not in taken)
        use = {"kind": "component", "component_id": id} if id else {"kind": "html"}
        return [*changed, {"id": name, "html": "", "css": "", **use}]
    at = next((place for place, block in enumerate(changed) if block["id"] == id), None)
    if at is None:
        return changed
    block = changed.pop(at)
    if what == "up":
        changed.insert(max(at - 1, 0), block)
    elif what == "down":
        changed.insert(at + 1, block)
    return changed


def _written_part(visit: Visit) -> Json:
    form = visit.form
    parameters = [{"name": name, "default": value} for name, value in _pairs(form.get("parameters", ""), "=").items()]
    texts = {name: form.get(name, "") for name in ("name", "category", "html", "css")}
    return {**texts, "parameters": parameters, "note": form.get("note", "")}


def _pairs(text: str, between: str) -> dict[str, str]:
    """Lines `name: value` as a dictionary."""
    pairs = (line.partition(between) for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0


def _errors(error: ApiError) -> dict[str, str]:
    """The messages of a refusal by the fields of the form."""
    field = error.details.get("field")
    if isinstance(field, str):
        return {field: error.message}
    # A conflict names fields too, by their names alone.
    return error.fields if error.status == 422 else {}


PAGE = "/sites/{site_id}/pages/{page_id}"
routes = [
    route("/sites", show_sites),
    route("/sites", create_site, "POST"),
    route("/sites/{site_id}", show_site),
    route("/sites/{site_id}/pages", create_page, "POST"),
    route("/sites/{site_id}/settings", show_settings),
    route("/sites/{site_id}/settings", change_settings, "POST"),
    route("/sites/{site_id}/delete", show_delete),
    route("/sites/{site_id}/delete", delete_site, "POST"),
    route(PAGE, show_page),
    route(PAGE, edit_page, "POST"),
    route(f"{PAGE}/publish", publish, "POST"),
    route(f"{PAGE}/preview", preview, "POST"),
    route(f"{PAGE}/delete", delete_page, "POST"),
    route(f"{PAGE}/comments", comment, "POST"),
    route(f"{PAGE}/comments/{{comment_id}}", act_on_comment, "POST"),
    route(f"{PAGE}/versions", show_versions),
    route(f"{PAGE}/versions/{{version}}/restore", restore, "POST"),
    route("/site-parts", show_parts),
    route("/site-parts/new", show_new_part),
    route("/site-parts/new", create_part, "POST"),
    route("/site-parts/{part_id}/versions", show_part_versions),
    route("/site-parts/{part_id}/versions/{version}/restore", restore_part, "POST"),
    route("/site-parts/{part_id}", show_part),
    route("/site-parts/{part_id}", edit_part, "POST"),
]
