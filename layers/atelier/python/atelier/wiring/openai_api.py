"""`/v1`, composed: requests in OpenAI's format become generations, are waited for, and are answered in its format."""

from __future__ import annotations

import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from atelier.adapters.media.keys import CONTENT_TYPES, media_key
from atelier.catalogue.model import Model
from atelier.clock import system_clock
from atelier.errors import NotFound, PromptRefused, ValidationFailed
from atelier.generations.create import accept
from atelier.generations.model import Generation, InputAsset, Kind, Status
from atelier.generations.ports import Filters
from atelier.generations.present import list_page
from atelier.generations.submit import AcceptedGeneration
from atelier.http.request import Request, parse_json_body
from atelier.http.response import Response
from atelier.ids import is_id
from atelier.openai_api import errors, model_names, models, sse, videos
from atelier.openai_api.errors import GenerationInProgress, ModelNotFound, generation_error
from atelier.openai_api.multipart import FormPart, parse_multipart
from atelier.openai_api.request import InputFile, MappedRequest, compare_with_generation, fit_to_models
from atelier.openai_api.result import Result
from atelier.openai_api.sdk_retries import Call, Order, accept_once
from atelier.settings import Deployment, MediaBucket, RequestsTable
from atelier.wiring import auth, generations, media_urls, routing, waiting
from atelier.wiring.models import list_models
from atelier.wiring.sunsets import routing_catalogue

# Bounds of request and response bodies. Lambda allows 6 MB for each, with binary content in base64 (4/3 of its size).
BODY_BYTES_MAX = 4_400_000
ANSWER_BYTES_MAX = 5_500_000
BINARY_BYTES_MAX = 4_000_000
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
INPUT_FILES_SECONDS_MAX = 12


def form_parts(request: Request[Any]) -> list[FormPart]:
    """The parts of a multipart body."""
    return parse_multipart(request.raw_body, request.headers.get("content-type", ""))


@dataclass(frozen=True, slots=True)
class Served:
    """The result of a request, with methods that build the response in each format."""

    result: Result
    headers: dict[str, str]
    now: datetime

    def json(self, body: dict[str, Any]) -> Response:
        """The response as a JSON object. An object that is too large for the gateway is stored for a while, and the
        response redirects to it: SDKs follow redirects."""
        written = json.dumps(body, separators=(",", ":")).encode()
        if len(written) > ANSWER_BYTES_MAX:
            return self._redirect_to_stored(written, "json", "application/json")
        return Response(body, headers=self.headers)

    def events(self, stream: bytes) -> Response:
        """The response as a stream of server-sent events, sent in one piece."""
        if len(stream) > BINARY_BYTES_MAX:
            return self._redirect_to_stored(stream, "txt", sse.CONTENT_TYPE)
        return Response(stream, headers={**self.headers, "Content-Type": sse.CONTENT_TYPE})

    def file(self) -> Response:
        """The response as the bytes of the file, or as a redirect to a file that is too large."""
        first = self.result.generation.assets[0]
        if first.size_bytes > BINARY_BYTES_MAX:
            return redirect(self.result.urls[0].removeprefix(Deployment.read().public_url), self.headers)
        return Response(self.result.files[0], headers={**self.headers, "Content-Type": CONTENT_TYPES[first.format]})

    def _redirect_to_stored(self, body: bytes, suffix: str, content_type: str) -> Response:
        generation = self.result.generation
        key = f"media/answers/{generation.workspace_id}/{generation.id}.{suffix}"
        _media().put(key, body, content_type)
        return redirect(media_urls.signed_url(key, self.now), self.headers)


def redirect(path: str, headers: dict[str, str], status: int = 303) -> Response:
    """A redirect to a path on this deployment's own address."""
    return Response({}, status=status, headers={**headers, "Location": path})


def create_and_wait(request: Request[Any], path: str, mapped: MappedRequest, *, with_files: bool = True) -> Served:
    """Create a generation and wait for its result. Raises StillRunning when the result is not there before the
    gateway's time-out, and the errors of a generation that ended without one."""
    begun_generation = begin_generation(request, path, mapped)
    headers = begun_generation.headers
    timeout_seconds = WAIT_SECONDS if request.wait_seconds is None else min(request.wait_seconds, WAIT_SECONDS)
    generation = generations.wait(begun_generation.order.generation, timeout_seconds, request.now)
    headers["atelier-generation-id"] = generation.id
    if generation.is_open:
        age = (system_clock() - generation.created_at).total_seconds()
        waited = (system_clock() - request.now).total_seconds() >= timeout_seconds
        agent = request.headers.get("user-agent", "")
        raise GenerationInProgress(generation.id, age_seconds=age, user_agent=agent, waited=waited)
    if generation.status is Status.CANCELLED:
        begun_generation.mark_answered()
    if generation.status is not Status.SUCCEEDED:
        error = generation_error(generation)
        # Under the caller's own idempotency key this failure is final: a repetition gets the same generation.
        error.facts["final"] = begun_generation.call.caller_key is not None
        if error.facts.get("provider_code") == errors.CONTEXT_TOO_LONG:
            error.facts["param"] = mapped.field_names.get("prompt", "prompt")
        raise error
    result = _read_result(generation, request.now, with_files=with_files)
    headers["atelier-credits-charged"] = str(generation.credits_charged)
    headers["atelier-cost-microusd"] = str(generation.cost_microusd)
    taken = system_clock() - request.now
    headers["openai-processing-ms"] = str(round(taken.total_seconds() * 1000))
    if taken.total_seconds() < GATEWAY_SECONDS:
        begun_generation.mark_answered()
    return Served(result, headers, request.now)


