"""OpenAI: text by the Responses API or by chat, pictures made and changed, speech, and the free moderation check.

Facts that shape this file: picture models answer with base64 only, and are billed by the tokens that the answer names;
nothing has a webhook, a cancellation or a list to look into, so an answer that is lost stays lost; the list of models
carries shutdown dates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from atelier.providers._contract import ErrorClass, Job, Submitted
from atelier.providers._openai_shape import (
    Answer,
    OpenAIShape,
    Problem,
    an_object,
    bearer,
    count,
    counts,
    extra,
    messages,
    objects,
    pictures_in,
    text_end,
    worded,
)
from atelier.providers._wire import NoAnswer, NotSent, Wire, failed

MODERATION_SECONDS_MAX = 10.0
EDIT_PICTURES_MAX = 16


class OpenAI(OpenAIShape):
    """`api` in a model's settings: responses, chat, images (which edits where the job brings a picture) or speech.
    `moderation_model` judges texts; without it, OpenAI's default does."""

    tokens_max_field = "max_completion_tokens"

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str = "https://api.openai.com/v1",
        moderation_model: str | None = None,
        answer_seconds_max: float = 50.0,
    ) -> None:
        super().__init__(Wire(base_url, bearer(api_key), answer_seconds_max=answer_seconds_max))
        self._moderation_model = moderation_model

    def moderate(self, texts: list[str]) -> bool | None:
        """Whether any of these is against the rules; None when nobody said. Free."""
        order: Answer = {"input": texts}
        if self._moderation_model:
            order["model"] = self._moderation_model
        try:
            reply = self._wire.ask("POST", "/moderations", body=order, answer_seconds_max=MODERATION_SECONDS_MAX)
        except (NotSent, NoAnswer):
            return None
        results = objects(reply.json().get("results")) if reply.ok else []
        if any(result.get("flagged") is True for result in results):
            return True
        cleared = [result for result in results if result.get("flagged") is False]
        return False if cleared and len(cleared) == len(results) else None

    def _apis(self) -> dict[str, Callable[[Job], Submitted]]:
        return super()._apis() | {"responses": self._respond}

    # ---- text --------------------------------------------------------------------------------------------------------

    def _respond(self, job: Job) -> Submitted:
        given = job.parameters
        is_prompt_alone = not given.get("messages") and not pictures_in(job)
        talk = job.prompt if is_prompt_alone else [_item(message) for message in messages(job)]
        order: Answer = {"model": job.settings["model"], "input": talk, "store": False}
        names = {"system": "instructions", "max_tokens": "max_output_tokens"}
        for name in ("system", "max_tokens", "temperature", "top_p"):
            if given.get(name) is not None:
                order[names.get(name, name)] = given[name]
        if given.get("reasoning_effort"):
            order["reasoning"] = {"effort": given["reasoning_effort"]}

        def read(answer: Answer) -> Submitted:
            usage = _response_usage(answer)
            if answer.get("status") not in ("completed", "incomplete"):
                error_class = Problem.in_answer(200, answer).error_class
                # What ran before it was refused is on the bill.
                billed = error_class is ErrorClass.MODERATED and usage
                return failed(ErrorClass.MODERATED_BILLED if billed else error_class, usage=usage)
            said = [part for item in objects(answer.get("output")) for part in objects(item.get("content"))]
            text = "".join(str(part.get("text")) for part in said if part.get("type") == "output_text")
            filtered = an_object(answer.get("incomplete_details")).get("reason") == "content_filter"
            refused = filtered or (not text and any(part.get("type") == "refusal" for part in said))
            return text_end(job, text, usage, None, refused=refused)

        return self._asked("/responses", read, body=order | extra(job))

    # ---- pictures ----------------------------------------------------------------------------------------------------

    def _images(self, job: Job) -> Submitted:
        pictures = pictures_in(job)[:EDIT_PICTURES_MAX]
        if not pictures:
            return super()._images(job)
        order = {"model": job.settings["model"], "prompt": worded(job), **self._measures(job), **extra(job)}
        files = [
            ("image[]", (f"image-{number}.{_suffix(picture.content_type)}", picture.data, picture.content_type))
            for number, picture in enumerate(pictures)
        ]
        files += [("mask", ("mask.png", mask.data, mask.content_type)) for mask in job.inputs.get("mask", ())[:1]]
        fields = {name: str(value) for name, value in order.items()}
        return self._asked("/images/edits", self._read_images, fields=fields, files=files)

    def _measures(self, job: Job) -> Answer:
        given = job.parameters
        names = ("background", "output_format", "output_compression")
        return super()._measures(job) | {name: given[name] for name in names if given.get(name) is not None}


def _item(message: Answer) -> Answer:
    """A chat message as the Responses API takes it."""
    role, content = message.get("role"), message.get("content")
    if isinstance(content, list):
        content = [_part(str(role), part) for part in objects(cast("object", content))]
    return {"role": role, "content": content}


def _part(role: str, part: Answer) -> Answer:
    match part.get("type"):
        case "text":
            return {"type": "output_text" if role == "assistant" else "input_text", "text": part.get("text")}
        case "image_url":
            url = part.get("image_url")
            return {"type": "input_image", "image_url": an_object(url).get("url") or url}
        case _:
            return part


def _response_usage(answer: Answer) -> dict[str, int]:
    told = an_object(answer.get("usage"))
    details = an_object(told.get("input_tokens_details"))
    return counts(
        tokens_input=count(told.get("input_tokens")),
        tokens_cached=count(details.get("cached_tokens")),
        tokens_cache_write=count(details.get("cache_write_tokens")),
        tokens_output=count(told.get("output_tokens")),
    )


def _suffix(content_type: str) -> str:
    return {"image/jpeg": "jpg", "image/webp": "webp"}.get(content_type, "png")
