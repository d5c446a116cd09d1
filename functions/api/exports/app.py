"""Exports over HTTP, a workspace's records as a file, or everything that it has; and product events, which frontends
report to be exported."""

from __future__ import annotations

from functools import partial

from atelier.exports.present import create_export, read_export
from atelier.exports.present import list_exports as list_visible_exports
from atelier.exports.schemas import ExportEnvelope, ExportList, ExportQuery, ExportRequest
from atelier.exports.track import switch_events, track_events
from atelier.exports.track_schemas import EventSettings, TrackedView, TrackRequest
from atelier.exports.whole_schemas import (
    WholeExportEnvelope,
    WholeExportList,
    WholeExportQuery,
    create_whole_export,
    list_whole_exports,
    read_whole_export,
)
from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.wiring import auth, exports

api = Api("exports", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
read = partial(api.route, "GET", permission="exports.read")
PATH, WHOLE_PATH = "/api/analytics/exports", "/api/exports/workspace"
read_whole = partial(api.route, "GET", permission="workspace.export")


@api.route(
    "POST",
    PATH,
    permission="exports.create",
    body=ExportRequest,
    answer=ExportEnvelope,
    statuses=(202,),
    errors=(403, 409, 503),
)
def request_export(request: Request[ExportRequest]) -> Response:
    """Request an export: a file with the records of a time."""
    new, replayed = create_export(
        exports.deps(), request.caller, request.body, request.idempotency_key, request.origin, request.now
    )
    return created(f"{PATH}/{new.export.id}", new, replayed=replayed, status=202)


@read(PATH, query=ExportQuery, answer=ExportList)
def list_exports(request: Request[Empty]) -> Response:
    """List exports, newest first."""
    return Response(list_visible_exports(exports.deps(), request.caller, request.query, request.now))


@read(f"{PATH}/<export_id>", answer=ExportEnvelope, errors=(404,))
def get_export(request: Request[Empty]) -> Response:
    """Get an export, with the address of its file."""
    export_id = request.path_id("export_id", "exp")
    return Response(read_export(exports.deps(), request.caller, export_id, request.now))


@api.route(
    "POST",
    WHOLE_PATH,
    permission="workspace.export",
    answer=WholeExportEnvelope,
    statuses=(202,),
    errors=(409, 503),
    step_up=True,
)
def export_everything(request: Request[Empty]) -> Response:
    """Request an export of everything that the workspace has, as zip files."""
    deps, caller, key = exports.whole_deps(), request.caller, request.idempotency_key
    personal_workspace = exports.personal_workspace
    new, replayed = create_whole_export(
        deps, caller, key, request.origin, request.now, personal_workspace=personal_workspace
    )
    return created(f"{WHOLE_PATH}/{new.export.id}", new, replayed=replayed, status=202)


@read_whole(WHOLE_PATH, query=WholeExportQuery, answer=WholeExportList)
def list_exports_of_everything(request: Request[Empty]) -> Response:
    """List exports of everything, newest first."""
    return Response(list_whole_exports(exports.whole_deps(), request.caller, request.query, request.now))


@read_whole(f"{WHOLE_PATH}/<export_id>", answer=WholeExportEnvelope, errors=(404,))
def get_export_of_everything(request: Request[Empty]) -> Response:
    """Get an export of everything, with the addresses of its zip files."""
    export_id = request.path_id("export_id", "exp")
    return Response(read_whole_export(exports.whole_deps(), request.caller, export_id, request.now))


@api.route("POST", "/api/events/track", permission="events.track", body=TrackRequest, answer=TrackedView, errors=(503,))
def track_product_events(request: Request[TrackRequest]) -> Response:
    """Report product events of your own frontends, to be exported."""
    caller = request.caller
    events = request.body.new(caller.workspace_id, caller.user_id, caller.token_id, request.now)
    found = track_events(events, store=exports.product_events())
    return Response(TrackedView(accepted=found.accepted, repeated=found.repeated, dropped=found.dropped))


@api.route("GET", "/api/events/settings", permission="events.track", answer=EventSettings)
def get_event_settings(request: Request[Empty]) -> Response:
    """Get whether the workspace's product events are kept."""
    return Response(EventSettings(is_on=exports.product_events().is_on(request.caller.workspace_id)))


@api.route("PUT", "/api/events/settings", permission="events.manage", body=EventSettings, answer=EventSettings)
def put_event_settings(request: Request[EventSettings]) -> Response:
    """Switch the workspace's product events on or off."""
    store, is_on = exports.product_events(), request.body.is_on
    switch_events(request.caller.workspace_id, is_on, request.origin, store=store, now=request.now)
    return Response(request.body)
