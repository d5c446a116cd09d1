"""`/v1`: OpenAI's API over every provider of the catalogue, paid in credits."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.http.api import Api
from atelier.http.request import Empty, Request
from atelier.http.response import Response
from atelier.openai_api import chat, images, responses, speech, videos
from atelier.openai_api.errors import error_response
from atelier.wiring import auth, openai_api

api = Api("v1", gate=auth.spending_gate, limiter=auth.limiter, error_response=error_response)
handler = api.handler
get_route = partial(api.route, "GET", permission="generations.read", raw=True)
post_route = partial(
    api.route, "POST", permission="generations.create", raw=True, body_bytes_max=openai_api.BODY_BYTES_MAX
)


@api.route("GET", "/v1/models", permission="models.read", raw=True)
def list_models(request: Request[Empty]) -> Response:
    """List the models."""
    return Response(openai_api.model_list(request), headers=openai_api.rate_limit_headers(request))


@api.route("GET", "/v1/models/<model_id+>", permission="models.read", raw=True)
def get_model(request: Request[Empty]) -> Response:
    """Get one model."""
    return Response(
        openai_api.get_model(request, request.path["model_id"]), headers=openai_api.rate_limit_headers(request)
    )


@post_route("/v1/chat/completions", body=chat.ChatRequest)
def complete(request: Request[chat.ChatRequest]) -> Response:
    """Answer a conversation (chat completion)."""
    asked = request.body
    done = openai_api.create_and_wait(request, "chat/completions", asked.to_mapped_request())
    return (
        done.events(chat.stream(asked, done.result)) if asked.stream else done.json(chat.completion(asked, done.result))
    )


@post_route("/v1/responses", body=responses.ResponseRequest)
def respond(request: Request[responses.ResponseRequest]) -> Response:
    """Create a response."""
    asked = request.body
    done = openai_api.create_and_wait(request, "responses", asked.to_mapped_request())
    if asked.stream:
        return done.events(responses.stream(asked, done.result))
    return done.json(responses.response_body(asked, done.result))


@post_route("/v1/images/generations", body=images.ImageRequest)
def generate_images(request: Request[images.ImageRequest]) -> Response:
    """Create images from a prompt."""
    return _create_images_response(request, "images/generations", request.body)


@post_route("/v1/images/edits", raw_body=True)
def edit_images(request: Request[Empty]) -> Response:
    """Create images from images."""
    return _create_images_response(request, "images/edits", images.parse_edit_form(openai_api.form_parts(request)))


@post_route("/v1/audio/speech", body=speech.SpeechRequest)
def speak(request: Request[speech.SpeechRequest]) -> Response:
    """Create speech from a text."""
    done = openai_api.create_and_wait(request, "audio/speech", request.body.to_mapped_request())
    return done.events(speech.stream(done.result)) if request.body.stream_format == "sse" else done.file()


@post_route("/v1/videos", raw_body=True)
def create_video(request: Request[Empty]) -> Response:
    """Begin a video."""
    return openai_api.begin_video(request, "videos", openai_api.parse_video_request(request))


@get_route("/v1/videos", query=videos.VideoQuery)
def list_videos(request: Request[Empty]) -> Response:
    """List the workspace's videos, newest first."""
    return Response(openai_api.list_videos(request, request.query), headers=openai_api.rate_limit_headers(request))


@get_route("/v1/videos/<video_id>")
def get_video(request: Request[Empty]) -> Response:
    """Get a video in its current state."""
    generation = openai_api.get_video(request, request.path["video_id"])
    return Response(videos.video_body(generation), headers=openai_api.rate_limit_headers(request))


@get_route("/v1/videos/<video_id>/content", query=videos.ContentQuery)
def get_content(request: Request[Empty]) -> Response:
    """A redirect to a video's file, or to its thumbnail."""
    return openai_api.video_content(request, request.path["video_id"], request.query.variant)


def _create_images_response(request: Request[Any], path: str, asked: images.ImageRequest) -> Response:
    done = openai_api.create_and_wait(request, path, asked.to_mapped_request(), with_files=asked.wants_bytes)
    if asked.stream:
        return done.events(images.stream(asked, done.result))
    return done.json(images.images_body(asked, done.result))
