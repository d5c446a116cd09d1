"""xAI: text, generating and editing images, and videos, which are polled for.

Facts that shape this file: the API is compatible with OpenAI's, but images have an aspect ratio and a resolution
instead of a size, and edits are JSON; every response reports its exact cost in ticks; results that break the rules are
made, withheld and billed; a wrong key is a 400 as often as a 401, and errors come in two forms; a 200 for a video may
say failed or expired; there is no webhook, no cancellation and no list of requests.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Unpack

from atelier.adapters.providers._http import HttpClient, Reply, failure_of
from atelier.adapters.providers._openai_compatible.adapter import OpenAICompatible, bearer
from atelier.adapters.providers._openai_compatible.errors import Problem
from atelier.adapters.providers._openai_compatible.job import data_url, images_of, preset_fields, prompt_with_exclusions
from atelier.adapters.providers._openai_compatible.values import JsonObject, as_count, as_object
from atelier.adapters.providers._queued_jobs import poll_outcome
from atelier.provider_keys.model import ProviderCredentials
from atelier.provider_port import (
    Accepted,
    AdapterOptions,
    Done,
    ErrorClass,
    Failed,
    Input,
    Job,
    ListedModel,
    Output,
    Pending,
    PollOutcome,
    SubmitOutcome,
    Unknown,
)

TICKS_PER_MICROUSD = 10_000
IMAGE_RATIOS = (
    *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2"),
    *("9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1"),
)
VIDEO_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3")
# Images whose longer side has up to this many pixels are made at 1k. Below: the resolution of a video by its shorter
# side.
IMAGE_1K_SIDE_MAX = 1536
VIDEO_HEIGHTS = ((480, "480p"), (720, "720p"))
REFERENCE = re.compile(r"[A-Za-z0-9_-]{1,128}")


def create_adapter(
    credentials: ProviderCredentials, local_hosts: frozenset[str], **options: Unpack[AdapterOptions]
) -> XAI:
    """The adapter with these credentials; see AdapterFactory in registry.py."""
    return XAI(api_key=credentials.key, **options)


class XAI(OpenAICompatible):
    """The adapter for xAI. `api` in a model's settings: chat, responses, images (which edits when the job has an input
    image) or videos."""

    tokens_max_field = "max_completion_tokens"

    def __init__(
        self, *, api_key: str, base_url: str = "https://api.x.ai/v1", answer_seconds_max: float = 50.0
    ) -> None:
        super().__init__(HttpClient(base_url, bearer(api_key), answer_seconds_max=answer_seconds_max))

    def poll(self, reference: str, job: Job) -> PollOutcome:
        if not REFERENCE.fullmatch(reference):
            return failure_of(ErrorClass.UNKNOWN_OUTCOME)
        return poll_outcome(lambda: self._wire.request("GET", f"/videos/{reference}"), self._video_outcome)

    def check(self) -> Failed | None:
        reply = self._get("/api-key")
        if isinstance(reply, Failed):
            return reply
        if not reply.ok:
            return self._failure_from_reply(reply)
        key_info = reply.json()
        is_disabled = any(
            key_info.get(f"{what}_{how}") is True for what in ("api_key", "team") for how in ("blocked", "disabled")
        )
        return failure_of(ErrorClass.AUTH) if is_disabled else None

    def models(self) -> tuple[ListedModel, ...] | None:
        # xAI's list of models has no shutdown dates.
        return None

    def _api_methods(self) -> dict[str, Callable[[Job], SubmitOutcome]]:
        return {"chat": self._chat, "responses": self._respond, "images": self._images, "videos": self._videos}

    def _cost_microusd(self, answer: JsonObject) -> int | None:
        ticks = as_count(as_object(answer.get("usage")).get("cost_in_usd_ticks"))
        return None if ticks is None else -(-ticks // TICKS_PER_MICROUSD)

    # ---- images ------------------------------------------------------------------------------------------------------

    def _images(self, job: Job) -> SubmitOutcome:
        # The default is a temporary URL; base64 needs no second request, and nobody else can fetch it.
        body: JsonObject = {
            "response_format": "b64_json",
            **preset_fields(job),
            "model": job.settings["model"],
            "prompt": prompt_with_exclusions(job),
            **self._image_options(job),
        }
        images = [_image_field(picture) for picture in images_of(job)]
        if len(images) == 1:
            body["image"] = images[0]
        elif images:
            body["images"] = images
        path = "/images/edits" if images else "/images/generations"
        return self._request_json(path, self._read_images, body=body)

    def _image_options(self, job: Job) -> JsonObject:
        parameters = job.parameters
        options = {name: parameters[name] for name in ("n", "quality") if parameters.get(name) is not None}
        width, height = parameters.get("width"), parameters.get("height")
        if width and height:
            options["aspect_ratio"] = nearest_ratio(width, height, IMAGE_RATIOS)
            options["resolution"] = "1k" if max(width, height) <= IMAGE_1K_SIDE_MAX else "2k"
        return options | _ratio_and_resolution(job)

    def _read_images(self, answer: JsonObject) -> SubmitOutcome:
        outcome = super()._read_images(answer)
        if isinstance(outcome, Failed) and answer.get("data") == [] and self._cost_microusd(answer):
            # An empty list with a cost means that all images were withheld by moderation.
            return failure_of(ErrorClass.MODERATED_BILLED, usage=outcome.usage, cost_microusd=outcome.cost_microusd)
        return outcome

    # ---- videos ------------------------------------------------------------------------------------------------------

    def _videos(self, job: Job) -> SubmitOutcome:
        parameters = job.parameters
        body: JsonObject = {**preset_fields(job), "model": job.settings["model"], "prompt": prompt_with_exclusions(job)}
        if parameters.get("duration_seconds"):
            body["duration"] = parameters["duration_seconds"]
        width, height = parameters.get("width"), parameters.get("height")
        if width and height:
            body["aspect_ratio"] = nearest_ratio(width, height, VIDEO_RATIOS)
            body["resolution"] = next((name for most, name in VIDEO_HEIGHTS if min(width, height) <= most), "1080p")
        body |= _ratio_and_resolution(job)
        first_images = job.inputs.get("image", ())
        if first_images:
            body["image"] = _image_field(first_images[0])
        references = [_image_field(picture) for picture in job.inputs.get("reference", ())]
        if references:
            body["reference_images"] = references

        def read(answer: JsonObject) -> SubmitOutcome:
            reference = answer.get("request_id")
            if isinstance(reference, str) and REFERENCE.fullmatch(reference):
                return Accepted(reference)
            return Unknown("the creation was answered without an id")

        return self._request_json("/videos/generations", read, body=body)

    def _video_outcome(self, reply: Reply) -> PollOutcome:
        answer = reply.json()
        progress = as_count(answer.get("progress")) or 0
        if reply.status == 202:
            return Pending(min(progress, 99))
        video, cost = as_object(answer.get("video")), self._cost_microusd(answer)
        seconds = video.get("duration")
        has_duration = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds < 10**5
        usage = (
            {"output_milliseconds": math.ceil(seconds * 1000)}
            if has_duration and isinstance(seconds, int | float)
            else {}
        )

        match answer.get("status"):
            case "pending" | "queued" | "processing" | "in_progress":
                return Pending(min(progress, 99))
            case "done":
                url = video.get("url")
                if video.get("respect_moderation") is False:
                    return failure_of(ErrorClass.MODERATED_BILLED, usage=usage, cost_microusd=cost)
                if isinstance(url, str) and url:
                    return Done((Output(url=url, content_type="video/mp4"),), usage, cost)
                return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost)
            case "failed":
                problem = Problem.from_body(200, answer)
                billed = problem.error_class is ErrorClass.MODERATED and bool(cost)
                error_class = ErrorClass.MODERATED_BILLED if billed else problem.error_class
                return problem.to_failed(error_class, usage=usage, cost_microusd=cost)
            case "expired":
                return failure_of(ErrorClass.TIMEOUT_STARTED, usage=usage, cost_microusd=cost)
            case status:
                return Unknown(f"status {str(status)[:40]}")


def nearest_ratio(width: int, height: int, ratios: tuple[str, ...]) -> str:
    """The ratio in `ratios` that is nearest to width : height, by the factor that one side would have to grow."""

    def distance(ratio: str) -> float:
        across, down = ratio.split(":")
        return abs(math.log(width / height) - math.log(float(across) / float(down)))

    return min(ratios, key=distance)


def _ratio_and_resolution(job: Job) -> JsonObject:
    """The parameters that the caller gave under xAI's own names."""
    return {name: job.parameters[name] for name in ("aspect_ratio", "resolution") if job.parameters.get(name)}


def _image_field(image: Input) -> JsonObject:
    return {"url": image.url or data_url(image)}
