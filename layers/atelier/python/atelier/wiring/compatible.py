"""`/v1`, composed: requests in OpenAI's format become generations, are waited for, and are answered in its format."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from atelier.clock import system_clock
from atelier.compatible import errors, events, models, naming, videos
from atelier.compatible.asked import Asked, File, adjusted, fitted
from atelier.compatible.errors import ModelNotFound, StillRunning, undelivered
from atelier.compatible.form import Part, parts
from atelier.compatible.made import Made
from atelier.compatible.tries import Call, Order, accepted
from atelier.errors import AtelierError, NotFound, PromptRefused, ValidationFailed
from atelier.generations.model import Generation, Kind, Source, Status
from atelier.generations.ports import Filters
from atelier.generations.submit import Accepted
from atelier.http import Answer, Refusal, Request, parsed
from atelier.ids import is_id
from atelier.media.keys import CONTENT_TYPES, media_key
from atelier.pricing.model import Model
from atelier.settings import Deployment, MediaStore, RequestsTable
from atelier.wiring import admission, generations, media_urls, routing, waiting
from atelier.wiring.models import listing
from atelier.wiring.sunsets import routed

# Bounds of request and response bodies. Lambda allows 6 MB for each, with binary content in base64 (4/3 of its size).
BODY_BYTES_MAX = 4_400_000
ANSWER_BYTES_MAX = 5_500_000
SOUND_BYTES_MAX = 4_000_000
# The gateway's time-out is 29 s. The result has to be read and the response written in the time that is left after the
# wait; a response after `GATEWAY_SECONDS` does not reach the client.
WAIT_SECONDS = 24
GATEWAY_SECONDS = 28
FILE_BYTES_MAX = 50 * 1024 * 1024
# Bounds for images that a request gives by URL: bytes of each, and seconds for all of them together.
FETCH_BYTES_MAX = 10 * 1024 * 1024
FETCH_SECONDS_MAX = 6.0
# No input image is processed later than this after the request. An image that was begun before takes some seconds more,
# and the response still arrives in time.
LOOKING_SECONDS_MAX = 12


def refusal(error: AtelierError, _request_id: str) -> Refusal:
    """An error as a response in OpenAI's format."""
    return Refusal(errors.body(error), errors.headers(error), errors.status(error))


def form(request: Request[Any]) -> list[Part]:
    """The parts of a multipart body."""
    return parts(request.raw_body, request.headers.get("content-type", ""))


@dataclass(frozen=True, slots=True)
class Done:
    """The result of a request, with methods that build the response in each format."""

    made: Made
    headers: dict[str, str]
    now: datetime

    def json(self, body: dict[str, Any]) -> Answer:
        """The response as a JSON object. An object that is too large for the gateway is stored for a while, and the
        response redirects to it: SDKs follow redirects."""
        written = json.dumps(body, separators=(",", ":")).encode()
        if len(written) > ANSWER_BYTES_MAX:
            return self._redirect_to_stored(written, "json", "application/json")
        return Answer(body, headers=self.headers)

    def events(self, stream: bytes) -> Answer:
        """The response as a stream of server-sent events, sent in one piece."""
        if len(stream) > SOUND_BYTES_MAX:
            return self._redirect_to_stored(stream, "txt", events.CONTENT_TYPE)
        return Answer(stream, headers={**self.headers, "Content-Type": events.CONTENT_TYPE})

    def file(self) -> Answer:
        """The response as the bytes of the file, or as a redirect to a file that is too large."""
        first = self.made.generation.assets[0]
        if first.size_bytes > SOUND_BYTES_MAX:
            return moved(self.made.urls[0].removeprefix(Deployment.read().public_url), self.headers)
        return Answer(self.made.files[0], headers={**self.headers, "Content-Type": CONTENT_TYPES[first.format]})

    def _redirect_to_stored(self, body: bytes, suffix: str, content_type: str) -> Answer:
        generation = self.made.generation
        key = f"media/answers/{generation.workspace_id}/{generation.id}.{suffix}"
        _media().put(key, body, content_type)
        return moved(media_urls.signed(key, self.now), self.headers)


def moved(path: str, headers: dict[str, str], status: int = 303) -> Answer:
    """A redirect to a path on this deployment's own address."""
    return Answer({}, status=status, headers={**headers, "Location": path})


