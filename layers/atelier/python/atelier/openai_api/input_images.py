"""Store the images of a request as assets of the workspace, so that they become inputs of the generation."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

from atelier.errors import PromptRefused, ValidationFailed
from atelier.generations.model import InputAsset
from atelier.openai_api.deps import RequestFacts, ServeDeps
from atelier.openai_api.request import InputFile, MappedRequest

# Bounds for images that a request gives by URL: bytes of each, and seconds for all of them together.
FETCH_BYTES_MAX = 10 * 1024 * 1024
FETCH_SECONDS_MAX = 6.0
# No input image is processed later than this after the request. An image that was begun before takes some seconds more,
# and the response still arrives in time.
INPUT_FILES_SECONDS_MAX = 12


def store_images(deps: ServeDeps, facts: RequestFacts, mapped: MappedRequest) -> Mapping[str, tuple[InputAsset, ...]]:
    """The images of a request as assets, by role. Raises ValidationFailed or PromptRefused, which name the request's
    parameter, and RateLimited when the account has too many images fetched at the same time."""
    files = [file for files in mapped.files.values() for file in files]
    seconds_max = FETCH_SECONDS_MAX / max(len(files), 1)
    fetches = any(file.url for file in files)
    with deps.outside_request(facts.caller.user_id) if fetches else nullcontext():
        return {
            role: tuple(_store_image(deps, facts, file, seconds_max) for file in files)
            for role, files in mapped.files.items()
        }


def _store_image(deps: ServeDeps, facts: RequestFacts, file: InputFile, fetch_seconds_max: float) -> InputAsset:
    """Store one image; the same bytes are stored once."""
    if (deps.clock() - facts.now).total_seconds() > INPUT_FILES_SECONDS_MAX:
        message = "takes too long to look into with the others: send fewer or smaller images"
        raise ValidationFailed([{"path": file.param, "message": message}])
    data = file.data or _fetch_image(deps, file, fetch_seconds_max)
    try:
        asset = deps.images()(facts.caller.workspace_id, facts.caller.user_id, data, file.param, facts.now)
    except PromptRefused as refusal:
        raise PromptRefused(file.param, refusal.facts["categories"], refusal.words) from None
    except ValidationFailed as refusal:
        fields: list[dict[str, str]] = refusal.facts["fields"]
        raise ValidationFailed([{**each, "path": file.param} for each in fields]) from None
    return InputAsset(asset.id, asset.sha256, asset.format, asset.width, asset.height, asset.duration_ms)


def _fetch_image(deps: ServeDeps, file: InputFile, seconds_max: float) -> bytes:
    found = deps.image_source().fetch_from_its_host(file.url or "", bytes_max=FETCH_BYTES_MAX, seconds_max=seconds_max)
    if found is None:
        raise ValidationFailed([{"path": file.param, "message": "cannot be fetched from there"}])
    return found
