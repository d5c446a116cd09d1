"""Text: the chat API and the Responses API, requests and responses."""

from __future__ import annotations

from atelier.adapters.providers._conversation import PromptMessage, messages_of
from atelier.adapters.providers._http import failure_of
from atelier.adapters.providers._openai_compatible.errors import Problem
from atelier.adapters.providers._openai_compatible.job import data_url, images_of, preset_fields
from atelier.adapters.providers._openai_compatible.values import (
    JsonObject,
    as_count,
    as_object,
    as_objects,
    known_counts,
)
from atelier.adapters.providers._text_outcome import text_outcome
from atelier.provider_port import ErrorClass, FinishReason, Job, SubmitOutcome

# Why a completion ended early, by the names of the chat API and of the Responses API.
FINISH_REASONS = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "max_output_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
}


def chat_body(job: Job, tokens_max_field: str) -> JsonObject:
    """A request of the chat API. tokens_max_field: the field that limits the output."""
    parameters = job.parameters
    system = [{"role": "system", "content": parameters["system"]}] if parameters.get("system") else []
    body: JsonObject = {"model": job.settings["model"], "messages": [*system, *chat_messages(job)]}
    if parameters.get("max_tokens"):
        body[tokens_max_field] = parameters["max_tokens"]
    names = (
        "temperature",
        "top_p",
        "stop",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "reasoning_effort",
        "verbosity",
    )
    body |= {name: parameters[name] for name in names if parameters.get(name) is not None}
    return preset_fields(job) | body


def read_chat(job: Job, answer: JsonObject, cost: int | None) -> SubmitOutcome:
    """The outcome that a response of the chat API reports. cost: in micro-USD, as the provider reports it."""
    usage = chat_usage(as_object(answer.get("usage")))
    choice = next(iter(as_objects(answer.get("choices"))), None)
    if choice is None:
        return failure_of(ErrorClass.TRANSIENT, usage=usage, cost_microusd=cost)
    message = as_object(choice.get("message"))
    text, refusal = message_text(message.get("content")), message_text(message.get("refusal"))
    finish = FINISH_REASONS.get(str(choice.get("finish_reason")))
    if refusal and not text:
        text, finish = refusal, FinishReason.REFUSAL
    return text_outcome(job, text, usage, cost_microusd=cost, finish_reason=finish)


def response_body(job: Job) -> JsonObject:
    """A request of the Responses API."""
    parameters = job.parameters
    is_prompt_alone = not parameters.get("messages") and not images_of(job)
    model_input = job.prompt if is_prompt_alone else [_response_item(message) for message in messages_of(job)]
    body: JsonObject = {"model": job.settings["model"], "input": model_input, "store": False}
    names = {"system": "instructions", "max_tokens": "max_output_tokens"}
    for name in ("system", "max_tokens", "temperature", "top_p"):
        if parameters.get(name) is not None:
            body[names.get(name, name)] = parameters[name]
    if parameters.get("reasoning_effort"):
        body["reasoning"] = {"effort": parameters["reasoning_effort"]}
    if parameters.get("verbosity"):
        body["text"] = {"verbosity": parameters["verbosity"]}
    return preset_fields(job) | body


def read_response(job: Job, answer: JsonObject, cost: int | None) -> SubmitOutcome:
    """The outcome that a response of the Responses API reports. cost: in micro-USD, as the provider reports it."""
    usage = _response_usage(answer)
    if answer.get("status") not in ("completed", "incomplete"):
        problem = Problem.from_body(200, answer)
        # Tokens that were used before the refusal are billed.
        billed = problem.error_class is ErrorClass.MODERATED and usage
        error_class = ErrorClass.MODERATED_BILLED if billed else problem.error_class
        return problem.to_failed(error_class, usage=usage, cost_microusd=cost)
    said = [part for item in as_objects(answer.get("output")) for part in as_objects(item.get("content"))]
    text = "".join(str(part.get("text")) for part in said if part.get("type") == "output_text")
    refusal = "".join(str(part.get("refusal")) for part in said if part.get("type") == "refusal")
    finish = FINISH_REASONS.get(str(as_object(answer.get("incomplete_details")).get("reason")))
    if refusal and not text:
        text, finish = refusal, FinishReason.REFUSAL
    return text_outcome(job, text, usage, cost_microusd=cost, finish_reason=finish)


def chat_messages(job: Job) -> list[JsonObject]:
    """The conversation as the messages of the chat API."""
    return [{"role": message.role, "content": _content(message)} for message in messages_of(job)]


def message_text(content: object) -> str:
    """The text of a message: its content if that is a text, else its text parts joined."""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text")) for part in as_objects(content) if part.get("type") in ("text", "output_text"))


def chat_usage(usage: JsonObject) -> dict[str, int]:
    """Token counts of a chat response. Some providers leave the reasoning tokens out of the completion tokens but count
    them in the total, so the output is the larger of both figures."""
    input_tokens, output_tokens = as_count(usage.get("prompt_tokens")), as_count(usage.get("completion_tokens"))
    total = as_count(usage.get("total_tokens"))
    if input_tokens is not None and output_tokens is not None and total is not None:
        output_tokens = max(output_tokens, total - input_tokens)
    cached = as_count(as_object(usage.get("prompt_tokens_details")).get("cached_tokens"))
    return known_counts(tokens_input=input_tokens, tokens_output=output_tokens, tokens_cached=cached)


def _response_usage(answer: JsonObject) -> dict[str, int]:
    usage = as_object(answer.get("usage"))
    details = as_object(usage.get("input_tokens_details"))
    return known_counts(
        tokens_input=as_count(usage.get("input_tokens")),
        tokens_cached=as_count(details.get("cached_tokens")),
        tokens_cache_write=as_count(details.get("cache_write_tokens")),
        tokens_output=as_count(usage.get("output_tokens")),
    )


def _content(message: PromptMessage) -> str | list[JsonObject]:
    match message.parts:
        case (str(text),):
            return text
        case parts:
            return [
                {"type": "text", "text": part}
                if isinstance(part, str)
                else {"type": "image_url", "image_url": {"url": data_url(part)}}
                for part in parts
            ]


def _response_item(message: PromptMessage) -> JsonObject:
    """The message as an input item of the Responses API."""
    text_type = "output_text" if message.role == "assistant" else "input_text"
    match message.parts:
        case (str(text),):
            return {"role": message.role, "content": text}
        case parts:
            content = [
                {"type": text_type, "text": part}
                if isinstance(part, str)
                else {"type": "input_image", "image_url": data_url(part)}
                for part in parts
            ]
            return {"role": message.role, "content": content}