def make(request: Request[Any], path: str, asked: Asked, *, with_files: bool = True) -> Done:
    """Create a generation and wait for its result. Raises StillRunning when the result is not there before the
    gateway's time-out, and the errors of a generation that ended without one."""
    begun_generation = begin(request, path, asked)
    headers = begun_generation.headers
    timeout_seconds = WAIT_SECONDS if request.wait_seconds is None else min(request.wait_seconds, WAIT_SECONDS)
    generation = generations.wait(begun_generation.order.generation, timeout_seconds, request.now)
    headers["atelier-generation-id"] = generation.id
    if generation.is_open:
        age = (system_clock() - generation.created_at).total_seconds()
        waited = (system_clock() - request.now).total_seconds() >= timeout_seconds
        agent = request.headers.get("user-agent", "")
        raise StillRunning(generation.id, age_seconds=age, user_agent=agent, waited=waited)
    if generation.status is Status.CANCELLED:
        begun_generation.answered()
    if generation.status is not Status.SUCCEEDED:
        error = undelivered(generation)
        # Under the caller's own idempotency key this failure is final: a repetition gets the same generation.
        error.facts["final"] = begun_generation.call.own_key is not None
        if error.facts.get("provider_code") == errors.TOO_LONG:
            error.facts["param"] = asked.names.get("prompt", "prompt")
        raise error
    result = _read_result(generation, request.now, with_files=with_files)
    headers["atelier-credits-charged"] = str(generation.credits_charged)
    headers["atelier-cost-microusd"] = str(generation.cost_microusd)
    taken = system_clock() - request.now
    headers["openai-processing-ms"] = str(round(taken.total_seconds() * 1000))
    if taken.total_seconds() < GATEWAY_SECONDS:
        begun_generation.answered()
    return Done(result, headers, request.now)


@dataclass(frozen=True, slots=True)
class Begun:
    """A generation that was accepted for a call, and the response headers about it."""

    call: Call
    order: Order
    headers: dict[str, str]

    def answered(self) -> None:
        """Record that the result has been sent, so that the same request makes a new generation from now on."""
        _sdk_retries().answered(self.call.workspace_id, self.call.fingerprint, self.order.name)


def begin(request: Request[Any], path: str, asked: Asked) -> Begun:
    """Accept a generation for a request, or find the one that an earlier try of the same SDK call began."""
    caller, now, original = request.caller, request.now, asked
    model = naming.meant(asked.model, routed(now).data)
    if model is None:
        raise _model_not_found(request, asked, "there is none of that name.")
    try:
        asked, ignored = fitted(replace(original, model=model), _candidate_models(asked.kind, model, caller.workspace_id, now))
        timeout_seconds = FETCH_SECONDS_MAX / max(sum(map(len, asked.files.values())), 1)
        fetches = any(file.url for files in asked.files.values() for file in files)
        with waiting.request_to_others(caller.user_id) if fetches else nullcontext():
            input_assets = {
                role: tuple(_store_image(request, file, timeout_seconds) for file in files) for role, files in asked.files.items()
            }
        recipe = asked.recipe(input_assets)
        project = request.headers.get("openai-project", "")
        call = Call(
            caller.workspace_id,
            caller.user_id,
            path,
            recipe,
            request.headers,
            key=request.idempotency_key,
            token_id=caller.token_id,
            project_id=project if is_id(project, "prj") else None,
        )

        def submit(name: str) -> Accepted:
            return generations.submit(caller, recipe, name, now, project_id=call.project_id)

        order = accepted(call, submit, _sdk_retries(), now)
    except ValidationFailed as error:
        model_message = next((each["message"] for each in error.facts["fields"] if each["path"] == "model"), None)
        raise (_model_not_found(request, asked, model_message) if model_message else asked.refused(error)) from error
    headers = pace(request)
    adjusted_names, ignored_values = adjusted(original, order.generation.recipe.parameters)
    ignored = (*ignored, *ignored_values)
    if adjusted_names:
        headers["atelier-adjusted-parameters"] = ", ".join(adjusted_names)
    if ignored:
        headers["atelier-ignored-parameters"] = ", ".join(ignored)
    if order.replayed:
        headers["Idempotent-Replayed"] = "true"
    return Begun(call, order, headers)


def order(request: Request[Any]) -> Asked:
    """Parse the request for a video: a multipart form (which SDKs send) or JSON."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return videos.ordered(form(request)).asked()
    return parsed(videos.VideoRequest, request).asked()


def begun(request: Request[Any], path: str, asked: Asked) -> Answer:
    """Begin a video, and answer with its current state."""
    begun_generation = begin(request, path, asked)
    generation = begun_generation.order.generation
    begun_generation.answered()
    return Answer(videos.video(generation), headers={**begun_generation.headers, "atelier-generation-id": generation.id})


def film(request: Request[Any], video_id: str) -> Generation:
    """A video generation of the workspace. Raises NotFound, for generations of other kinds too."""
    generation = generations.store().get(request.caller.workspace_id, videos.generation_id(video_id))
    if generation.recipe.kind is not Kind.VIDEO:
        raise NotFound("There is no such video.")
    return generation


def films(request: Request[Any], query: videos.VideoQuery) -> dict[str, Any]:
    """A page of the workspace's videos, newest first."""
    filters = Filters(kind=Kind.VIDEO.value)
    page = generations.page(request.caller.workspace_id, filters, videos.after(query), query.limit)
    return videos.listing(page.generations, more=page.next_id is not None)


