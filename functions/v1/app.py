"""`/v1`: OpenAI's API over every provider of the catalogue, paid in credits."""

from __future__ import annotations

from functools import partial
from typing import Any

from atelier.compatible import chat, images, responses, speech, videos
from atelier.http import Answer, Api, Nothing, Request
from atelier.wiring import admission, compatible

api = Api("v1", gate=admission.spending_gate, limiter=admission.limiter, refusal=compatible.refusal)
handler = api.handler
read = partial(api.route, "GET", permission="generations.read", raw=True)
make = partial(api.route, "POST", permission="generations.create", raw=True, body_bytes_max=compatible.BODY_BYTES_MAX)


@api.route("GET", "/v1/models", permission="models.read", raw=True)
def list_models(request: Request[Nothing]) -> Answer:
    """List the models."""
    return Answer(compatible.catalogue(request), headers=compatible.pace(request))


@api.route("GET", "/v1/models/<model_id+>", permission="models.read", raw=True)
def get_model(request: Request[Nothing]) -> Answer:
    """Get one model."""
    return Answer(compatible.model(request, request.path["model_id"]), headers=compatible.pace(request))


@make("/v1/chat/completions", body=chat.ChatRequest)
def complete(request: Request[chat.ChatRequest]) -> Answer:
    """Answer a conversation (chat completion)."""
    asked = request.body
    done = compatible.make(request, "chat/completions", asked.asked())
    return done.events(chat.stream(asked, done.made)) if asked.stream else done.json(chat.completion(asked, done.made))


@make("/v1/responses", body=responses.ResponseRequest)
def respond(request: Request[responses.ResponseRequest]) -> Answer:
    """Create a response."""
    asked = request.body
    done = compatible.make(request, "responses", asked.asked())
    if asked.stream:
        return done.events(responses.stream(asked, done.made))
    return done.json(responses.response(asked, done.made))


@make("/v1/images/generations", body=images.ImageRequest)
def generate_images(request: Request[images.ImageRequest]) -> Answer:
    """Create images from a prompt."""
    return _create_images_response(request, "images/generations", request.body)


@make("/v1/images/edits", raw_body=True)
def edit_images(request: Request[Nothing]) -> Answer:
    """Create images from images."""
    return _create_images_response(request, "images/edits", images.edit(compatible.form(request)))


@make("/v1/audio/speech", body=speech.SpeechRequest)
def speak(request: Request[speech.SpeechRequest]) -> Answer:
    """Create speech from a text."""
    done = compatible.make(request, "audio/speech", request.body.asked())
    return done.events(speech.stream(done.made)) if request.body.stream_format == "sse" else done.file()


@make("/v1/videos", raw_body=True)
def create_video(request: Request[Nothing]) -> Answer:
    """Begin a video."""
    return compatible.begun(request, "videos", compatible.order(request))


@read("/v1/videos", query=videos.VideoQuery)
def list_videos(request: Request[Nothing]) -> Answer:
    """List the workspace's videos, newest first."""
    return Answer(compatible.films(request, request.query), headers=compatible.pace(request))


@read("/v1/videos/<video_id>")
def get_video(request: Request[Nothing]) -> Answer:
    """Get a video in its current state."""
    generation = compatible.film(request, request.path["video_id"])
    return Answer(videos.video(generation), headers=compatible.pace(request))


@read("/v1/videos/<video_id>/content", query=videos.ContentQuery)
def get_content(request: Request[Nothing]) -> Answer:
    """A redirect to a video's file, or to its thumbnail."""
    return compatible.content(request, request.path["video_id"], request.query.variant)


def _create_images_response(request: Request[Any], path: str, asked: images.ImageRequest) -> Answer:
    done = compatible.make(request, path, asked.asked(), with_files=asked.wants_bytes)
    if asked.stream:
        return done.events(images.stream(asked, done.made))
    return done.json(images.pictures(asked, done.made))