@dataclass(frozen=True, slots=True)
class BegunGeneration:
    """A generation that was accepted for a call, and the response headers about it."""

    call: Call
    order: Order
    headers: dict[str, str]

    def mark_answered(self) -> None:
        """Record that the result has been sent, so that the same request makes a new generation from now on."""
        _sdk_retries().mark_answered(self.call.workspace_id, self.call.fingerprint, self.order.name)


def begin_generation(request: Request[Any], path: str, mapped: MappedRequest) -> BegunGeneration:
    """Accept a generation for a request, or find the one that an earlier try of the same SDK call began."""
    caller, now, original = request.caller, request.now, mapped
    model = model_names.resolve(mapped.model, routing_catalogue(now).data)
    if model is None:
        raise _model_not_found(request, mapped, "there is none of that name.")
    try:
        mapped, ignored = fit_to_models(
            replace(original, model=model), _candidate_models(mapped.kind, model, caller.workspace_id, now)
        )
        timeout_seconds = FETCH_SECONDS_MAX / max(sum(map(len, mapped.files.values())), 1)
        fetches = any(file.url for files in mapped.files.values() for file in files)
        with waiting.bounded_outside_request(caller.user_id) if fetches else nullcontext():
            input_assets = {
                role: tuple(_store_image(request, file, timeout_seconds) for file in files)
                for role, files in mapped.files.items()
            }
        recipe = mapped.to_recipe(input_assets)
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

        def submit(name: str) -> AcceptedGeneration:
            deps = generations.create_deps(now)
            return accept(deps, caller, recipe, name, now, project_id=call.project_id)

        order = accept_once(call, submit, _sdk_retries(), now)
    except ValidationFailed as error:
        model_message = next((each["message"] for each in error.facts["fields"] if each["path"] == "model"), None)
        raise (
            _model_not_found(request, mapped, model_message) if model_message else mapped.translate_error(error)
        ) from error
    headers = rate_limit_headers(request)
    adjusted_names, ignored_values = compare_with_generation(original, order.generation.recipe.parameters)
    ignored = (*ignored, *ignored_values)
    if adjusted_names:
        headers["atelier-adjusted-parameters"] = ", ".join(adjusted_names)
    if ignored:
        headers["atelier-ignored-parameters"] = ", ".join(ignored)
    if order.replayed:
        headers["Idempotent-Replayed"] = "true"
    return BegunGeneration(call, order, headers)


def parse_video_request(request: Request[Any]) -> MappedRequest:
    """Parse the request for a video: a multipart form (which SDKs send) or JSON."""
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        return videos.parse_video_form(form_parts(request)).to_mapped_request()
    return parse_json_body(videos.VideoRequest, request).to_mapped_request()


def begin_video(request: Request[Any], path: str, mapped: MappedRequest) -> Response:
    """Begin a video, and answer with its current state."""
    begun_generation = begin_generation(request, path, mapped)
    generation = begun_generation.order.generation
    begun_generation.mark_answered()
    return Response(
        videos.video_body(generation), headers={**begun_generation.headers, "atelier-generation-id": generation.id}
    )


def get_video(request: Request[Any], video_id: str) -> Generation:
    """A video generation of the workspace. Raises NotFound, for generations of other kinds too."""
    generation = generations.store().get(request.caller.workspace_id, videos.generation_id(video_id))
    if generation.recipe.kind is not Kind.VIDEO:
        raise NotFound("There is no such video.")
    return generation


def list_videos(request: Request[Any], query: videos.VideoQuery) -> dict[str, Any]:
    """A page of the workspace's videos, newest first."""
    filters = Filters(kind=Kind.VIDEO.value)
    workspace_id, after_id = request.caller.workspace_id, videos.page_start(query)
    page = list_page(generations.store(), workspace_id, filters, after_id, query.limit)
    return videos.list_body(page.generations, has_more=page.next_id is not None)