def content(request: Request[Any], video_id: str, variant: str) -> Answer:
    """A redirect to a video's file, or to its thumbnail. Raises NotReady, NotFound."""
    generation = film(request, video_id)
    file = videos.film(generation)
    path, thumbnail_path = media_urls.urls(generation.workspace_id, file.sha256, file.format, request.now)
    if variant != "video" and not file.has_thumbnail:
        raise NotFound("This video has no thumbnail.")
    return moved(path if variant == "video" else thumbnail_path, {"atelier-generation-id": generation.id}, status=302)


def catalogue(request: Request[Any]) -> dict[str, Any]:
    """The list of models that this workspace can use, in OpenAI's format."""
    return models.listing(listing(request.caller.workspace_id, None, request.now))


def model(request: Request[Any], name: str) -> dict[str, Any]:
    """One model in OpenAI's format. Raises ModelNotFound."""
    models_by_id = {each["id"]: each for each in catalogue(request)["data"]}
    resolved = naming.meant(name, routed(request.now).data)
    if resolved not in models_by_id:
        raise ModelNotFound(name, "it is not offered here.", list(models_by_id))
    return models_by_id[resolved]


def _candidate_models(kind: Kind, model: str, workspace_id: str, now: datetime) -> list[Model]:
    platform = routed(now)
    if model != naming.AUTO:
        return [platform.model(model)]
    return list(routing.routes(workspace_id, now).catalogue(platform).automatic(kind, now.date()))


def _model_not_found(request: Request[Any], mapped: Asked, why: str) -> ModelNotFound:
    offered = models.offered(listing(request.caller.workspace_id, None, request.now), mapped.kind.value)
    return ModelNotFound(mapped.model, why, models.names(offered))


def _store_image(request: Request[Any], file: File, fetch_seconds_max: float) -> Source:
    """Store an image of a request as an asset of the workspace; the same bytes are stored once. Raises ValidationFailed
    or PromptRefused, which name the request's parameter."""
    from atelier.wiring import uploads

    if (system_clock() - request.now).total_seconds() > LOOKING_SECONDS_MAX:
        message = "takes too long to look into with the others: send fewer or smaller pictures"
        raise ValidationFailed([{"path": file.param, "message": message}])
    caller, data = request.caller, file.data or _fetch_image(file, fetch_seconds_max)
    try:
        asset = uploads.keep(caller.workspace_id, caller.user_id, data, file.param, request.now)
    except PromptRefused as refusal:
        raise PromptRefused(file.param, refusal.facts["categories"], refusal.words) from None
    except ValidationFailed as refusal:
        fields: list[dict[str, str]] = refusal.facts["fields"]
        raise ValidationFailed([{**each, "path": file.param} for each in fields]) from None
    return Source(asset.id, asset.sha256, asset.format, asset.width, asset.height, asset.duration_ms)


def _fetch_image(file: File, seconds_max: float) -> bytes:
    from atelier.media.fetch import Fetcher, FetchError

    url = file.url or ""
    try:
        host = urlsplit(url).hostname or ""
        return Fetcher().fetch(url, hosts=(host,), bytes_max=FETCH_BYTES_MAX, seconds_max=seconds_max)
    except (FetchError, ValueError):
        raise ValidationFailed([{"path": file.param, "message": "cannot be fetched from there"}]) from None


def _read_result(generation: Generation, now: datetime, *, with_files: bool) -> Made:
    workspace_id, assets = generation.workspace_id, generation.assets
    if generation.recipe.kind is Kind.TEXT:
        return Made(generation, text=generations.text(generation) or "")
    base = Deployment.read().public_url
    urls = tuple(base + media_urls.urls(workspace_id, each.sha256, each.format, now)[0] for each in assets)
    if not with_files:
        return Made(generation, urls=urls)
    keys = [media_key(workspace_id, each.sha256, each.format) for each in assets]
    return Made(generation, files=tuple(_media().get(key, FILE_BYTES_MAX) for key in keys), urls=urls)


def pace(request: Request[Any]) -> dict[str, str]:
    """The rate-limit headers in OpenAI's format."""
    limit, remaining, reset_seconds = admission.allowance(request.caller, request.now)
    return {
        "x-ratelimit-limit-requests": str(limit),
        "x-ratelimit-remaining-requests": str(remaining),
        "x-ratelimit-reset-requests": f"{reset_seconds}s",
    }


@cache
def _media() -> Any:
    from atelier.aws.s3 import MediaStore as S3MediaStore

    return S3MediaStore(MediaStore.read().bucket)


@cache
def _sdk_retries() -> Any:
    from atelier.aws.dynamodb.tries import DynamoTries

    DynamoTries.bind(RequestsTable.read().name)
    return DynamoTries()
