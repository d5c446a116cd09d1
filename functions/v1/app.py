"""`/v1`: OpenAI's API over every provider of the catalogue, paid in credits."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.generations.model import Generation
from atelier.http.api import Api
from atelier.http.request import Empty, Request, parse_json_body
from atelier.http.response import Response
from atelier.openai_api import chat, images, models, responses, serve_videos, speech, videos
from atelier.openai_api.deps import RequestFacts, rate_limit_headers
from atelier.openai_api.errors import error_response
from atelier.openai_api.multipart import FormPart, parse_multipart
from atelier.openai_api.request import MappedRequest
from atelier.openai_api.serve import Body, Served, serve
from atelier.wiring import auth, media_urls, openai_api

# Lambda allows 6 MB for a request body, with binary content in base64 (4/3 of its size).
BODY_BYTES_MAX = 4_400_000

api = Api("v1", gate=auth.spending_gate, limiter=auth.limiter, error_response=error_response)
handler = api.handler
get_route = partial(api.route, "GET", permission="generations.read", raw=True)
post_route = partial(api.route, "POST", permission="generations.create", raw=True, body_bytes_max=BODY_BYTES_MAX)


def facts(request: Request[Any], path: str) -> RequestFacts:
    """What the use case has to know about a request, beside its body."""
    return RequestFacts(
        request.caller, path, request.headers, request.now, request.idempotency_key, request.wait_seconds
    )


def serve_request(request: Request[Any], path: str, mapped: MappedRequest, *, with_files: bool = True) -> Served:
    return serve(openai_api.serve_deps(request.now), facts(request, path), mapped, with_files=with_files)


def response(body: Body) -> Response:
    return Response(body.data, body.status, headers=body.headers)


def response_with_limits(request: Request[Any], body: dict[str, Any]) -> Response:
    """A response with the headers about the caller's rate limit."""
    return Response(body, headers=rate_limit_headers(auth.limiter(), request.caller.user_id, request.now))


@api.route("GET", "/v1/models", permission="models.read", raw=True)
def list_models(request: Request[Empty]) -> Response:
    """List the models."""
    found = openai_api.model_list(request.caller.workspace_id, request.now)
    return response_with_limits(request, models.list_body(found))


@api.route("GET", "/v1/models/<model_id+>", permission="models.read", raw=True)
def get_model(request: Request[Empty]) -> Response:
    """Get one model."""
    found = openai_api.model_list(request.caller.workspace_id, request.now)
    body = models.find_model(request.path["model_id"], found, openai_api.catalogue_data(request.now))
    return response_with_limits(request, body)


@post_route("/v1/chat/completions", body=chat.ChatRequest)
def complete(request: Request[chat.ChatRequest]) -> Response:
    """Answer a conversation (chat completion)."""
    body = request.body
    served = serve_request(request, "chat/completions", body.to_mapped_request())
    if body.stream:
        return response(served.events(chat.stream(body, served.result)))
    return response(served.json(chat.completion(body, served.result)))


@post_route("/v1/responses", body=responses.ResponseRequest)
def respond(request: Request[responses.ResponseRequest]) -> Response:
    """Create a response."""
    body = request.body
    served = serve_request(request, "responses", body.to_mapped_request())
    if body.stream:
        return response(served.events(responses.stream(body, served.result)))
    return response(served.json(responses.response_body(body, served.result)))


@post_route("/v1/images/generations", body=images.ImageRequest)
def generate_images(request: Request[images.ImageRequest]) -> Response:
    """Create images from a prompt."""
    return images_response(request, "images/generations", request.body)


@post_route("/v1/images/edits", raw_body=True)
def edit_images(request: Request[Empty]) -> Response:
    """Create images from images."""
    return images_response(request, "images/edits", images.parse_edit_form(form_parts(request)))


@post_route("/v1/audio/speech", body=speech.SpeechRequest)
def speak(request: Request[speech.SpeechRequest]) -> Response:
    """Create speech from a text."""
    served = serve_request(request, "audio/speech", request.body.to_mapped_request())
    if request.body.stream:
        return response(served.events(speech.stream(served.result)))
    return response(served.file())


@post_route("/v1/videos", raw_body=True)
def create_video(request: Request[Empty]) -> Response:
    """Begin a video."""
    deps, mapped = openai_api.serve_deps(request.now), video_request(request).to_mapped_request()
    return response(serve_videos.begin_video(deps, facts(request, "videos"), mapped))


@get_route("/v1/videos", query=videos.VideoQuery)
def list_videos(request: Request[Empty]) -> Response:
    """List the workspace's videos, newest first."""
    body = serve_videos.list_videos(openai_api.store(), request.caller.workspace_id, request.query)
    return response_with_limits(request, body)


@get_route("/v1/videos/<video_id>")
def get_video(request: Request[Empty]) -> Response:
    """Get a video in its current state."""
    return response_with_limits(request, videos.video_body(find_video(request)))


@get_route("/v1/videos/<video_id>/content", query=videos.ContentQuery)
def get_content(request: Request[Empty]) -> Response:
    """A redirect to a video's file, or to its thumbnail."""
    found, variant = find_video(request), request.query.variant
    urls, deleted = media_urls.asset_urls, openai_api.deleted_assets
    return response(serve_videos.video_content(found, variant, urls, deleted, request.now))


def images_response(request: Request[Any], path: str, body: images.ImageRequest) -> Response:
    served = serve_request(request, path, body.to_mapped_request(), with_files=body.wants_bytes)
    if body.stream:
        return response(served.events(images.stream(body, served.result)))
    return response(served.json(images.images_body(body, served.result)))


def find_video(request: Request[Any]) -> Generation:
    return serve_videos.get_video(openai_api.store(), request.caller.workspace_id, request.path["video_id"])


def form_parts(request: Request[Any]) -> list[FormPart]:
    return parse_multipart(request.raw_body, request.headers.get("content-type", ""))


def video_request(request: Request[Empty]) -> videos.VideoRequest:
    """The request for a video, by the type of its body."""
    return videos.parse_video_request(
        request.headers.get("content-type", ""),
        form=lambda: videos.parse_video_form(form_parts(request)),
        json=lambda: parse_json_body(videos.VideoRequest, request),
    )
