"""Serve a request of `/v1`: begin its generation, wait for the result, and give it in OpenAI's form."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from atelier.dataclass import dataclass
from atelier.errors import AtelierError
from atelier.generations.model import Generation, Kind, Status
from atelier.openai_api import errors, sse
from atelier.openai_api.begin import BegunGeneration, begin_generation
from atelier.openai_api.deps import RequestFacts, ServeDeps
from atelier.openai_api.errors import GenerationInProgress, generation_error
from atelier.openai_api.request import MappedRequest
from atelier.openai_api.result import Result

# Bounds of response bodies. Lambda allows 6 MB, with binary content in base64 (4/3 of its size).
ANSWER_BYTES_MAX = 5_500_000
BINARY_BYTES_MAX = 4_000_000
# The gateway's time-out is 29 s. The result has to be read and the response written in the time that is left after the
# wait; a response after `GATEWAY_SECONDS` does not reach the client.
WAIT_SECONDS = 24
GATEWAY_SECONDS = 28


@dataclass(frozen=True, slots=True)
class Body:
    """A response: a JSON object or bytes, its status and its headers."""

    data: dict[str, Any] | bytes
    headers: dict[str, str]
    status: int = 200


def redirect(path: str, headers: dict[str, str], status: int = 303) -> Body:
    """A redirect to a path on this deployment's own address."""
    return Body({}, {**headers, "Location": path}, status)


@dataclass(frozen=True, slots=True)
class Served:
    """The result of a request, with methods that build the response in each format."""

    result: Result
    headers: dict[str, str]
    now: datetime
    deps: ServeDeps

    def json(self, body: dict[str, Any]) -> Body:
        """The response as a JSON object. An object that is too large for the gateway is stored for a while, and the
        response redirects to it: SDKs follow redirects."""
        text = json.dumps(body, separators=(",", ":")).encode()
        if len(text) > ANSWER_BYTES_MAX:
            return self._redirect_to_stored(text, "json", "application/json")
        return Body(body, self.headers)

    def events(self, stream: bytes) -> Body:
        """The response as a stream of server-sent events, sent in one piece."""
        if len(stream) > BINARY_BYTES_MAX:
            return self._redirect_to_stored(stream, "txt", sse.CONTENT_TYPE)
        return Body(stream, {**self.headers, "Content-Type": sse.CONTENT_TYPE})

    def file(self) -> Body:
        """The response as the bytes of the file, or as a redirect to a file that is too large."""
        first = self.result.generation.assets[0]
        if first.size_bytes > BINARY_BYTES_MAX:
            return redirect(self.result.urls[0].removeprefix(self.deps.public_url), self.headers)
        return Body(self.result.files[0], {**self.headers, "Content-Type": self.deps.content_types[first.format]})

    def _redirect_to_stored(self, body: bytes, suffix: str, content_type: str) -> Body:
        generation = self.result.generation
        key = f"media/answers/{generation.workspace_id}/{generation.id}.{suffix}"
        self.deps.store_body(key, body, content_type)
        return redirect(self.deps.signed_path(key, self.now), self.headers)


def serve(deps: ServeDeps, facts: RequestFacts, mapped: MappedRequest, *, with_files: bool = True) -> Served:
    """Create a generation and wait for its result. with_files: read the bytes of its files too. Raises what
    `begin_generation` raises, GenerationInProgress when the result is not there before the gateway's time-out, and the
    errors of a generation that ended without one."""
    begun = begin_generation(deps, facts, mapped)
    seconds = WAIT_SECONDS if facts.wait_seconds is None else min(facts.wait_seconds, WAIT_SECONDS)
    generation = deps.create.wait(begun.order.generation, seconds, facts.now)
    _require_success(deps, facts, mapped, begun, generation, seconds)

    result = _read_result(deps, generation, facts.now, with_files=with_files)
    taken = (deps.clock() - facts.now).total_seconds()
    headers = {
        **begun.headers,
        "atelier-generation-id": generation.id,
        "atelier-credits-charged": str(generation.credits_charged),
        "atelier-cost-microusd": str(generation.cost_microusd),
        "openai-processing-ms": str(round(taken * 1000)),
    }
    if taken < GATEWAY_SECONDS:
        begun.mark_answered()
    return Served(result, headers, facts.now, deps)


def _require_success(
    deps: ServeDeps,
    facts: RequestFacts,
    mapped: MappedRequest,
    begun: BegunGeneration,
    generation: Generation,
    wait_seconds: int,
) -> None:
    """Raises GenerationInProgress for an open generation, and the error of one that ended without a result."""
    if generation.is_open:
        now = deps.clock()
        raise GenerationInProgress(
            generation.id,
            age_seconds=(now - generation.created_at).total_seconds(),
            user_agent=facts.headers.get("user-agent", ""),
            waited=(now - facts.now).total_seconds() >= wait_seconds,
        )
    if generation.status is Status.CANCELLED:
        begun.mark_answered()
    if generation.status is not Status.SUCCEEDED:
        raise _failure(begun, mapped, generation)


def _failure(begun: BegunGeneration, mapped: MappedRequest, generation: Generation) -> AtelierError:
    error = generation_error(generation)
    # Under the caller's own idempotency key this failure is final: a repetition gets the same generation.
    error.facts["final"] = begun.call.caller_key is not None
    if error.facts.get("provider_code") == errors.CONTEXT_TOO_LONG:
        error.facts["param"] = mapped.field_names.get("prompt", "prompt")
    return error


def _read_result(deps: ServeDeps, generation: Generation, now: datetime, *, with_files: bool) -> Result:
    workspace_id, assets = generation.workspace_id, generation.assets
    if generation.recipe.kind is Kind.TEXT:
        return Result(generation, text=deps.create.read_text(generation) or "")
    urls = tuple(deps.public_url + deps.asset_urls(workspace_id, each.sha256, each.format, now)[0] for each in assets)
    if not with_files:
        return Result(generation, urls=urls)
    return Result(
        generation, files=tuple(deps.read_file(workspace_id, each.sha256, each.format) for each in assets), urls=urls
    )
