"""Speech: a text is spoken in parts, whose audio is joined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from atelier.adapters.providers._http import Reply
from atelier.adapters.providers._openai_compatible.errors import Problem
from atelier.adapters.providers._openai_compatible.job import preset_fields
from atelier.adapters.providers._openai_compatible.values import JsonObject
from atelier.adapters.providers._speech_parts import CONTENT_TYPES, duration_milliseconds, join_audio
from atelier.provider_port import Done, ErrorClass, Failed, Job, Output, SubmitOutcome, Unknown

FIELDS = ("voice", "speed", "instructions")
PartResult = Reply | Failed | Unknown


def audio_format(job: Job, offered: Sequence[str], parts: int) -> str | None:
    """The format to request; None when it is not offered."""
    wanted = str(job.parameters.get("format") or preset_fields(job).get("response_format") or "mp3")
    if wanted not in offered:
        return None
    # WAV is the lossless format whose parts can be joined.
    return "wav" if wanted == "flac" and parts > 1 else wanted


def speech_body(job: Job, part: str, format: str) -> JsonObject:
    """The request for one part of the text."""
    parameters = {name: job.parameters[name] for name in FIELDS if job.parameters.get(name) is not None}
    own = {"model": job.settings["model"], **parameters, "input": part, "response_format": format}
    return preset_fields(job) | own


def request_parts(bodies: list[JsonObject], send: Callable[[JsonObject], PartResult]) -> list[PartResult]:
    """The results of the requests, which are sent in parallel, in their order."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=len(bodies)) as speakers:
        return list(speakers.map(send, bodies))


def join_parts(parts: Sequence[str], results: Sequence[PartResult], format: str) -> SubmitOutcome:
    """The outcome of all parts together. A part without a response leaves the outcome unknown; a refused part fails the
    whole, and the spoken ones are reported as usage, because they are billed."""
    counted = sum(len(part) for part, reply in zip(parts, results, strict=True) if isinstance(reply, Reply))
    usage = {"characters": counted} if counted else {}
    unknown = next((result for result in results if isinstance(result, Unknown)), None)
    if unknown is not None:
        return unknown
    refused = next((result for result in results if isinstance(result, Failed)), None)
    if refused is not None:
        return _partly_billed(refused, usage)
    replies = [result for result in results if isinstance(result, Reply)]
    return _unusable(replies, usage) or _joined([reply.body for reply in replies], format, usage)


def _unusable(replies: list[Reply], usage: dict[str, int]) -> Failed | Unknown | None:
    """The outcome of replies that are no audio, or None."""
    types = [reply.headers.get("content-type", "") for reply in replies]
    if any(content_type.startswith("text/") for content_type in types):
        # A text page comes from a gateway: the speech may have been made and billed behind it.
        return Unknown("the request was answered with a page")
    if all(reply.body and "json" not in content_type for reply, content_type in zip(replies, types, strict=True)):
        return None
    error_body = next((reply.json() for reply in replies if reply.json()), JsonObject())
    return Problem.from_body(200, error_body).to_failed(usage=usage)


def _joined(bodies: list[bytes], format: str, usage: dict[str, int]) -> Done:
    data = join_audio(bodies, format)
    milliseconds = duration_milliseconds(data, format)
    length = {} if milliseconds is None else {"output_milliseconds": milliseconds}
    return Done((Output(data, content_type=CONTENT_TYPES[format]),), usage | length)


def _partly_billed(refused: Failed, usage: dict[str, int]) -> Failed:
    """The failure of one part of a text whose other parts were spoken and are billed."""
    billed = usage and refused.error_class is ErrorClass.MODERATED
    return replace(refused, error_class=ErrorClass.MODERATED_BILLED if billed else refused.error_class, usage=usage)