def video_content(request: Request[Any], video_id: str, variant: str) -> Response:
    """A redirect to a video's file, or to its thumbnail. Raises NotReady, NotFound."""
    generation = get_video(request, video_id)
    file = videos.video_file(generation)
    path, thumbnail_path = media_urls.asset_urls(generation.workspace_id, file.sha256, file.format, request.now)
    if variant != "video" and not file.has_thumbnail:
        raise NotFound("This video has no thumbnail.")
    return redirect(
        path if variant == "video" else thumbnail_path, {"atelier-generation-id": generation.id}, status=302
    )


def model_list(request: Request[Any]) -> dict[str, Any]:
    """The list of models that this workspace can use, in OpenAI's format."""
    return models.list_body(list_models(request.caller.workspace_id, None, request.now))


def get_model(request: Request[Any], name: str) -> dict[str, Any]:
    """One model in OpenAI's format. Raises ModelNotFound."""
    models_by_id = {each["id"]: each for each in model_list(request)["data"]}
    resolved = model_names.resolve(name, routing_catalogue(request.now).data)
    if resolved not in models_by_id:
        raise ModelNotFound(name, "it is not offered here.", list(models_by_id))
    return models_by_id[resolved]


def _candidate_models(kind: Kind, model: str, workspace_id: str, now: datetime) -> list[Model]:
    platform = routing_catalogue(now)
    if model != model_names.AUTO:
        return [platform.model(model)]
    return list(routing.routes(workspace_id, now).catalogue(platform).auto_models(kind, now.date()))


def _model_not_found(request: Request[Any], mapped: MappedRequest, why: str) -> ModelNotFound:
    offered = models.offered_models(list_models(request.caller.workspace_id, None, request.now), mapped.kind.value)
    return ModelNotFound(mapped.model, why, models.model_choices(offered))


def _store_image(request: Request[Any], file: InputFile, fetch_seconds_max: float) -> InputAsset:
    """Store an image of a request as an asset of the workspace; the same bytes are stored once. Raises ValidationFailed
    or PromptRefused, which name the request's parameter."""
    from atelier.wiring import uploads

    if (system_clock() - request.now).total_seconds() > INPUT_FILES_SECONDS_MAX:
        message = "takes too long to look into with the others: send fewer or smaller images"
        raise ValidationFailed([{"path": file.param, "message": message}])
    caller, data = request.caller, file.data or _fetch_image(file, fetch_seconds_max)
    try:
        asset = uploads.keep(caller.workspace_id, caller.user_id, data, file.param, request.now)
    except PromptRefused as refusal:
        raise PromptRefused(file.param, refusal.facts["categories"], refusal.words) from None
    except ValidationFailed as refusal:
        fields: list[dict[str, str]] = refusal.facts["fields"]
        raise ValidationFailed([{**each, "path": file.param} for each in fields]) from None
    return InputAsset(asset.id, asset.sha256, asset.format, asset.width, asset.height, asset.duration_ms)


def _fetch_image(file: InputFile, seconds_max: float) -> bytes:
    from atelier.adapters.media.fetch import Fetcher, FetchError

    url = file.url or ""
    try:
        host = urlsplit(url).hostname or ""
        return Fetcher().fetch(url, hosts=(host,), bytes_max=FETCH_BYTES_MAX, seconds_max=seconds_max)
    except (FetchError, ValueError):
        raise ValidationFailed([{"path": file.param, "message": "cannot be fetched from there"}]) from None


def _read_result(generation: Generation, now: datetime, *, with_files: bool) -> Result:
    workspace_id, assets = generation.workspace_id, generation.assets
    if generation.recipe.kind is Kind.TEXT:
        return Result(generation, text=generations.read_text(generation) or "")
    base = Deployment.read().public_url
    urls = tuple(base + media_urls.asset_urls(workspace_id, each.sha256, each.format, now)[0] for each in assets)
    if not with_files:
        return Result(generation, urls=urls)
    keys = [media_key(workspace_id, each.sha256, each.format) for each in assets]
    return Result(generation, files=tuple(_media().get(key, FILE_BYTES_MAX) for key in keys), urls=urls)


def rate_limit_headers(request: Request[Any]) -> dict[str, str]:
    """The rate-limit headers in OpenAI's format."""
    limiter = auth.limiter()
    return {
        "x-ratelimit-limit-requests": str(limiter.limit),
        "x-ratelimit-remaining-requests": str(limiter.remaining(f"account#{request.caller.user_id}", request.now)),
        "x-ratelimit-reset-requests": f"{limiter.reset_seconds(request.now)}s",
    }


@cache
def _media() -> Any:
    from atelier.adapters.aws.s3 import MediaStore as S3MediaStore

    return S3MediaStore(MediaBucket.read().bucket)


@cache
def _sdk_retries() -> Any:
    from atelier.adapters.aws.dynamodb.sdk_retries import DynamoSdkRetries

    DynamoSdkRetries.bind(RequestsTable.read().name)
    return DynamoSdkRetries()
