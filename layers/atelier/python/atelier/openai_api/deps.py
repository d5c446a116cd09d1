"""What serving a request of `/v1` needs: the facts of the request, and the dependencies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from atelier.caller import Caller
from atelier.catalogue.schemas import ModelList
from atelier.clock import Clock
from atelier.dataclass import dataclass
from atelier.generations.create import CreateDeps
from atelier.identity.rate_limit import SparseLimiter
from atelier.openai_api.ports import ImageAssets, ImageSource, SdkRetries


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """The facts of a request beside its body. path: without `/v1/`. headers: by lower-case name. wait_seconds: the n of
    `Prefer: wait=n`."""

    caller: Caller
    path: str
    headers: Mapping[str, str]
    now: datetime
    idempotency_key: str | None = None
    wait_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class ServeDeps:
    """The dependencies of serving a request.

    create: those of creating a generation, with the catalogue and the routes of this moment. models: the model list of
    a workspace. outside_request(user_id): a context in which a request waits for a server that its caller has named;
    entering it raises RateLimited. images, image_source: only for requests that contain images. read_file(workspace_id,
    sha256, format): the bytes of a delivered file. store_body(key, body, content_type): stores a body that is too large
    for a response. content_types: by format. asset_urls: the signed paths of a file and of its thumbnail. signed_path:
    the signed path of a key. public_url: this deployment's address, without a trailing slash."""

    create: CreateDeps
    sdk_retries: SdkRetries
    limiter: SparseLimiter
    models: Callable[[str], ModelList]
    outside_request: Callable[[str], AbstractContextManager[None]]
    images: Callable[[], ImageAssets]
    image_source: Callable[[], ImageSource]
    read_file: Callable[[str, str, str], bytes]
    store_body: Callable[[str, bytes, str], None]
    content_types: Mapping[str, str]
    asset_urls: Callable[[str, str, str, datetime], tuple[str, str]]
    signed_path: Callable[[str, datetime], str]
    public_url: str
    clock: Clock


def rate_limit_headers(limiter: SparseLimiter, user_id: str, now: datetime) -> dict[str, str]:
    """The rate-limit headers in OpenAI's form, as far as this worker knows the account's requests."""
    return {
        "x-ratelimit-limit-requests": str(limiter.limit),
        "x-ratelimit-remaining-requests": str(limiter.remaining(f"account#{user_id}", now)),
        "x-ratelimit-reset-requests": f"{limiter.reset_seconds(now)}s",
    }
