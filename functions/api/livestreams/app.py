"""Livestreams over HTTP: what hosts do with them, and who watches."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response, created
from atelier.livestreams import manage, present
from atelier.livestreams.manage import Host
from atelier.livestreams.schemas import (
    CreateLivestreamRequest,
    IngestEnvelope,
    LivestreamEnvelope,
    LivestreamList,
    LivestreamQuery,
    PlaybackEnvelope,
    SimulcastEnvelope,
    SimulcastList,
    SimulcastRequest,
    UploadPlaceEnvelope,
    ingest_view,
    simulcast_view,
    upload_view,
)
from atelier.wiring import auth, livestreams

api = Api("livestreams", gate=auth.gate, limiter=auth.limiter)
handler = api.handler
PATH, ONE = "/api/livestreams", "/api/livestreams/<livestream_id>"
TARGETS = f"{ONE}/simulcast-targets"
read = partial(api.route, "GET", permission="livestreams.read")
manages = partial(api.route, permission="livestreams.manage")
hosts = partial(manages, errors=(403, 404, 409, 502, 503))


@read(PATH, query=LivestreamQuery, answer=LivestreamList)
def list_livestreams(request: Request[Empty]) -> Response:
    """List livestreams: of the workspace, or those for everybody."""
    return Response(present.list_livestreams(livestreams.deps(), request.caller, request.query))


@manages("POST", PATH, body=CreateLivestreamRequest, answer=LivestreamEnvelope, statuses=(201,), errors=(503,))
def create_livestream(request: Request[CreateLivestreamRequest]) -> Response:
    """Announce a livestream."""
    host, key, deps = _host(request), request.idempotency_key, livestreams.deps()
    made, replayed = manage.create_livestream(host, request.body.fields, key, deps=deps, now=request.now)
    return created(f"{PATH}/{made.id}", present.own_envelope(made, host), replayed=replayed)


@read(ONE, answer=LivestreamEnvelope, errors=(404,))
def get_livestream(request: Request[Empty]) -> Response:
    """Get one livestream, with about how many watch it."""
    return Response(present.read_livestream(livestreams.deps(), request.caller, _id(request), request.now))


@manages("POST", f"{ONE}/start", answer=LivestreamEnvelope, errors=(404, 409, 503))
def start_livestream(request: Request[Empty]) -> Response:
    """Let people watch, as soon as a picture arrives."""
    host, deps = _host(request), livestreams.deps()
    after = manage.start_livestream(host, _id(request), deps=deps, now=request.now)
    return Response(present.own_envelope(after, host))


@manages("POST", f"{ONE}/end", answer=LivestreamEnvelope, errors=(404, 503))
def end_livestream(request: Request[Empty]) -> Response:
    """End a livestream, or take back one that was announced; its recording follows."""
    host, deps = _host(request), livestreams.deps()
    after = manage.end_livestream(host, _id(request), deps=deps, now=request.now)
    return Response(present.own_envelope(after, host))


@read(f"{ONE}/playback", answer=PlaybackEnvelope, errors=(403, 404, 409, 502, 503))
def get_playback(request: Request[Empty]) -> Response:
    """Watch a livestream, or its recording: a URL for some minutes, and the cookies that it needs."""
    deps, is_secure = livestreams.deps(), livestreams.is_secure()
    view, cookies = present.read_playback(deps, request.caller, _id(request), request.now, is_secure=is_secure)
    return Response(view, cookies=cookies)


@hosts("GET", f"{ONE}/stream-key", answer=IngestEnvelope)
def get_stream_key(request: Request[Empty]) -> Response:
    """Where the host sends the picture, with the secret key; for the host alone."""
    ingest = manage.show_key(_host(request), _id(request), deps=livestreams.deps(), now=request.now)
    return Response(IngestEnvelope(ingest=ingest_view(ingest)))


@hosts("POST", f"{ONE}/stream-key/rotate", answer=IngestEnvelope)
def rotate_stream_key(request: Request[Empty]) -> Response:
    """Replace the stream key; the old one is refused from then on."""
    ingest = manage.rotate_key(_host(request), _id(request), deps=livestreams.deps(), now=request.now)
    return Response(IngestEnvelope(ingest=ingest_view(ingest)))


@hosts("GET", TARGETS, answer=SimulcastList)
def list_simulcast_targets(request: Request[Empty]) -> Response:
    """List the places to which the picture is forwarded."""
    found = manage.list_targets(_host(request), _id(request), deps=livestreams.deps(), now=request.now)
    return Response(SimulcastList(items=list(map(simulcast_view, found))))


@hosts("POST", TARGETS, body=SimulcastRequest, answer=SimulcastEnvelope, statuses=(201,))
def add_simulcast_target(request: Request[SimulcastRequest]) -> Response:
    """Forward the picture to another place, too."""
    host, body, deps = _host(request), request.body, livestreams.deps()
    target = manage.add_target(host, _id(request), body.url, body.stream_key, deps=deps, now=request.now)
    return created(None, SimulcastEnvelope(target=simulcast_view(target)), replayed=False)


@hosts("DELETE", f"{TARGETS}/<target_id>", statuses=(204,))
def remove_simulcast_target(request: Request[Empty]) -> Response:
    """Forward the picture to a place no more."""
    target_id = request.path["target_id"]
    manage.remove_target(_host(request), _id(request), target_id, deps=livestreams.deps(), now=request.now)
    return Response(status=204)


@hosts("POST", f"{ONE}/upload", answer=UploadPlaceEnvelope)
def begin_video_upload(request: Request[Empty]) -> Response:
    """Send a video in place of a livestream: where to put it. It becomes the recording."""
    place = manage.begin_upload(_host(request), _id(request), deps=livestreams.deps(), now=request.now)
    return Response(UploadPlaceEnvelope(upload=upload_view(place)))


def _host(request: Request[Any]) -> Host:
    return Host(request.caller.workspace_id, request.caller.user_id, request.origin)


def _id(request: Request[Any]) -> str:
    return request.path_id("livestream_id", "liv")
