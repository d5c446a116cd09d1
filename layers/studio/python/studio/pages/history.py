"""History: what was done in a workspace, for those who administer it, and what concerned access to one's account."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from starlette.responses import Response

from studio.api_client import ApiError, Json
from studio.endpoints import route
from studio.visit import Visit

EVENTS_PER_PAGE = 25
ADMINS = ("owner", "admin")
# The groups of actions that can be chosen; each has its words in the catalogue of texts.
GROUPS = (
    *("session.", "password.", "email.", "factor.", "identity.", "token.", "key.", "member.", "workspace."),
    *("budget.", "billing.", "account.", "webhook_endpoint."),
)
FORMATS = ("csv", "ndjson", "proof")
# Headers of a file that the browser gets as the API sent them.
FILE_HEADERS = ("content-type", "content-disposition", "atelier-next-cursor")
# Refusals that the page shows above the list: a date that is none, a cursor of another list.
SHOWN_HERE = (422,)


def show_workspace(visit: Visit) -> Response:
    """The history of a workspace that the person administers: the chosen one, or the first."""
    workspaces = visit.get("/api/auth/me")["workspaces"]
    administered = [each for each in workspaces if each["role"] in ADMINS]
    wanted = visit.query.get("workspace", administered[0]["id"])
    return _page(visit, _path(wanted), administered, wanted)


def show_own(visit: Visit) -> Response:
    """What concerned the access to the person's account."""
    return _page(visit, _path(""))


def export(visit: Visit) -> Response:
    """A file: the newest events that the filter matches, as many as fit, or the proof of the whole log."""
    form = visit.query.get("format", "")
    wanted = {"format": form, "cursor": visit.query.get("cursor", ""), **({} if form == "proof" else _filter(visit))}
    answer = visit.api.call("GET", _path(visit.query.get("workspace", "")), query=wanted)
    headers = {name: answer.headers[name] for name in FILE_HEADERS if name in answer.headers}
    return Response(answer.body, headers=headers)


def action_text(visit: Visit, action: str) -> str:
    """What happened, in the words of the person's language; the API's own word if there is no text for it yet."""
    key = f"history.action.{action}"
    return visit.t(key) if visit.t.has(key) else action


def fact_text(value: object) -> str:
    """A fact of an event: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _path(workspace_id: str) -> str:
    own = "/api/users/me/security-log"
    return f"/api/workspaces/{quote(workspace_id, safe='')}/audit" if workspace_id else own


def _filter(visit: Visit) -> dict[str, str]:
    """The filter of the page's form, as the API takes it: whole days of UTC, the last one included."""
    query = visit.query
    begin, end = query.get("from", ""), query.get("to", "")
    return {
        "action": query.get("action", ""),
        "actor": query.get("actor", ""),
        "from": f"{begin}T00:00:00Z" if begin else "",
        "to": f"{end}T23:59:59.999Z" if end else "",
    }


def _page(visit: Visit, path: str, administered: Sequence[Json] = (), workspace: str = "") -> Response:
    error: ApiError | None = None
    log: Json = {"items": [], "next_cursor": None}
    try:
        log = visit.get(path, limit=EVENTS_PER_PAGE, cursor=visit.query.get("cursor", ""), **_filter(visit))
    except ApiError as refused:
        if refused.status not in SHOWN_HERE:
            raise
        error = refused
    chosen = {name: visit.query.get(name, "") for name in ("action", "actor", "from", "to")}
    return visit.page(
        "history.html",
        status=error.status if error else 200,
        log=log,
        error=error,
        administered=administered,
        workspace=workspace,
        chosen=chosen,
        groups=GROUPS,
        action_text=action_text,
        fact_text=fact_text,
        exports={form: _link(chosen, workspace, form) for form in FORMATS},
        more=_more(visit.path, chosen, workspace, log["next_cursor"]),
    )


def _link(chosen: Mapping[str, str], workspace: str, form: str) -> str:
    given = {"format": form, "workspace": workspace, **chosen}
    return f"/history/export?{urlencode({name: value for name, value in given.items() if value})}"


def _more(path: str, chosen: Mapping[str, str], workspace: str, cursor: str | None) -> str:
    given = {"workspace": workspace, "cursor": cursor or "", **chosen}
    return f"{path}?{urlencode({name: value for name, value in given.items() if value})}" if cursor else ""


routes = [
    route("/history", show_workspace),
    route("/history/own", show_own),
    route("/history/export", export),
]
